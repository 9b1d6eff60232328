"""What the sensors of simulated rows say: the exact measurement, late and with noise, by the same arithmetic for every engine.

A sample that is late is interpolated between the ends of the two control periods around its time. Noise of a row is drawn from a
generator of its own, in blocks, so that a row of a batch equals a single run bit for bit, and reading twice gives the same sample.
A sample that is lost is the one before it once more, with its noise and its stamp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.records import Array, Measurement

__all__ = ["SENSED", "Sensors"]

SENSED = ("observation_delay", "observation_dropout", "position_noise", "velocity_noise", "pose_noise")
"""Parameters that are added after the physics, here."""

_STREAM = 11  # keeps the noise apart from other draws of the same seed, such as the start of the episode
_DROPS = 12  # and which samples are lost apart from the noise
_BLOCK = 256  # samples of noise drawn at once
_LONGEST = 0.5  # s, of `observation_delay`
_NOISES = {"position": "position_noise", "velocity": "velocity_noise"}


class Sensors:
    """Delay and noise of a batch.

    Attributes:
        late: whether any row's samples are delayed or lost; then `record` must be called every control period.
    """

    def __init__(self, batch: int, period: float) -> None:
        self._period = period
        self._generators = [np.random.default_rng([row, _STREAM]) for row in range(batch)]
        self._drops = [np.random.default_rng([row, _DROPS]) for row in range(batch)]
        self._values = {name: np.zeros(batch) for name in SENSED}
        self._past: deque[Measurement] = deque(maxlen=int(_LONGEST / period) + 2)
        self._noise: dict[str, Array] = {}
        self._block = np.full(batch, -1)
        self._lost = np.zeros((batch, _BLOCK), dtype=np.int64)  # samples in a row that were lost, up to each
        self._lost_block = np.full(batch, -1)
        self.late = False
        self._noisy = False

    def reset(self, rows: Array, seeds: Sequence[int] | None, values: Mapping[str, Array]) -> None:
        """Begin episodes of the rows; what `values` does not name is zero."""
        if seeds is not None:
            for row, seed in zip(rows.tolist(), seeds, strict=True):
                self._generators[row] = np.random.default_rng([seed, _STREAM])
                self._drops[row] = np.random.default_rng([seed, _DROPS])
        if not (self.late or self._noisy or any(name in values for name in self._values)):
            return
        for name, current in self._values.items():
            current[rows] = values.get(name, 0.0)
        self._block[rows] = self._lost_block[rows] = -1
        self._lost[rows] = 0
        self.late = bool(self._values["observation_delay"].any() or self._values["observation_dropout"].any())
        self._noisy = any(self._values[name].any() for name in ("position_noise", "velocity_noise", "pose_noise"))

    def record(self, exact: Measurement) -> None:
        """Remember what is true at the beginning of a control period."""
        self._past.appendleft(exact)

    def sense(self, exact: Measurement, steps: Array) -> Measurement:
        """What the sensors say now.

        Args:
            exact: what is true now.
            steps: control periods since each row's reset, `[B]`.
        """
        if self.late:
            missing = self._missing(steps)
            exact, steps = self._delayed(exact, steps, missing), steps - missing
        return self._noised(exact, steps) if self._noisy else exact

    def _missing(self, steps: Array) -> Array:
        """How many samples were lost since the newest that came, `[B]`; the first of an episode always comes."""
        for row in np.flatnonzero(steps // _BLOCK != self._lost_block).tolist():
            share, run = self._values["observation_dropout"][row], 0
            if not share:
                continue
            first = steps[row] // _BLOCK == 0
            run = 0 if first else int(self._lost[row, -1])
            for place, lost in enumerate((self._drops[row].random(_BLOCK) < share).tolist()):
                run = run + 1 if lost and not (first and place == 0) else 0
                self._lost[row, place] = run
        self._lost_block = steps // _BLOCK
        return np.asarray(np.minimum(self._lost[np.arange(steps.size), steps % _BLOCK], len(self._past)))

    def _delayed(self, exact: Measurement, steps: Array, missing: Array) -> Measurement:
        samples = [exact, *self._past]
        lag = np.minimum(np.minimum(self._values["observation_delay"] / self._period, steps - missing) + missing, len(samples) - 1)
        newer = np.floor(lag).astype(np.int64)
        older = np.minimum(newer + 1, len(samples) - 1)
        share = lag - newer
        rows = np.arange(lag.size)

        def at(values: list[Array]) -> Array:
            stack = np.stack(values)
            weight = share.reshape(-1, *[1] * (stack.ndim - 2))
            # Not a weighted mean where no weight is needed: rows from before a reset may hold anything, NaN too.
            return np.where(weight > 0, stack[newer, rows] * (1 - weight) + stack[older, rows] * weight, stack[newer, rows])

        def pose(values: list[Array]) -> Array:
            # The shorter way between two orientations: q and −q are the same.
            newest = values[0][:, 3:]
            turned = [
                np.concatenate([v[:, :3], v[:, 3:] * np.where((v[:, 3:] * newest).sum(axis=1) < 0, -1.0, 1.0)[:, None]], 1) for v in values
            ]
            mixed = at(turned)
            length = np.sqrt((mixed[:, 3:] ** 2).sum(axis=1))[:, None]
            mixed[:, 3:] /= np.where(share[:, None] > 0, length, 1.0)  # or a late row would change the last bits of the others
            return mixed

        return Measurement(
            stamp=at([sample.stamp for sample in samples]),
            joints=exact.joints,
            position=at([sample.position for sample in samples]),
            velocity=at([sample.velocity for sample in samples]),
            effort=None if exact.effort is None else at([sample.effort for sample in samples if sample.effort is not None]),
            poses={name: pose([sample.poses[name] for sample in samples]) for name in exact.poses},
            twists={name: at([sample.twists[name] for sample in samples]) for name in exact.twists},
            images=exact.images,
        )

    def _noised(self, exact: Measurement, steps: Array) -> Measurement:
        shapes = {"position": exact.position.shape[1], "velocity": exact.velocity.shape[1], **dict.fromkeys(exact.poses, 3)}
        if set(shapes) != set(self._noise):
            self._noise = {name: np.zeros((steps.size, _BLOCK, size)) for name, size in shapes.items()}
        for row in np.flatnonzero(steps // _BLOCK != self._block).tolist():
            for name, size in shapes.items():
                scale = self._values[_NOISES.get(name, "pose_noise")][row]
                self._noise[name][row] = scale * self._generators[row].standard_normal((_BLOCK, size)) if scale else 0.0
        self._block = steps // _BLOCK
        now = {name: noise[np.arange(steps.size), steps % _BLOCK] for name, noise in self._noise.items()}
        return Measurement(
            stamp=exact.stamp,
            joints=exact.joints,
            position=exact.position + now["position"],
            velocity=exact.velocity + now["velocity"],
            effort=exact.effort,
            poses={name: np.concatenate([pose[:, :3] + now[name], pose[:, 3:]], axis=1) for name, pose in exact.poses.items()},
            twists=exact.twists,
            images=exact.images,
        )
