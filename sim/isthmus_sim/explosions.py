"""Physics that exploded: which rows, and what is left of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from isthmus.monitors import finite
from isthmus.records import Array, Measurement

__all__ = ["exploded", "kept_finite", "quiet_mujoco"]


@contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Drop what MuJoCo says on stderr, and in a file of the working directory, of instability that is expected and of models that are others'."""
    if importlib.util.find_spec("mujoco") is None:
        yield
        return
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def exploded(truth: Measurement) -> Array:
    """Rows `[B]` in which anything is NaN or infinite."""
    rows = np.zeros(truth.batch, dtype=bool)
    for values in (truth.position, truth.velocity, *truth.poses.values(), *truth.twists.values()):
        if not finite(values):
            rows |= ~np.isfinite(values).all(axis=1)
    return rows


def kept_finite(rows: Array, before: Measurement, after: Measurement) -> Measurement:
    """`after`, but positions, velocities, poses and twists of `before` in the rows of a mask `[B]`: they stay where they were."""

    def pick(a: Array, b: Array) -> Array:
        return np.where(rows[:, None], a, b)

    return Measurement(
        stamp=after.stamp,
        joints=after.joints,
        position=pick(before.position, after.position),
        velocity=pick(before.velocity, after.velocity),
        effort=after.effort if before.effort is None or after.effort is None else pick(before.effort, after.effort),
        poses={name: pick(before.poses[name], values) for name, values in after.poses.items()},
        twists={name: pick(before.twists[name], values) for name, values in after.twists.items()},
        wrenches=after.wrenches,
        images=after.images,
    )
