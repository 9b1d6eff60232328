"""`isthmus demo`: the main job. One policy is trained in MuJoCo, and the same file runs in PyBullet and over ROS 2; a report shows how well.

Each stage does what one `isthmus` command does; the report lists those commands.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isthmus.artifact import Artifact
from isthmus_cli.console import OUT, say, write_json
from isthmus_cli.demo.explained import explain_gap, gap_text
from isthmus_cli.demo.facts import EPISODE_SEED, PLANTS, ROBOT, demo_facts
from isthmus_cli.demo.identified import can_be_identified, identified_text, identify_robot
from isthmus_cli.progress import Progress
from isthmus_evidence.pictures.stills import Stills, save_stills
from isthmus_evidence.reports.demo_files import WORLDS, load_demo
from isthmus_evidence.reports.report import write_report
from isthmus_evidence.ros_evaluation import summarize_ros
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task

__all__ = ["Demo", "run_demo"]

STILLS = 6
_NEEDED = ("matplotlib", "scipy", "PIL", "mujoco", "pybullet", "torch", "safetensors", "tensorboard", "rclpy")


@dataclass(frozen=True, slots=True)
class Demo:
    """Train, run the same file in a second engine and over ROS 2, identify that robot, and write report.html, report.json and hero.png.

    The robot behind the ROS 2 topics is a second simulator with other physical parameters; no hardware is involved.

    Attributes:
        task: name of the task; `isthmus tasks` lists them.
        steps: control periods of training.
        seed: of the training.
        out: folder for everything; results of an earlier demo in it are replaced.
        episodes: evaluated in each engine.
        ros_episodes: evaluated over ROS 2, in wall-clock time.
    """

    task: str = "reach"
    steps: int = 20_000
    seed: int = 0
    out: Path = Path("runs/demo")
    episodes: int = 100
    ros_episodes: int = 20

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: unknown task or a number out of range, before anything starts; or a stage failed, after the report.
        """
        for name, least in (("steps", 1), ("seed", 0), ("episodes", 1), ("ros_episodes", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        run_demo(self.task, steps=self.steps, seed=self.seed, out=self.out, episodes=self.episodes, ros_episodes=self.ros_episodes)
        return 0


def run_demo(task: str, *, steps: int, seed: int, out: Path, episodes: int, ros_episodes: int) -> Path:
    """Run all stages; see `Demo` for the arguments.

    Returns:
        the report.

    Raises:
        ValueError: unknown task; or the run over ROS 2 failed, then the report of the rest is there.
        ModuleNotFoundError: a package is missing; nothing has started then.
        KeyboardInterrupt: training was interrupted.
    """
    chosen = get_task(task)
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:  # not imported: MuJoCo's plant chooses the renderer before it imports mujoco
            raise ModuleNotFoundError(
                f"the demo needs {module}, which is not installed; install it with: pip install 'isthmus[all]'", name=module
            )
    out.mkdir(parents=True, exist_ok=True)
    _clear(out)
    identified = can_be_identified(chosen)
    stages = _Stages(7 if identified else 5)
    file = out / "train" / "policy.isthmus"
    facts = demo_facts(chosen, steps, seed, out, episodes, ros_episodes, identified=identified)

    with stages.stage(f"train SAC on {task} in MuJoCo") as result:
        result(_train(chosen, steps, seed, out / "train"))
    policy = Artifact.load(file).policy()
    films = {plant: Stills(STILLS, chosen.episode_steps) for plant in PLANTS}
    for plant in PLANTS:
        with stages.stage(
            f"{'evaluate' if plant == 'mujoco' else 'run the same file'} in {WORLDS[plant]} (episodes: {episodes})"
        ) as result:
            summary = evaluate_task(chosen, policy, plant, episodes=episodes, seed=EPISODE_SEED)
            evaluate_task(chosen, policy, plant, episodes=1, seed=EPISODE_SEED, record=out / "traces", film=films[plant])
            write_json(summary, out / f"{plant}.json")
            result(_score(summary))
    failure = ""
    with stages.stage(f"run the same file over ROS 2 in wall-clock time (episodes: {ros_episodes})") as result:
        try:
            summary = _over_ros(chosen, file, ros_episodes, out)
            write_json(summary, out / "ros.json")
            result(_score(summary))
        except RuntimeError as error:
            failure = str(error)
            result(f"failed: {failure}")
    if identified and not failure:
        known: dict[str, float] = {}
        with stages.stage("excite that robot over ROS 2 and identify it") as result:
            try:
                told = identify_robot(chosen, out)
                known = {name: one["value"] for name, one in told["parameters"].items()}
                result(identified_text(told))
            except (RuntimeError, ValueError) as error:
                failure = str(error)
                result(f"failed: {failure}")
        if not failure:
            with stages.stage("name why MuJoCo and that robot differ") as result:
                result(gap_text(explain_gap(chosen, policy, out, ros_episodes, known)))
    with stages.stage("write the report") as result:
        pictures = save_stills(out / "frames", films)
        write_json({**facts, "stages": stages.done, "load_after": os.getloadavg()[0]}, out / "demo.json")
        report, _ = write_report(out)
        _hero(out, pictures)
        result(str(report))
    if failure:
        raise ValueError(f"the run over ROS 2 failed: {failure}")
    return report


def _train(task: Task, steps: int, seed: int, out: Path) -> str:
    """Train and say how good the best evaluation was."""
    from isthmus_cli.train.randomization import usual_randomization
    from isthmus_cli.train.training import score_text, train_shown
    from isthmus_policies.sac import sac_config

    config = replace(sac_config(task.name), steps=steps)
    drawn, quiet = usual_randomization(task, "mujoco"), not OUT.is_terminal
    result = train_shown("sac", task, "mujoco", config, seed, out, "    training", quiet=quiet, randomization=drawn)
    if result.interrupted:
        raise KeyboardInterrupt
    return f"best of the evaluations: {score_text(result.best)}" if result.best else "no evaluation"


def _over_ros(task: Task, file: Path, episodes: int, out: Path) -> dict[str, Any]:
    """Two processes, real topics, wall-clock time; raises RuntimeError where a node failed."""
    from isthmus_ros.evaluation.coordinator import RosEpisode, evaluate_over_ros

    finished: list[RosEpisode] = []
    with Progress("    over ROS 2", "episodes", quiet=not OUT.is_terminal) as progress:

        def enough(episode: RosEpisode) -> bool:
            finished.append(episode)
            progress(len(finished), episodes, f"return {episode.total_reward:.1f}")
            return False

        seeds = range(EPISODE_SEED, EPISODE_SEED + episodes)
        result = evaluate_over_ros(
            task, file, seeds, clock="wall", plant="pybullet", parameters=ROBOT, record=out / "traces" / "robot" / "ros", enough=enough
        )
    cadence = {**result.cadence, "clock": result.clock, "steps_per_second": result.steps_per_second}
    return summarize_ros(task, EPISODE_SEED, result.episodes, cadence)


def _hero(out: Path, pictures: Mapping[str, Any]) -> None:
    """The README's picture, where there is a recorded run over ROS 2."""
    from isthmus_evidence.pictures.plots import hero

    demo = load_demo(out)
    if "ros" not in demo.episodes or not all(pictures.get(plant) for plant in PLANTS):
        return

    def success(world: str) -> str:
        found = demo.evaluations[world]
        share = found["success"]
        spread = f"({100 * share['low']:.0f} … {100 * share['high']:.0f} %)"
        return f"success {100 * share['rate']:.0f} % {spread} of {found['episodes']} episodes"

    captions = {
        "mujoco": success("mujoco"),
        "pybullet": f"the same file, {success('pybullet')}",
        "ros": f"the same file, {success('ros')}" if "ros" in demo.evaluations else "the same file",
    }
    hero(out / "hero.png", {plant: pictures[plant] for plant in PLANTS}, demo.episodes["ros"], captions)


class _Stages:
    """One line per stage, with the time that it took.

    Attributes:
        done: name and seconds of every finished stage.
    """

    def __init__(self, count: int) -> None:
        self.done: list[dict[str, Any]] = []
        self._count = count

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Measure a stage; what it is told is printed at its end."""
        began = time.perf_counter()
        results: list[str] = []
        yield results.append
        seconds = time.perf_counter() - began
        self.done.append({"name": name, "seconds": seconds})
        minutes, rest = divmod(round(seconds), 60)
        say(f"{len(self.done)}/{self._count} {minutes}:{rest:02d} min  {name}: {'; '.join(results)}")


def _score(summary: Mapping[str, Any]) -> str:
    share = summary["success"]
    return f"success {share['rate']:.2f} (95 %: {share['low']:.2f} … {share['high']:.2f}) of {summary['episodes']} episodes"


def _clear(out: Path) -> None:
    """Remove what an earlier demo left, so that nothing old is shown as new."""
    names = [
        *(f"{world}.json" for world in WORLDS),
        "demo.json",
        "report.json",
        "report.html",
        "hero.png",
        "identified.json",
        "calibration.yaml",
    ]
    recordings = [*(out / "traces").rglob("*.mcap"), *(out / "gap").rglob("*.mcap"), *(out / "gap").glob("*/*.*")]
    for file in [*(out / name for name in names), *recordings, *(out / "frames").glob("*.png")]:
        file.unlink(missing_ok=True)
