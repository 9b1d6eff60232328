"""`isthmus identify`: fit a model to recordings, and write a calibration if it predicts better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from isthmus import strict
from isthmus.files import write_whole
from isthmus_cli.console import complain, say, show_table, write_json
from isthmus_cli.files import check_folder, check_output
from isthmus_cli.identify.page import page
from isthmus_cli.progress import Progress
from isthmus_policies.interruption import interruption
from isthmus_sim.identification.calibration import calibration_randomization, save_calibration
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import Identification, identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.patched import patched_model
from isthmus_sim.identification.problem import ParameterFile, Problem, make_problem, open_logs, read_parameter_file
from isthmus_sim.randomization import save_randomization

__all__ = ["Identify"]

INTERRUPTED = 130
_BEST = "best.json"
_Files = tuple[tuple[Path, ...], ...]  # `--log a b` and `--log a --log b` are one


@dataclass(frozen=True, slots=True)
class Identify:
    """Fit the parameters of a model to recordings of a robot. A calibration is written only if it predicts data that the fit has not seen better.

    Attributes:
        target: task, robot, or MJCF or URDF file.
        log: recordings: MCAP, CSV, NPZ or text.
        out: folder for report.html, result.json and, if the prediction is better, calibration.yaml, randomization.yaml and the model.
        parameters: YAML file that says what is unknown and how the logs are read; see docs/how-to/identify.md.
        holdout: recordings that are only predicted; by default the last fifth of each log is.
        starts: number of searches, of which the first begins at the nominal model.
        seed: of the other starts, and of the bootstrap.
        window: length of the pieces that are simulated, s; by default 0.4 for efforts, 0.5 for velocities and for objects alone, 1.0 for positions.
        widen: factor on the covariance in randomization.yaml.
        force: write the calibration whatever the held-out data say; that is recorded in it.
        resume: begin at the best fit of an interrupted run in the same folder.
        json: also write result.json to this file; - is stdout.
    """

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    log: Annotated[_Files, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE …")]
    out: Path
    parameters: Path | None = None
    holdout: Annotated[_Files, tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE …")] = ()
    starts: int = 4
    seed: int = 0
    window: float | None = None
    widen: float = 2.0
    force: bool = False
    resume: bool = False
    json: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a file, a name or a number is wrong; nothing has been written then.
        """
        strict.require("--starts", self.starts, least=1)
        strict.require("--widen", self.widen, above=0)
        if self.window is not None:
            strict.require("--window", self.window, above=0)
        logs, others = ([path for group in groups for path in group] for groups in (self.log, self.holdout))
        if not logs:
            raise ValueError("give at least one recording: --log FILE")
        target = find_target(self.target)
        file = read_parameter_file(self.parameters) if self.parameters else ParameterFile()
        problem = make_problem(target, file, open_logs(logs, file, target))
        held = open_logs(others, file, target) if others else []
        first = _best(self.out, problem) if self.resume else None
        quiet = str(self.json) == "-"
        check_folder(self.out)
        if self.json and not quiet:
            check_output(self.json)
        with interruption() as heard, Progress(f"identify {self.target}", "stages", quiet) as progress:
            found = identify(
                problem,
                FitOptions(self.starts, self.seed),
                holdout=held,
                window=self.window,
                first=first,
                progress=progress,
                stop=lambda: heard.asked,
            )
        return self._write(found, quiet)

    def goes_on(self) -> str:
        """The option that goes on after Ctrl-C."""
        return "--resume"

    def _write(self, found: Identification, quiet: bool) -> int:
        problem = found.problem
        written = found.found.finished and (not found.objections or self.force)
        result, report = found.plain(), page(found, written)
        write_json(result, self.out / "result.json")
        if written:
            calibration = found.calibration()
            save_calibration(calibration, self.out / "calibration.yaml")
            randomization = calibration_randomization(calibration, self.widen)
            save_randomization(
                randomization, self.out / "randomization.yaml", f"isthmus identify {self.target}: N(value, {self.widen:g} covariance)"
            )
            (self.out / _BEST).unlink(missing_ok=True)
            if model := problem.mechanism.target.file:
                text, left = patched_model(model, calibration.values)
                write_whole(self.out / f"{model.stem}_calibrated{model.suffix}", text)
                result["not_in_model_file"] = left
        write_whole(self.out / "report.html", report)
        if self.json:
            write_json(result, self.json)
        if not quiet:
            _show(found, self.out)
        if not found.found.finished:
            write_json(dict(zip(problem.names, found.known.values.tolist(), strict=True)), self.out / _BEST)
            complain(f"isthmus: interrupted; the best fit so far is in {self.out / _BEST}, and no calibration was written")
            return INTERRUPTED
        for sentence in found.objections:
            complain(f"isthmus: {sentence}")
        if found.objections:
            complain("isthmus: the calibration was written by --force" if written else "isthmus: no calibration was written")
            return 0 if written else 1
        if not quiet:
            say(f"calibration: {self.out / 'calibration.yaml'}")
        return 0


def _best(out: Path, problem: Problem) -> Any:
    path = out / _BEST
    if not path.is_file():
        raise ValueError(f"{out} holds no interrupted fit ({_BEST}); without --resume one begins")
    data = strict.load_json(path.read_bytes(), str(path))
    if not isinstance(data, Mapping) or set(data) != set(problem.names):
        raise ValueError(f"{path} is of other parameters than are unknown now; without --resume a fit begins anew")
    return np.clip([float(data[name]) for name in problem.names], problem.low, problem.high)


def _show(found: Identification, out: Path) -> None:
    known, problem = found.known, found.problem
    rows = zip(problem.names, problem.nominal, known.values, known.sd, known.low, known.high, problem.units, known.verdicts, strict=True)
    show_table(
        "",
        ("parameter", "nominal", "found", "sd", "95 % interval", "unit", "verdict"),
        [
            (name, f"{nominal:.4g}", f"{value:.5g}", f"{sd:.2g}", f"{low:.5g} … {high:.5g}", unit, verdict)
            for name, nominal, value, sd, low, high, unit, verdict in rows
        ],
    )
    for sentence in (*found.remarks, *found.weak):
        say(sentence)
    say(f"χ² per degree of freedom: {found.linear.chi2:.3g}")
    for suspect in found.suspects:
        say(f"the model may miss: {suspect.effect} (explains {100 * suspect.share:.0f} % of what is left); {suspect.sentence}")
    made = found.prediction
    if problem.objects_alone:
        for row, horizon in enumerate(made.horizons):
            ways = zip(made.joints, made.nominal[row], made.fitted[row], strict=True)
            told = (f"{name} {old:.3g} → {new:.3g} {'rad' if name.endswith(', rotation') else 'm'}" for name, old, new in ways)
            say(f"held out, {horizon:g} s: {'; '.join(told)}")
    for row, horizon in enumerate(() if problem.objects_alone else made.horizons):
        old, new = (float(np.sqrt((table[row] ** 2).mean())) for table in (made.nominal, made.fitted))
        say(
            f"held out, {horizon:g} s: {old:.4g} → {new:.4g} rad or m; at the tool {made.tool_nominal[row]:.3g} → {made.tool_fitted[row]:.3g} mm"
        )
    say(f"report: {out / 'report.html'}")
