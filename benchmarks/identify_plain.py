"""The arm of `identify.py` as one would identify it without isthmus: `scipy.optimize.least_squares` over a loop of `mj_step`, on one thread.

The same windows, starts, noise, bounds and delay; initial states are fixed, there is one start and no interval.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from scipy.optimize import least_squares

from isthmus_sim.identification.logs import Log, quality
from isthmus_sim.identification.windows import Windows, cut_windows, signal_noise

__all__ = ["plain_fit"]

_TIMESTEP = 0.001  # s
_WINDOW = 0.4  # s


def plain_fit(
    logs: Sequence[Log], low: np.ndarray, high: np.ndarray, nominal: np.ndarray, text: Callable[[np.ndarray], str]
) -> dict[str, object]:
    """Fit; returns values, sets and CPU seconds.

    Args:
        logs: recordings.
        low: bounds; the delay of the commands comes last.
        high: likewise.
        nominal: where the search begins.
        text: MJCF of parameters without the delay.
    """
    noise = {kind: signal_noise(logs, [quality(log) for log in logs], kind) for kind in ("position", "velocity")}
    windows = cut_windows(logs, noise, _WINDOW)
    sets = 0

    def residual(shares: np.ndarray) -> np.ndarray:
        nonlocal sets
        sets += 1
        values = low + shares * (high - low)
        model = mujoco.MjModel.from_xml_string(text(values[:-1]))
        return np.concatenate([_window(model, logs[log], windows, row, values[-1]) for row, log in enumerate(windows.log)])

    began = time.process_time()
    begin = np.clip((nominal - low) / (high - low), 0.02, 0.98)
    found = least_squares(residual, begin, bounds=(0, 1), loss="soft_l1", f_scale=3.0, diff_step=1e-4, xtol=1e-5, ftol=1e-5, max_nfev=20)
    return {"values": low + found.x * (high - low), "sets": sets, "cpu_seconds": time.process_time() - began}


def _window(model: mujoco.MjModel, log: Log, windows: Windows, row: int, delay: float) -> np.ndarray:
    """Residuals of one window; a command holds until the next one, and counts by the share of a step that it is there."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = windows.position[row], windows.velocity[row]
    per = round(log.period / _TIMESTEP)
    count = windows.moments.shape[1]
    at = (windows.begin[row] + _TIMESTEP * np.arange((count - 1) * per) - delay) / log.period
    index = np.clip(np.floor(at + 1e-9).astype(int), 0, len(log.command) - 2)
    share = np.clip((at - index + _TIMESTEP / log.period - 1) / (_TIMESTEP / log.period), 0.0, 1.0)[:, None]
    control = (1 - share) * log.command[index] + share * log.command[index + 1]
    shown = np.empty((count, 2 * model.nq))
    for sample in range(count):
        shown[sample, : model.nq], shown[sample, model.nq :] = data.qpos, data.qvel
        if sample + 1 < count:
            for step in range(sample * per, (sample + 1) * per):
                data.ctrl[:] = control[step]
                mujoco.mj_step(model, data)
    return ((shown - windows.measured[row]) * windows.weight[row]).ravel()
