"""From recordings to a judged calibration: the stages one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.explosions import quiet_mujoco
from isthmus_sim.identification.calibration import Calibration, Found
from isthmus_sim.identification.estimate import Estimates, estimates, plain_estimates, weak_directions
from isthmus_sim.identification.evolution import evolve
from isthmus_sim.identification.fit import Fit, FitOptions, audit, fit
from isthmus_sim.identification.held_out import HeldOut, complaints, held_out, split
from isthmus_sim.identification.inverse import InverseDynamics, inverse_dynamics
from isthmus_sim.identification.linear import Linear, linearise
from isthmus_sim.identification.logs import Log, Quality, check_log, quality
from isthmus_sim.identification.objects import object_noise
from isthmus_sim.identification.poses import check_moved
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.residuals import Suspect, suspects
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.touch import clear_samples
from isthmus_sim.identification.windows import Windows, cut_windows, moving, signal_noise

__all__ = ["WINDOW", "Identification", "identify"]

WINDOW = {"position": 1.0, "velocity": 0.5, "effort": 0.4}
"""Length of the fitted windows by what is commanded, s: a servo holds a simulation near, an effort does not."""
OBJECT_WINDOW = 0.5
"""The same where all that is unknown is of objects, s."""
_NOISE = 1.3  # χ² per degree of freedom of objects below which what is left is noise
_MISFIT = 2.0  # χ² per degree of freedom from which the model is said to miss something


@dataclass(frozen=True, slots=True)
class Identification:
    """Everything that was found.

    Attributes:
        problem: of the data that were fitted.
        qualities: of the logs.
        remarks: on logs and model, in sentences.
        inverse: what closed form says; None where no effort is known.
        windows: that were fitted.
        found: by the fit.
        linear: the problem around it.
        known: how sure each parameter is.
        weak: what trades with what, in sentences.
        suspects: what the model may miss, the likeliest first.
        prediction: on held-out data.
        objections: why no calibration should be written, in sentences; empty if it may be.
        holdout: what was held out, in words.
        sets: sets of parameters that were simulated.
        timestep: of the physics, s.
    """

    problem: Problem
    qualities: tuple[Quality, ...]
    remarks: tuple[str, ...]
    inverse: InverseDynamics | None
    windows: Windows
    found: Fit
    linear: Linear
    known: Estimates
    weak: tuple[str, ...]
    suspects: tuple[Suspect, ...]
    prediction: HeldOut
    objections: tuple[str, ...]
    holdout: str
    sets: int
    timestep: float

    def plain(self) -> dict[str, Any]:
        """As in `result.json`."""
        return {
            **plain_estimates(self.problem, self.known),
            "held_out": self.prediction.plain(),
            "chi2_dof": self.linear.chi2,
            "weak_directions": list(self.weak),
            "suspects": [suspect.plain() for suspect in self.suspects],
            "objections": list(self.objections),
            "minima": [dict(zip(self.problem.names, place, strict=True)) for place in self.found.minima.tolist()],
            "finished": self.found.finished,
            "logs": {log.name: quality.plain() for log, quality in zip(self.problem.logs, self.qualities, strict=True)},
            "remarks": list(self.remarks),
            "held_out_data": self.holdout,
            "inverse_dynamics": self.inverse.plain(self.problem.names) if self.inverse else None,
            "sets": self.sets,
        }

    def calibration(self) -> Calibration:
        """As in `calibration.yaml`; names that are unknown in several logs apart stand once, as the last one."""
        known, problem = self.known, self.problem
        rows = zip(
            problem.names, known.values, known.sd, known.low, known.high, known.verdicts, problem.units, problem.nominal, strict=True
        )
        return Calibration(
            target=problem.mechanism.target.name,
            parameters={
                name: Found(float(value), float(sd), (float(low), float(high)), verdict, unit, float(nominal))
                for name, value, sd, low, high, verdict, unit, nominal in rows
            },
            covariance=tuple(tuple(float(value) for value in row) for row in known.covariance),
            chi2_dof=self.linear.chi2,
            held_out=self.prediction.plain(),
            data={Path(log.name).name: log.digest for log in problem.logs},
            holdout=self.holdout,
            engine=f"MuJoCo {mujoco.__version__}",
            timestep=self.timestep,
            forced=self.objections,
        )


@quiet_mujoco()
def identify(
    problem: Problem,
    options: FitOptions,
    *,
    holdout: Sequence[Log] = (),
    window: float | None = None,
    first: Array | None = None,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Identification:
    """Fit, judge, and predict what was held out.

    Args:
        problem: with whole logs.
        options: of the search.
        holdout: recordings that are not fitted; without any, the last fifth of each log is not.
        window: length of the fitted windows, s; by default 0.4 for efforts, 0.5 for velocities and for objects alone, 1.0 for positions.
        first: where the first search begins, `[p]`.
        threads: of the engine; None means one per processor.
        progress: told of each stage.
        stop: asked now and then; True ends the search with the best so far.

    Raises:
        ValueError: a log that cannot be used, a parameter that changes nothing, or a delay that is longer than a window.
    """
    remarks = [*problem.mechanism.notes]
    used = () if problem.objects_alone else ("velocity", "effort", "current")
    for log in (*problem.logs, *holdout):
        remarks += [*check_log(log, used), *(f"{log.name}: {remark}" for remark in log.remarks)]
    fitted, tested = (list(problem.logs), list(holdout)) if holdout else split(problem.logs)
    qualities = tuple(quality(log) for log in problem.logs)
    noise = {kind: signal_noise(problem.logs, qualities, kind) for kind in _measured(problem)}
    objects = object_noise(problem.mechanism, problem.logs)
    check_moved(fitted, objects, {name: problem.mechanism.owner(name) for name in problem.names})
    mine = replace(problem, logs=tuple(fitted))
    length = window or (OBJECT_WINDOW if problem.objects_alone else WINDOW[problem.mechanism.mode])
    for unknown in problem.unknown:
        if unknown.name in ("action_delay", "action_lag") and unknown.high > length:
            raise ValueError(
                f"{unknown.name!r} may be {unknown.high:g} s, which is longer than a window of {length:g} s; narrow its bounds"
            )
    if problem.objects_alone:
        clear = [clear_samples(problem.mechanism, log, _unsure(problem)) for log in fitted]
        windows = moving(cut_windows(fitted, noise, length, objects=objects, compared=(), clear=clear), fitted, objects)
    else:
        windows = cut_windows(fitted, noise, length, objects=objects)
    rollouts = Rollouts(mine, threads=threads)
    audit(rollouts, windows)
    inverse = inverse_dynamics(mine)
    if inverse is not None and first is None:
        first = inverse.values
    found = (evolve if problem.objects_alone else fit)(rollouts, windows, options, first=first, progress=progress, stop=stop)
    linear = linearise(rollouts, windows, found.values, found.starts)
    trusted = windows.trusted(found.trust)
    judged = linear if found.trust is None else linearise(rollouts, trusted, found.values, found.starts)
    finer = judged.free.of(Rollouts(mine, finer=2.0, threads=threads).residual(trusted, found.values[None], found.starts)[0])
    pieces = max(round(float(windows.moments.max()) / OBJECT_WINDOW), 1) if problem.objects_alone else 1
    noisy = problem.objects_alone and linear.chi2 < _NOISE
    known = estimates(mine, found, judged, finer, pieces=pieces, noisy=noisy, seed=options.seed)
    theirs = Rollouts(replace(problem, logs=tuple(tested)), threads=threads)
    prediction = held_out(theirs, found.values, noise["position"], objects)
    bounded = [
        f"{name} sits on a bound ({value:.4g} {unit}): widen its bounds, or take it out of the unknown ones"
        for name, value, unit, bound in zip(problem.names, known.values, problem.units, known.at_bound, strict=True)
        if bound
    ]
    nothing = all(verdict == "NOT IDENTIFIABLE" for verdict in known.verdicts)
    objections = (*complaints(prediction), *bounded, *(["no parameter can be identified from this motion"] if nothing else []))
    misses = suspects(rollouts, windows, found, linear) if linear.chi2 > _MISFIT and not problem.objects_alone else ()
    words = ", ".join(Path(log.name).name for log in tested) if holdout else "the last fifth of each log"
    return Identification(
        problem=mine,
        qualities=qualities,
        remarks=tuple(remarks),
        inverse=inverse,
        windows=windows,
        found=found,
        linear=linear,
        known=known,
        weak=tuple(weak_directions(mine, known)),
        suspects=misses,
        prediction=prediction,
        objections=objections,
        holdout=words,
        sets=rollouts.sets,
        timestep=rollouts.timestep,
    )


def _unsure(problem: Problem) -> float:
    """How far from where the model has it an object may be, m."""
    away = np.maximum(problem.high - problem.nominal, problem.nominal - problem.low)
    places = [value for name, value in zip(problem.names, away, strict=True) if name.rpartition(".")[2] in ("x", "y", "z")]
    return float(np.linalg.norm(places))


def _measured(problem: Problem) -> list[str]:
    """Signals of joints that a simulation can be compared with: an effort that drives it is none."""
    logs = problem.logs
    kinds = ["position"]
    if all(log.velocity is not None and np.isfinite(log.velocity).all() for log in logs):
        kinds.append("velocity")
    if problem.mechanism.mode != "effort" and all(log.effort is not None and np.isfinite(log.effort).all() for log in logs):
        kinds.append("effort")
    return kinds
