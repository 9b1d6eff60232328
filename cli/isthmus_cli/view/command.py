"""`isthmus view`: look at a task, a robot, a recording, or what an exploded simulation left behind."""

from __future__ import annotations

import difflib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus.policy import Policy
from isthmus.robot import load_robot, robot_names
from isthmus.runner import Tick
from isthmus.sequence import default_replan
from isthmus_cli.console import say, show_table
from isthmus_cli.files import load_artifact, names_file
from isthmus_cli.robots import robot_folders
from isthmus_cli.view.agents import Agent
from isthmus_cli.view.motion import opened, show_motion
from isthmus_cli.view.recording import recorded, show_recording
from isthmus_cli.view.robot import show_robot
from isthmus_evidence.contracts import check_contract, task_for
from isthmus_evidence.pictures.film import Film
from isthmus_sim.episodes import run_episodes
from isthmus_sim.graphics import check_drawing, check_mujoco, has_screen
from isthmus_sim.identification.calibration import calibrated
from isthmus_sim.randomization import Randomization, randomized_plant
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

__all__ = ["View"]

_NO_SCREEN = "there is no screen here; write a film with --video FILE.mp4, or look at it in a browser with --browser"
_DUMP_FRAMES = 100  # each one physics step later: slow motion


@dataclass(frozen=True, slots=True)
class View:
    """Watch a task in MuJoCo's viewer, moved by a policy or by a simple agent, in real time.

    Or a robot, each of whose joints is swept through its range; or a recording; or the dump of an exploded simulation.

    Attributes:
        task: name of the task; or a policy file, which is watched on its own task; or a robot; or a recording, an .mcap file.
        policy: policy file; without it the agent moves the robot.
        agent: zero (rest), random (anything), or sine (slow waves).
        seed: of the first episode; the following ones count up.
        robots: folder with profiles of your own, NAME/robot.yaml; what is named is then a robot, searched there first.
        dump: file that an exploded simulation left behind; its state is shown and what is wrong is printed.
        video: write one episode as .mp4 or .gif instead of opening a window.
        browser: show it in a page of a browser instead of a window, with the positions of the joints; works without a screen.
        calibration: file that `isthmus identify` wrote: its values are those of the simulation.
    """

    task: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="[TASK_OR_ROBOT_OR_FILE]")] = None
    policy: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[POLICY]")] = None
    agent: str = "sine"
    seed: int = 0
    robots: Path | None = None
    dump: Path | None = None
    video: Path | None = None
    browser: bool = False
    calibration: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name is wrong, the policy does not fit the task, or there is neither a screen nor a film to write.
        """
        if (self.dump is None) == (self.task is None):
            raise ValueError("give either a task, a robot or a policy file, or --dump FILE")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if self.video and self.browser:
            raise ValueError("--video writes a film and --browser serves a page; give one of them")
        film = Film(self.video) if self.video else None
        if film:
            check_drawing()
        if self.dump is not None:
            _show_dump(self.dump, film, self.browser)
        elif Path(str(self.task)).suffix == ".mcap":
            trace = recorded(Path(str(self.task)))
            self._check_screen()
            show_recording(Path(str(self.task)), trace, robot_folders(self.robots), film, self.browser)
        elif self._is_robot():
            robot = load_robot(str(self.task), robot_folders(self.robots))
            self._check_screen()
            show_robot(robot, film, self.browser)
        else:
            name, file = self._asked()
            task, replan = _task(name), None
            if file is None:
                policy: Policy = Agent(self.agent, task.contract)
            else:
                artifact = load_artifact(file)
                policy, replan = artifact.policy(), default_replan(artifact)
                task = task_for(task, policy.contract)
                check_contract(policy.contract, task)
            self._check_screen()
            _show_task(task, policy, self.seed, film, replan, calibrated(None, self.calibration), self.browser)
        if film:
            film.save()
            say(f"video: {self.video}")
        return 0

    def _check_screen(self) -> None:
        if not (self.video or self.browser or has_screen()):
            raise ValueError(_NO_SCREEN)

    def _is_robot(self) -> bool:
        """Whether a robot is named; what is both a robot and a task is the task, unless a folder of robots is given."""
        name = str(self.task)
        return self.robots is not None or (name not in task_names() and name in robot_names() and not Path(name).is_file())

    def _asked(self) -> tuple[str, Path | None]:
        """The task, and the policy file if there is one."""
        name = str(self.task)
        file = Path(name)
        if name in task_names() or not (file.exists() or names_file(file)):
            return name, self.policy
        if self.policy is not None:
            raise ValueError(f"{name} is a file; give a task and one policy file, or the policy file alone")
        if file.suffix == ".npz" and file.exists():
            raise ValueError(f"{name} is no policy file; what an exploded simulation left behind is shown by: isthmus view --dump {name}")
        return load_artifact(file).contract.task, file


def _task(name: str) -> Task:
    """The task of that name; where there is none, a robot may have been meant."""
    try:
        return get_task(name)
    except ValueError as error:
        if near := difflib.get_close_matches(name, robot_names(), n=1):
            raise ValueError(f"{error}; or the robot {near[0]!r}?") from error
        raise


class _ClosedError(Exception):
    """The window was closed."""


def _show_task(
    task: Task, policy: Policy, seed: int, film: Film | None, replan: int | None, values: Randomization | None, browser: bool
) -> None:
    made, sampler = randomized_plant("mujoco", task, randomization=values)
    plant: Any = made
    task = sampler.randomized(task) if sampler else task
    try:
        if film:
            run_episodes(task, policy, plant, [seed], replan=replan, on_tick=film.camera(plant, task))
            return
        model, data = plant.pictures.look(0)
        with opened(model, data, browser) as window:
            for episode in itertools.count(seed):
                say(f"episode with seed {episode}")
                run_episodes(task, policy, plant, [episode], replan=replan, on_tick=_follow(window, plant, task.contract.control_period))
    except _ClosedError:
        pass
    finally:
        plant.close()


def _follow(window: Any, plant: Any, period: float) -> Callable[[Tick], None]:
    """Show row 0 after every control period, no faster than real time."""
    began = time.monotonic()

    def sync(tick: Tick) -> None:
        if not window.is_running():
            raise _ClosedError
        with window.lock():
            plant.pictures.look(0)
        window.sync()
        time.sleep(max(began + (tick.index + 1) * period - time.monotonic(), 0.0))

    return sync


def _show_dump(path: Path, film: Film | None, browser: bool) -> None:
    check_mujoco()
    import mujoco

    from isthmus_sim.dumps import diagnose, finite_steps, load_dump

    dump = load_dump(path)
    show_table(str(path), ("", "in the last finite state"), diagnose(dump))
    if film or browser:
        first = mujoco.MjData(dump.model)
        mujoco.mj_copyData(first, dump.model, dump.data)

        def moments() -> Iterator[None]:
            mujoco.mj_copyData(dump.data, dump.model, first)
            yield from finite_steps(dump, _DUMP_FRAMES * dump.model.opt.timestep)

        show_motion(dump.model, dump.data, moments, film, browser)
    elif not has_screen():
        say(_NO_SCREEN)
    else:
        import mujoco.viewer

        mujoco.viewer.launch(dump.model, dump.data)
