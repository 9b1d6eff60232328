"""`isthmus eval`: run episodes of a policy file and say how well it did, with intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.sequence import default_replan
from isthmus_cli.chart import save_chart
from isthmus_cli.console import say, show_table, write_json
from isthmus_cli.curves import save_frequency_chart
from isthmus_cli.evaluation import check_contract, evaluate, satisfaction, summarize
from isthmus_cli.film import Film, check_format
from isthmus_cli.frequency import EPISODES as EPISODES_PER_LENGTH
from isthmus_cli.frequency import evaluate_frequencies, frequency_seed, show_frequencies
from isthmus_cli.frequency_score import ReturnRange, published_range
from isthmus_cli.progress import Progress
from isthmus_cli.sequences import task_for
from isthmus_cli.suite_evaluation import evaluate_suite
from isthmus_cli.system_evaluation import evaluate_system
from isthmus_sim.parameters import Parameter, parameter_rows
from isthmus_sim.plants import plant_names
from isthmus_sim.randomization import Randomization, load_randomization
from isthmus_sim.suites import SuiteTask, get_suite_task, is_suite_task
from isthmus_sim.systems import get_system, is_system
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task

__all__ = ["Eval"]

ROS = "ros"
STEPPED = "stepped"
EPISODES = 50
CHARTS = (".png", ".svg", ".pdf")


@dataclass(frozen=True, slots=True)
class Eval:
    """Run episodes of a policy; print return and success with 95 % intervals.

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
        json: write the result as JSON to this file; - is stdout.
        video: film the first episode, .gif or .mp4; not with ros.
        record: write one MCAP trace per episode into this folder.
        plot: write a chart of returns and success, or with --fas of the curve, .png, .svg or .pdf.
        evidence: store the result in the policy file.
        fas: frequency-averaged score (Patel & Siegelmann 2025): the mean return at 1, 2, 4, … 30 actions per decision, where a reactive policy
            repeats its one, and the area below that curve; not with ros.
        fas_range: with --fas: returns LOW and HIGH that count as 0 and 1; by default those published for the task.
        clock: with ros: stepped (simulated time, reproducible) or wall (real time).
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
    json: Path | None = None
    video: Path | None = None
    record: Path | None = None
    plot: Path | None = None
    evidence: bool = False
    fas: bool = False
    fas_range: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = None
    clock: str = STEPPED
    engine: str = "pybullet"
    attach: bool = False
    monitor: bool = False

    @property
    def _count(self) -> int:
        return EPISODES if self.episodes is None else self.episodes

    @property
    def _first(self) -> int:
        return 0 if self.seed is None else self.seed

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a name or number is wrong, or the policy does not fit the task; nothing has moved then.
        """
        known = [*plant_names(), ROS]
        if self.plant not in known:
            raise ValueError(f"unknown plant {self.plant!r}; {strict.suggest(self.plant, known)}")
        if self.plant != ROS and (self.clock, self.engine, self.attach, self.monitor) != (STEPPED, "pybullet", False, False):
            raise ValueError(f"--clock, --engine, --attach and --monitor go with --plant {ROS}, got --plant {self.plant}")
        if self.video:
            check_format(self.video)
        if self.plot and self.plot.suffix not in CHARTS:
            raise ValueError(f"a plot is a {', '.join(CHARTS)} file, got {self.plot}")
        check_outputs(self.video, self.plot, None if str(self.json) == "-" else self.json)
        if self.randomize and self.plant == ROS:
            raise ValueError(f"--randomize is not available with --plant {ROS}; it works with the simulators")
        self._check_fas()
        randomization = load_randomization(self.randomize) if self.randomize else None
        artifact = Artifact.load(self.policy)
        name = self.task or artifact.contract.task
        if is_system(name):
            return self._system(artifact, name)
        task = self._suite_task(name) if is_suite_task(name) else get_task(name)
        task = task_for(task, artifact.contract)
        check_contract(artifact.contract, task)
        replan = self.replan or default_replan(artifact)
        parameters = parse_parameters(self.parameters, task.parameters if isinstance(task, Task) else {})
        if self.fas:
            return self._frequencies(artifact, task, parameters, randomization)
        quiet = str(self.json) == "-"
        film = Film(self.video) if self.video else None
        where = task.suite if isinstance(task, SuiteTask) else self.plant
        with Progress(f"{task.name} in {where}", "control periods" if where in plant_names() else "episodes", quiet) as progress:
            if isinstance(task, SuiteTask):
                summary = evaluate_suite(
                    task, artifact.policy(), episodes=self._count, seed=self._first, replan=replan, film=film, progress=progress
                )
            elif self.plant == ROS:
                summary = self._over_ros(task, parameters, replan, progress)
            else:
                summary = evaluate(
                    task,
                    artifact.policy(),
                    self.plant,
                    episodes=self._count,
                    seed=self._first,
                    replan=replan,
                    parameters=parameters,
                    randomization=randomization,
                    record=self.record,
                    film=film,
                    progress=progress,
                )
        if film:
            film.save()
        if self.plot:
            save_chart(summary, self.plot)
        if self.json:
            write_json(summary, self.json)
        if self.evidence:
            name, known_as = self._evidence("eval", where, parameters, randomization)
            short = {key: value for key, value in summary.items() if key != "per_episode"}
            artifact.with_evidence(name, {**short, **known_as}).save(self.policy)
        if not quiet:
            self._report(summary)
        return 0

    def _check_fas(self) -> None:
        if self.fas_range and not self.fas:
            raise ValueError("--fas-range goes with --fas")
        if not self.fas:
            return
        if self.plant == ROS:
            raise ValueError(f"--fas is not available with --plant {ROS}; it works with the simulators")
        asked = {"--replan": self.replan, "--video": self.video, "--record": self.record}
        if refused := [option for option, value in asked.items() if value is not None]:
            raise ValueError(f"--fas runs the episodes at many lengths, so {' and '.join(refused)} cannot be used with it")

    def _frequencies(
        self, artifact: Artifact, task: Task | SuiteTask, parameters: Mapping[str, float], randomization: Randomization | None
    ) -> int:
        """Evaluate at many decision frequencies, report and return the exit code."""
        bounds = ReturnRange(*self.fas_range) if self.fas_range else published_range(task.name)
        quiet = str(self.json) == "-"
        with Progress(f"{task.name} at 16 lengths", "episodes" if isinstance(task, SuiteTask) else "control periods", quiet) as progress:
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
        if self.plot:
            save_frequency_chart(summary, self.plot)
        if self.json:
            write_json(summary, self.json)
        if self.evidence:
            name, known_as = self._evidence("fas", summary["plant"], parameters, randomization)
            artifact.with_evidence(name, {**summary, **known_as}).save(self.policy)
        if not quiet:
            show_frequencies(summary)
            self._say_files()
        return 0

    def _evidence(
        self, what: str, where: str, parameters: Mapping[str, float], randomization: Randomization | None
    ) -> tuple[str, dict[str, Any]]:
        """Name of a piece of evidence, and what it says of the conditions."""
        name = "-".join([what, where, *(f"{key}-{value:g}" for key, value in sorted(parameters.items()))])
        if randomization is None:
            return name, {"parameters": parameters}
        return f"{name}-randomized-{randomization.digest()[:8]}", {"parameters": parameters, "randomization": randomization.summary()}

    def _suite_task(self, name: str) -> SuiteTask:
        """The task of an outside suite, once nothing was asked for that only our own plants can do."""
        self._refuse(f"{name!r} runs in a suite's own simulation", "--plant", "--parameters", "--randomize", "--record")
        return get_suite_task(name)

    def _system(self, artifact: Artifact, name: str) -> int:
        """Run a policy on an analytic system, report and return the exit code."""
        self._refuse(f"{name!r} is an analytic model", "--fas", "--plant", "--parameters", "--randomize", "--record", "--video")
        quiet = str(self.json) == "-"
        with Progress(name, "control periods", quiet) as progress:
            summary = evaluate_system(
                get_system(name), artifact.policy(), episodes=self._count, seed=self._first, replan=self.replan or 1, progress=progress
            )
        if self.plot:
            save_chart(summary, self.plot)
        if self.json:
            write_json(summary, self.json)
        if self.evidence:
            artifact.with_evidence("eval-model", {key: value for key, value in summary.items() if key != "per_episode"}).save(self.policy)
        if not quiet:
            self._report(summary)
        return 0

    def _refuse(self, why: str, *options: str) -> None:
        asked = {
            "--fas": self.fas,
            "--plant": self.plant != "mujoco",
            "--parameters": self.parameters,
            "--randomize": self.randomize,
            "--record": self.record,
            "--replan": self.replan,
            "--video": self.video,
        }
        if refused := [option for option in options if asked[option]]:
            raise ValueError(f"{why}, so {' and '.join(refused)} cannot be used with it")

    def _over_ros(self, task: Task, parameters: Mapping[str, float], replan: int | None, progress: Progress) -> dict[str, Any]:
        if self.video:
            raise ValueError(f"--video is not available with --plant {ROS}; it works with the simulators")
        if self.engine not in task.plants:
            raise ValueError(f"unknown engine {self.engine!r}; {strict.suggest(self.engine, task.plants)}")
        if self._count < 1 or self._first < 0:
            raise ValueError(f"episodes must be >= 1 and seed >= 0, got {self._count} and {self._first}")
        from isthmus_ros.coordinator import RosError, evaluate_over_ros

        done = 0

        def count(episode: Any) -> None:
            nonlocal done
            done += 1
            progress(done, self._count, f"return {episode.total_reward:.1f}")

        try:
            result = evaluate_over_ros(
                task,
                self.policy,
                range(self._first, self._first + self._count),
                clock=self.clock,
                plant=self.engine,
                parameters=parameters,
                replan=replan,
                record=self.record / ROS if self.record else None,
                monitor=self.monitor,
                attach=self.attach,
                progress=count,
            )
        except RosError as error:
            raise ValueError(str(error)) from None
        cadence = {**result.cadence, "clock": result.clock, "steps_per_second": result.steps_per_second}
        summary = summarize(task.name, ROS, self._first, result.episodes, cadence)
        if task.specification:
            summary["specification"] = satisfaction(
                task.specification.formula, np.array([episode.robustness for episode in result.episodes])
            )
        if self.monitor:
            summary["specification"]["monitor_agrees"] = sum(episode.agrees for episode in result.episodes)
        return summary

    def _report(self, summary: Mapping[str, Any]) -> None:
        reward, success = summary["return"], summary["success"]
        say(f"{summary['episodes']} episodes of {summary['task']} in {summary['plant']}, seeds from {summary['seed']}")
        asked: Mapping[str, Any] = summary.get("specification") or {}
        planned = "plans" in asked  # a system, whose return is robustness
        names = ("robustness of what was executed", "executed satisfies the specification") if planned else ("return", "success rate")
        rows = [(names[0], f"{reward['mean']:.2f}", f"{reward['low']:.2f} … {reward['high']:.2f}")]
        shares = [(names[1], success)]
        if planned:
            shares += [("executed is safe", asked["safe"]), ("first plan satisfies the specification", asked["first_plan"])]
        elif asked:
            robustness = asked["robustness"]
            shares.append(("satisfies the specification", asked["satisfied"]))
            rows.append(("robustness", f"{robustness['mean']:.3f}", f"{robustness['low']:.3f} … {robustness['high']:.3f}"))
        rows += [(what, f"{share['rate']:.3f}", f"{share['low']:.3f} … {share['high']:.3f}") for what, share in shares if share]
        show_table("", ("", "mean", "95 % interval"), rows)
        if (agreed := asked.get("monitor_agrees")) is not None:
            say(f"the monitor agrees on {agreed} of {summary['episodes']} runs")
        if asked.get("plans") is not None:
            say(f"all plans: {asked['plans']:.3f} satisfy it; the backup took over in {asked['backup']:.3f} of the decisions")
        times = (summary["cadence"].get("inference_ms") or {}).get("p99")
        if times is not None:
            say(f"inference, 99th percentile: {times:.3f} ms for {summary['cadence'].get('rows', 1)} row(s)")
        for episode in summary["per_episode"]:
            if episode.get("diverged"):
                say(f"the physics of episode {episode['seed']} exploded after {episode['steps']} steps")
            if episode.get("stopped_by_guard"):
                say(f"the guard stopped episode {episode['seed']} after {episode['steps']} steps: {episode['stopped_by_guard']}")
        self._say_files()

    def _say_files(self) -> None:
        for name, path in (("json", self.json), ("video", self.video), ("traces", self.record), ("plot", self.plot)):
            if path:
                say(f"{name}: {path}")


def check_outputs(*paths: Path | None) -> None:
    """See that files can be written, before hours are spent on what goes into them.

    Raises:
        ValueError: a path is a folder or cannot be written to.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the path of a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"cannot write {path}: {error.strerror}") from None
        if not os.access(path.parent, os.W_OK):
            raise ValueError(f"cannot write {path}: no permission in {path.parent}")


def parse_parameters(texts: tuple[str, ...], table: Mapping[str, Parameter]) -> dict[str, float]:
    """Read `NAME=VALUE` texts; `table` holds the parameters of the task.

    Raises:
        ValueError: not of that form, given twice, unknown or out of range.
    """
    parameters: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = np.nan
        if not equals or not np.isfinite(number):
            raise ValueError(f"a parameter is NAME=VALUE with a finite number, such as payload=1.5, got {text!r}")
        if name in parameters:
            raise ValueError(f"parameter {name!r} is given twice")
        parameters[name] = number
    parameter_rows(table, {name: np.array([value]) for name, value in parameters.items()}, 1)
    return parameters
