"""`isthmus eval`: run episodes of a policy file and say how well it did, with intervals."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus_cli.console import complain, show
from isthmus_cli.eval.outputs import Outputs
from isthmus_cli.eval.typed_parameters import parse_parameters
from isthmus_cli.files import load_artifact
from isthmus_cli.progress import Progress
from isthmus_evidence.contracts import task_for
from isthmus_evidence.enough import EnoughError
from isthmus_evidence.evaluation import evaluate, find_task
from isthmus_evidence.frequency import EPISODES as EPISODES_PER_LENGTH
from isthmus_evidence.frequency import evaluate_frequencies, frequency_seed
from isthmus_evidence.frequency_score import LENGTHS, ReturnRange, published_range
from isthmus_evidence.paired import check_pairs, load_evaluation, paired_difference
from isthmus_evidence.pictures.chart import save_chart
from isthmus_evidence.pictures.curves import save_frequency_chart
from isthmus_evidence.pictures.film import Film
from isthmus_evidence.reports.evaluation_report import evaluation_report
from isthmus_evidence.reports.frequency_report import frequency_report
from isthmus_evidence.ros_evaluation import ROS, Nodes
from isthmus_evidence.sequential import UNDECIDED
from isthmus_evidence.stored import Evidence
from isthmus_policies.interruption import interruption
from isthmus_sim.identification.calibration import calibrated, load_calibration
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import Randomization, load_randomization, with_cadence
from isthmus_sim.suites import SuiteTask
from isthmus_sim.systems import System
from isthmus_sim.task import Task

__all__ = ["Eval"]

EPISODES = 50
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Eval:
    """Run episodes of a policy; print return and success with 95 % intervals. Ctrl-C ends it early: the episodes that are finished are summed up.

    Attributes:
        policy: policy file.
        task: name of the task; by default the one that the policy was made for.
        plant: what runs the episodes: mujoco, pybullet, or ros (a policy node and a simulated robot, over real ROS 2 topics).
        episodes: number of episodes; by default 50, or 10 of each length with --fas.
        seed: seed of the first episode; the following ones count up. Equal seeds give equal episodes on every plant. By default 0, or that of the
            training + 100 with --fas.
        replan: actions of a chunk to execute before the policy decides again, in control periods; by default what its training says, else all.
        parameters: physical parameters that differ from the task's own, in SI units, such as payload=1.5 (kg); `isthmus tasks NAME` lists them.
        randomize: YAML file of physical parameters to draw for each episode, from the episode's seed; not with ros.
        calibration: file that `isthmus identify` wrote: its values hold for all that --parameters and --randomize do not say.
        cadence: cadence report of a robot's loop, as `--plant ros --json` writes it: its times from wake-up to command are drawn as the delay of
            commands, on top of the robot's own; not with ros.
        json: write the result as JSON to this file; - is stdout.
        video: film the first episode, .gif or .mp4; not with ros.
        record: write one MCAP trace per episode into this folder.
        plot: write a chart of returns and success, or with --fas of the curve, .png, .svg or .pdf.
        evidence: store the result in the policy file.
        against: result that an earlier --json wrote, of the same task in another plant, with other parameters, or of another policy: the difference
            of return and success on the seeds that both have, with 95 % intervals of these pairs.
        until: success rate between 0 and 1: end as soon as it is decided whether the policy reaches it, after --episodes at the latest; either
            verdict is wrong in at most 5 % of the cases, and the interval of the rate is that of such a stop.
        fas: frequency-averaged score (Patel & Siegelmann 2025): the mean return at 1, 2, 4, … 30 actions per decision, where a reactive policy
            repeats its one, and the area below that curve; not with ros.
        fas_range: with --fas: returns LOW and HIGH that count as 0 and 1; by default those published for the task.
        clock: with ros: stepped (simulated time, reproducible) or wall (real time); with --attach that of the nodes counts.
        engine: with ros: the engine behind the simulated robot, mujoco or pybullet.
        attach: with ros: use the nodes that already run, instead of starting some.
        monitor: with ros: a monitor node watches the task's specification, and is compared with the evaluation of the whole run.
    """

    policy: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    task: str | None = None
    plant: str = "mujoco"
    episodes: int | None = None
    seed: int | None = None
    replan: int | None = None
    parameters: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE …")] = ()
    randomize: Path | None = None
    calibration: Path | None = None
    cadence: Path | None = None
    json: Path | None = None
    video: Path | None = None
    record: Path | None = None
    plot: Path | None = None
    evidence: bool = False
    against: Annotated[Path | None, tyro.conf.arg(metavar="RESULT.json")] = None
    until: float | None = None
    fas: bool = False
    fas_range: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = None
    clock: str = Nodes().clock
    engine: str = Nodes().engine
    attach: bool = False
    monitor: bool = False

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name or number is wrong, or the policy does not fit the task; nothing has moved then.
        """
        self._check_options()
        randomization = load_randomization(self.randomize) if self.randomize else None
        found = load_calibration(self.calibration) if self.calibration else None
        artifact = load_artifact(self.policy)
        name = self.task or artifact.contract.task
        task = find_task(name)
        if isinstance(task, System):
            options = (
                "--against",
                "--cadence",
                "--calibration",
                "--fas",
                "--plant",
                "--parameters",
                "--randomize",
                "--record",
                "--until",
                "--video",
            )
            self._refuse(f"{name!r} is an analytic model", *options)
        elif isinstance(task, SuiteTask):
            self._refuse(
                f"{name!r} runs in a suite's own simulation",
                "--cadence",
                "--calibration",
                "--plant",
                "--parameters",
                "--randomize",
                "--record",
            )
        parameters = parse_parameters(self.parameters, task.parameters if isinstance(task, Task) else {})
        if found is not None and isinstance(task, Task):
            if self.plant == ROS:
                parameters = {**found.within(task.parameters, f"task {name!r}"), **parameters}
            else:
                randomization = calibrated(randomization, self.calibration)
        if self.cadence is not None and isinstance(task, Task):
            randomization = with_cadence(randomization, self.cadence, task.parameters)
        if self.fas and not isinstance(task, System):
            return self._frequencies(artifact, task_for(task, artifact.contract), parameters, randomization)
        return self._episodes(artifact, name, task, parameters, randomization)

    @property
    def _outputs(self) -> Outputs:
        return Outputs(self.json, self.video, self.record, self.plot, self.policy if self.evidence else None)

    @property
    def _nodes(self) -> Nodes:
        return Nodes(self.clock, self.engine, self.attach, self.monitor)

    @property
    def _chosen(self) -> dict[str, int]:
        """Which episodes to run."""
        return {"episodes": EPISODES if self.episodes is None else self.episodes, "seed": 0 if self.seed is None else self.seed}

    def _check_options(self) -> None:
        """Refuse options that do not go together, whatever the task."""
        known = [*plant_names(), ROS]
        if self.plant not in known:
            raise ValueError(f"unknown plant {self.plant!r}; {strict.suggest(self.plant, known)}")
        if self.plant != ROS and self._nodes != Nodes():
            raise ValueError(f"--clock, --engine, --attach and --monitor go with --plant {ROS}, got --plant {self.plant}")
        self._outputs.check()
        for option, value in (("--cadence", self.cadence), ("--randomize", self.randomize), ("--video", self.video), ("--fas", self.fas)):
            if value and self.plant == ROS:
                raise ValueError(f"{option} is not available with --plant {ROS}; it works with the simulators")
        if self.fas_range and not self.fas:
            raise ValueError("--fas-range goes with --fas")
        if self.fas:
            self._refuse("--fas runs the episodes at many lengths", "--against", "--replan", "--until", "--video", "--record")

    def _refuse(self, why: str, *options: str) -> None:
        asked = {
            "--against": self.against,
            "--cadence": self.cadence,
            "--calibration": self.calibration,
            "--fas": self.fas,
            "--plant": self.plant != "mujoco",
            "--parameters": self.parameters,
            "--randomize": self.randomize,
            "--record": self.record,
            "--replan": self.replan is not None,
            "--until": self.until is not None,
            "--video": self.video,
        }
        if refused := [option for option in options if asked[option]]:
            raise ValueError(f"{why}, so {' and '.join(refused)} cannot be used with it")

    def _episodes(
        self,
        artifact: Artifact,
        name: str,
        task: Task | SuiteTask | System,
        parameters: Mapping[str, float],
        randomization: Randomization | None,
    ) -> int:
        """Run episodes of a task, report and return the exit code."""
        other = self._other(name)
        film = Film(self.video) if self.video else None
        where = task.suite if isinstance(task, SuiteTask) else self.plant
        title = name if isinstance(task, System) else f"{name} in {where}"
        unit = "control periods" if where in plant_names() else "episodes"
        with _ending(Progress(title, unit, self._outputs.quiet)) as progress:
            summary = evaluate(
                self.policy,
                task,
                self.plant,
                replan=self.replan,
                parameters=parameters,
                randomization=randomization,
                record=self.record,
                film=film,
                nodes=self._nodes,
                until=self.until,
                progress=progress,
                **self._chosen,
            )
        if film:
            film.save()
        if other:
            summary["paired"] = paired_difference(summary, other)
        self._outputs.save(summary, save_chart, artifact, Evidence.under("eval", summary["plant"], parameters, randomization))
        code = self._show(summary)
        if summary["episodes"] == self._chosen["episodes"] or summary.get("until", {}).get("verdict", UNDECIDED) != UNDECIDED:
            return code
        return _interrupted(summary["episodes"], self._chosen["episodes"], "episodes")

    def _other(self, task: str) -> Mapping[str, Any] | None:
        """The evaluation to compare with, once it is known that it can be."""
        if self.against is None:
            return None
        other = load_evaluation(self.against)
        chosen = self._chosen
        check_pairs(task, range(chosen["seed"], chosen["seed"] + chosen["episodes"]), other)
        return other

    def _frequencies(
        self, artifact: Artifact, task: Task | SuiteTask, parameters: Mapping[str, float], randomization: Randomization | None
    ) -> int:
        """Evaluate at many decision frequencies, report and return the exit code."""
        bounds = ReturnRange(*self.fas_range) if self.fas_range else published_range(task.name)
        unit = "episodes" if isinstance(task, SuiteTask) else "control periods"
        with _ending(Progress(f"{task.name} at {len(LENGTHS)} lengths", unit, self._outputs.quiet)) as progress:
            summary = evaluate_frequencies(
                task,
                artifact.policy(),
                self.plant,
                bounds=bounds,
                episodes=EPISODES_PER_LENGTH if self.episodes is None else self.episodes,
                seed=frequency_seed(artifact) if self.seed is None else self.seed,
                parameters=parameters,
                randomization=randomization,
                progress=progress,
            )
        known = Evidence.under("fas", summary["plant"], parameters, randomization)
        self._outputs.save(summary, save_frequency_chart, artifact, known)
        code, found = self._show(summary), len(summary["curve"])
        return code if found == len(LENGTHS) else _interrupted(found, len(LENGTHS), "lengths")

    def _show(self, summary: Mapping[str, Any]) -> int:
        """Print what was found and where it is; returns the exit code."""
        if not self._outputs.quiet:
            show((frequency_report if self.fas else evaluation_report)(summary))
            self._outputs.show()
        return 0


def _interrupted(finished: int, of: int, what: str) -> int:
    """Say how much was finished; returns the exit code."""
    complain(f"isthmus: interrupted after {finished} of {of} {what}, which are all that is told")
    return INTERRUPTED


@contextlib.contextmanager
def _ending(shown: Progress) -> Iterator[Callable[..., None]]:
    """Shows the progress, and ends the evaluation after Ctrl-C, with what is finished.

    Raises:
        KeyboardInterrupt: nothing is finished.
    """
    with interruption() as heard, shown as progress:

        def tell(done: int, total: int, news: str = "") -> None:
            progress(done, total, news)
            if heard.asked and done < total:
                raise EnoughError

        try:
            yield tell
        except EnoughError:
            raise KeyboardInterrupt from None
