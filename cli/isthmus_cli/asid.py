"""`isthmus asid`: from what is unknown of a task to the task, done on a plant whose parameters nobody told."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from isthmus import strict
from isthmus.files import write_whole
from isthmus_cli.console import complain, say, write_json
from isthmus_cli.progress import Progress
from isthmus_controllers.scripted import scripted_policy
from isthmus_evidence.asid.asked import ARMS, SEARCH, Asked, NotIdentifiableError, WaitingError
from isthmus_evidence.asid.bounds import Bounds
from isthmus_evidence.asid.loop import run_loop
from isthmus_evidence.asid.real import find_real
from isthmus_evidence.asid.solve import SolveConfig
from isthmus_evidence.asid.strikes import STRIKE_SECONDS
from isthmus_evidence.reports.asid_page import asid_page
from isthmus_policies.asid.search import SearchConfig
from isthmus_sim.identification.information_task import find_unknown
from isthmus_sim.identification.problem import read_parameter_file
from isthmus_sim.tasks import get_task

__all__ = ["Asid"]

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Asid:
    """Explore, play that once on the real plant, identify, solve the task in the calibrated simulator, and do it on the real plant.

    ASID (Memmel et al. 2024), compared with a random exploration, domain randomisation over the prior, and the nominal model. Everything is in one
    folder; the same command again goes on where it was. With --real ros nothing moves by itself: each run on the robot is a command that is printed,
    and the loop goes on when its recording is there.

    Attributes:
        task: name of the task; it needs a script.
        real: mujoco:params.yaml, pybullet, pybullet:params.yaml or ros; the file holds names and values of what is true there.
        unknown: names of parameters that the task gives a range; by default all of them.
        parameters: YAML file with names and bounds under `unknown`, as for `isthmus identify`; where both are given, both hold.
        out: folder; by default runs/asid-TASK-loop-SEED.
        motion: strike for strikes of a body, sines for sums of sines; auto takes strikes of what can be struck.
        duration: of the exploration, or of each strike, s.
        strikes: how many of them.
        draws: of the prior, for which identification is simulated before anything moves.
        starts: of the identification.
        episodes: of the task on the real plant, for each that is compared.
        alone: compare with nothing.
        specification: formula in Signal Temporal Logic over what is observed, such as "always (tool0.z >= 0.2)"; it must hold in every draw.
        most_force: how hard the body may be pushed, N: the mean over a control period.
        force: play an exploration although a parameter is expected to stay unknown.
        film: film the explorations.
        seed: of everything.
        search: settings of the search for an exploration.
        solver: settings of the search for what the task's script is told.
    """

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    real: str
    unknown: tuple[str, ...] = ()
    parameters: Path | None = None
    out: Path | None = None
    motion: Literal["auto", "strike", "sines"] = "auto"
    duration: float = STRIKE_SECONDS
    strikes: int = 3
    draws: int = 16
    starts: int = 2
    episodes: int = 20
    alone: bool = False
    specification: str = ""
    most_force: float = math.inf
    force: bool = False
    film: bool = True
    seed: int = 0
    search: SearchConfig = SEARCH
    solver: SolveConfig = field(default_factory=SolveConfig)

    @property
    def folder(self) -> Path:
        """Folder for everything."""
        return self.out or Path("runs") / f"asid-{self.task}-loop-{self.seed}"

    def goes_on(self) -> str | None:
        """What to add to the command after Ctrl-C, which is nothing; None if there is nothing to go on with."""
        return "" if (self.folder / "loop.json").is_file() else None

    def run(self) -> int:
        """Run the command.

        Returns:
            0 where the task was done; 1 where nothing could be identified, or a person has to move the robot first.

        Raises:
            ValueError: a name or a number is wrong, or the pre-flight refuses every exploration.
        """
        strict.require("--duration", self.duration, least=0.5)
        for name, least in (("strikes", 1), ("draws", 2), ("starts", 1), ("episodes", 1), ("seed", 0)):
            strict.require(f"--{name}", getattr(self, name), least=least)
        task = get_task(self.task)
        scripted_policy(self.task, task.contract)
        ranges = {one.name: (one.low, one.high) for one in read_parameter_file(self.parameters).unknown} if self.parameters else None
        unknown = find_unknown(task, self.unknown, ranges)
        real = find_real(self.real, task)
        out = self.folder
        if out.is_file():
            raise ValueError(f"{out} is a file; --out is a folder")
        arms = ARMS[:1] if self.alone or not real.simulated else ARMS
        settings = {name: getattr(self, name) for name in ("motion", "strikes", "draws", "starts", "episodes", "force", "film", "seed")}
        bounds = Bounds(self.specification, self.most_force)
        asked = Asked(task, unknown, real, arms, seconds=self.duration, search=self.search, solver=self.solver, bounds=bounds, **settings)
        try:
            facts = run_loop(asked, out, _shown, say)
        except NotIdentifiableError as error:
            complain(f"isthmus: {error}; nothing was calibrated")
            return 1
        except WaitingError as error:
            complain(f"isthmus: {error}")
            return 1
        except KeyboardInterrupt:
            complain("isthmus: interrupted; the stages that are finished are kept")
            return INTERRUPTED
        self._write(facts, out)
        return 0

    def _write(self, facts: dict[str, Any], out: Path) -> None:
        kept = {**facts, "episodes": {arm: {**one, "per_episode": []} for arm, one in facts["episodes"].items()}}
        write_json(kept, out / "report.json")
        write_whole(out / "report.html", asid_page(facts, out))
        for name, one in facts["learned"]["asid"]["parameters"].items():
            low, high = one["interval"]
            say(f"{name}: {one['value']:.4g}, 95 % interval {low:.4g} … {high:.4g}, {one['verdict']}")
        for arm, found in facts["differences"].items():
            success = found["success"]
            say(
                f"asid less {arm}: {100 * success['difference']:+.0f} % success "
                f"({100 * success['low']:+.0f} … {100 * success['high']:+.0f}), paired"
            )
        say(f"report: {out / 'report.html'}")


def _shown(name: str) -> Callable[..., None]:
    """What a stage tells how far it is; the last news ends its line."""
    shown = Progress(name, "steps")
    return lambda done, total, news="": shown(done, total, news)
