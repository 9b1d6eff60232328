"""Two real recordings, on your copy of them: what `identify.py --go2` and `--tx40` measure."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.held_out import split
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.inverse import effort_left, inverse_dynamics
from isthmus_sim.identification.mechanism import Servo, find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.signals import Channel, Signals
from isthmus_sim.identification.windows import cut_windows

__all__ = ["go2", "tx40"]


def go2(folder: Path) -> dict[str, object]:
    """First half fitted, second half predicted over 8 s from the measured start."""
    joints = [f"{leg}_{part}" for leg in ("FL", "FR", "RL", "RR") for part in ("hip", "thigh", "calf")]
    names = [f"{joint}_joint" for joint in joints]
    columns = {
        kind: {name: Channel(f"{prefix}_{joint}") for name, joint in zip(names, joints, strict=True)}
        for kind, prefix in (("position", "q"), ("position_command", "target"))
    }
    bounds = {"damping": (0.0, 3.0), "frictionloss": (0.0, 3.0), "gain": (0.5, 2.0), "armature": (0.0, 0.2)}
    unknown = [Unknown(f"{name}.{quantity}", *between) for name in names for quantity, between in bounds.items()]
    file = ParameterFile(
        (*unknown, Unknown("action_delay", 0.0, 0.05)), signals=Signals(Channel("time"), columns), servo={"": Servo(20.0, 1.5)}
    )
    target = find_target(str(folder / "go2.xml"))
    (whole,) = open_logs([folder / "log.csv"], file, target)
    half = whole.time[len(whole.time) // 2]
    first, second = whole.part(-np.inf, half), whole.part(half, np.inf)
    problem = make_problem(target, file, [first])
    began = time.process_time()
    found = identify(problem, FitOptions(1), holdout=[second], window=3.5, threads=1)
    seconds = time.process_time() - began
    later = Rollouts(make_problem(target, file, [second]), threads=1)
    windows = cut_windows([second], {"position": np.ones(len(names))}, 8.0, stride=1.8)
    errors = later.residual(windows, np.stack([problem.nominal, found.known.values]), later.starts(windows))
    nominal, fitted = np.sqrt((errors**2).mean(axis=(1, 2)))
    words = dict(zip(problem.names, found.known.verdicts, strict=True))
    return {
        "nominal_mean_over_joints_rad": round(float(nominal.mean()), 5),
        "fitted_mean_over_joints_rad": round(float(fitted.mean()), 5),
        "fitted_worst_joint_rad": round(float(fitted.max()), 5),
        "joints_within_0.008_rad": f"{int((fitted <= 0.008).sum())} of {len(fitted)}",
        "verdict_of_action_delay": words["action_delay"],
        "chi2_dof": round(found.linear.chi2, 1),
        "cpu_seconds": round(seconds, 1),
        "calibration_written": not found.objections,
        "objections": list(found.objections),
        "named_first": found.suspects[0].effect if found.suspects else "",
    }


def tx40(folder: Path) -> dict[str, object]:
    """Frictions, rotor inertias and offsets of the four joints that are not coupled, in closed form; efforts of the unseen last fifth."""
    names = [f"joint_{number}" for number in range(1, 7)]
    columns = {
        kind: {name: Channel(f"{prefix}{number}") for number, name in enumerate(names, 1)}
        for kind, prefix in (("position", "q"), ("effort", "tau"))
    }
    bounds = {"damping": (0.0, 20.0), "frictionloss": (0.0, 20.0), "armature": (0.0, 1.0)}
    law = {"stiction": (0.0, 20.0), "load_friction": (0.0, 0.9)}
    target = find_target(str(folder / "tx40.urdf"))
    solved = []
    for unknown in (bounds, bounds | law):
        file = ParameterFile(
            tuple(Unknown(f"{name}.{quantity}", *between) for name in names for quantity, between in unknown.items()),
            signals=Signals(Channel("t"), columns),
        )
        ((first,), (last,)) = split(open_logs([folder / "log.csv"], file, target))
        problem = make_problem(target, file, [first])
        found = inverse_dynamics(problem)
        assert found is not None
        solved.append((problem, found, *effort_left(replace(problem, logs=(last,)), found)))
    (problem, found, left, whole), (*_, richer, _) = solved
    rows = {
        name: f"{value:.3g} ± {sd:.2g}"
        for name, value, sd in zip(problem.names, found.values, found.sd, strict=True)
        if name.split(".")[0] in names[:4]
    }
    rows |= {
        f"{name}, effort offset": f"{value:.3g} ± {sd:.2g}"
        for name, value, sd in zip(names[:4], found.offsets[:4], found.offset_sd[:4], strict=True)
    }
    return {
        "found": rows,
        "unseen_effort_left_rms": {name: f"{one:.3g} of {all_:.3g}" for name, one, all_ in zip(names, left, whole, strict=True)},
        "unseen_effort_left_rms_with_stiction_and_load_friction": {
            name: f"{one:.3g} of {all_:.3g}" for name, one, all_ in zip(names, richer, whole, strict=True)
        },
    }
