"""The arm of `identify.py` by `mujoco.sysid`, which needs the extra `mujoco[sysid]`: without it that module is empty, and says nothing.

The same windows, starts, noise and bounds. It has no delay of commands, so each rollout is given commands that are late by the present estimate, by
its hook for rollouts of one's own; initial states are fixed, as it cannot free them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import mujoco
import numpy as np

from isthmus_sim.identification.commands import Commands
from isthmus_sim.identification.logs import Log, quality
from isthmus_sim.identification.windows import cut_windows, signal_noise

__all__ = ["has_sysid", "sysid_fit"]

_TIMESTEP = 0.001  # s
_WINDOW = 0.4  # s
_MOST = 20  # iterations
_APART = 1000.0  # s between the times of two logs


def has_sysid() -> bool:
    """Whether `mujoco.sysid` has anything in it."""
    from mujoco import sysid

    return hasattr(sysid, "optimize")


def sysid_fit(
    logs: Sequence[Log],
    low: np.ndarray,
    high: np.ndarray,
    nominal: np.ndarray,
    names: Sequence[str],
    text: Callable[[np.ndarray], str],
    most: int = _MOST,
) -> dict[str, Any]:
    """Fit; returns values and CPU seconds.

    Args:
        logs: recordings.
        low: bounds; the delay of the commands comes last.
        high: likewise.
        nominal: where the search begins.
        names: of the parameters.
        text: MJCF of parameters without the delay.
        most: iterations.
    """
    from mujoco import sysid

    noise = {kind: signal_noise(logs, [quality(log) for log in logs], kind) for kind in ("position", "velocity")}
    windows, joints = cut_windows(logs, noise, _WINDOW), logs[0].joints
    sensors = "".join(f'<jointpos name="{one}_p" joint="{one}"/><jointvel name="{one}_v" joint="{one}"/>' for one in joints)

    def model_of(values: np.ndarray) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(text(values).replace("</mujoco>", f"<sensor>{sensors}</sensor></mujoco>"))

    model = model_of(nominal[:-1])
    order = [index for joint in range(len(joints)) for index in (joint, joint + len(joints))]  # position and velocity of each joint
    mapping = sysid.TimeSeries.compute_all_sensor_mapping(model)
    commands = [Commands(log.command_time, log.command) for log in logs]
    begin = windows.begin + _APART * windows.log  # so that a time tells the log
    span = _TIMESTEP * np.arange(round(windows.moments[0, -1] / _TIMESTEP) + 1)
    measured = [
        sysid.SystemTrajectory(
            model=model,
            control=sysid.TimeSeries(begin[row] + span[:-1], _late(commands, begin[row] + span, 0.0)),
            sensordata=sysid.TimeSeries(begin[row] + windows.moments[row], windows.measured[row][:, order], mapping),
            initial_state=np.concatenate([[begin[row]], windows.position[row], windows.velocity[row]]),
            state=None,
        )
        for row in range(len(windows))
    ]
    parameters = sysid.ParameterDict()
    for name, one, least, largest in zip(names, nominal, low, high, strict=True):
        inside = 0.02 * (largest - least)
        parameters.add(sysid.Parameter(name, float(np.clip(one, least + inside, largest - inside)), float(least), float(largest)))

    def rollout(*, control_signal: Any, param_dicts: Any, **rest: Any) -> Any:
        late = [
            sysid.TimeSeries(control.times, _late(commands, np.append(control.times, control.times[-1] + _TIMESTEP), one.as_vector()[-1]))
            for control, one in zip(control_signal, param_dicts, strict=True)
        ]
        return sysid.sysid_rollout(control_signal=late, **rest)

    weights = {f"{joint}_{kind[0]}": float(1 / noise[kind][index]) for index, joint in enumerate(joints) for kind in noise}
    residual = sysid.build_residual_fn(
        models_sequences=[_Sequences(measured)],
        build_model=lambda params, _: model_of(params.as_vector()[:-1]),
        custom_rollout=rollout,
        sensor_weights=weights,
        n_threads=1,
    )
    began = time.process_time()
    found, _ = sysid.optimize(parameters, residual, max_iters=most, x_scale="jac", verbose=False)
    return {"values": found.as_vector(), "cpu_seconds": time.process_time() - began, "windows": len(windows)}


class _Sequences:
    """What `sysid.residual` reads of its `ModelSequences`."""

    spec = None

    def __init__(self, measured: list[Any]) -> None:
        self.measured_rollout = measured


def _late(commands: Sequence[Commands], edges: np.ndarray, delay: float) -> np.ndarray:
    log = round(edges[0] // _APART)
    return commands[log].averaged(edges[None] - _APART * log, delay, 0.0)[0]
