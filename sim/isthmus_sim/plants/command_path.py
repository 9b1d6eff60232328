"""The way of a command to the joint: transport delay, constant and anew in every period, then a first-order lag.

The arithmetic is the same for every engine and command mode.

MuJoCo has delays and filters of its own, but a delayed actuator is never faster than one physics step, a velocity servo has no room for a
filter, and a freshly reset one sees the set-point 0. So the commands of all physics steps of a control period are computed here, at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.records import Array
from isthmus_sim.parameters import Parameter

__all__ = ["CommandPath", "CommandPaths"]

_LONGEST = 0.5  # s, of `action_delay`, and of it and `control_jitter` together
_STREAM = 13  # keeps the jitter apart from other draws of the same seed
_BLOCK = 256  # draws at once


class CommandPath:
    """Commands that take effect late.

    With U(t) the running integral of the command, a step from t sees (U(t + dt − d) − U(t − d)) / dt: exact for commands that are held over a
    control period, and continuous in the delay d, so that identification can search for it. The lag τ then moves each step's value by
    1 − exp(−dt / τ) of the way. Jitter makes d longer by a uniform draw, anew in every control period.
    """

    def __init__(self, batch: int, width: int, period: float, steps: int) -> None:
        """Set up.

        Args:
            batch: number of rows.
            width: number of commanded values.
            period: control period, s.
            steps: physics steps per control period.
        """
        self._delay, self._decay = np.zeros(batch), np.zeros(batch)
        self._period, self._steps = period, steps
        self._past = np.zeros((batch, int(_LONGEST / period) + 3, width))  # newest last
        self._lagged = np.zeros((batch, width))
        self._jitter = np.zeros(batch)
        self._generators = [np.random.default_rng([row, _STREAM]) for row in range(batch)]
        self._drawn, self._pushed = np.zeros((batch, _BLOCK)), np.zeros(batch, dtype=np.int64)

    def reset(
        self,
        rows: Array,
        delay: Array | float,
        lag: Array | float,
        resting: Array,
        jitter: Array | float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Begin episodes.

        Args:
            rows: indices, `[n]`.
            delay: `[n]`, s.
            lag: time constant, `[n]`, s.
            resting: what the rows were commanded before their first command, `[n, width]`.
            jitter: longest of the additional delays, `[n]`, s.
            seeds: of their draws; None goes on with what the rows had.
        """
        self._delay[rows], self._jitter[rows], self._pushed[rows] = delay, jitter, 0
        for row, seed in zip(rows.tolist(), seeds if seeds is not None else (), strict=seeds is not None):
            self._generators[row] = np.random.default_rng([seed, _STREAM])
        lags = np.broadcast_to(np.asarray(lag, dtype=np.float64), rows.shape)
        self._decay[rows] = np.where(lags > 0, np.exp(-self._period / self._steps / np.where(lags > 0, lags, 1.0)), 0.0)
        self._past[rows] = resting[:, None]
        self._lagged[rows] = resting

    def follow(self, other: CommandPath, rows: Array, ids: Array) -> None:
        """Let rows `ids` have been commanded what rows `rows` of another path were; their delay and lag stay their own."""
        self._past[ids], self._lagged[ids] = other._past[rows], other._lagged[rows]

    def push(self, command: Array) -> Array:
        """Take the command of the period that begins, `[B, width]`; return that of each of its physics steps, `[B, steps, width]`."""
        self._past[:, :-1] = self._past[:, 1:]
        self._past[:, -1] = command
        prompt = np.repeat(command[:, None], self._steps, axis=1)
        delay = np.minimum(self._delay + self._jittered(), _LONGEST) if np.count_nonzero(self._jitter) else self._delay
        seen = np.where((delay > 0)[:, None, None], self._delayed(delay), prompt)
        return self._filtered(seen) if np.count_nonzero(self._decay) else seen

    def _jittered(self) -> Array:
        """The additional delay of this period, `[B]`."""
        place = self._pushed % _BLOCK
        for row in np.flatnonzero((place == 0) & (self._jitter > 0)).tolist():
            self._drawn[row] = self._jitter[row] * self._generators[row].random(_BLOCK)
        self._pushed += 1
        return np.where(self._jitter > 0, self._drawn[np.arange(place.size), place], 0.0)

    def _delayed(self, delay: Array) -> Array:
        edges = np.arange(self._steps + 1) / self._steps - (delay / self._period)[:, None]  # periods since this one began, [B, steps + 1]
        # The integral is linear between the ends of periods, where it is a running sum.
        total = np.concatenate([np.zeros_like(self._past[:, :1]), np.cumsum(self._past, axis=1)], axis=1)
        place = edges + self._past.shape[1] - 1
        below = np.clip(np.floor(place).astype(np.int64), 0, self._past.shape[1] - 1)
        rows = np.arange(delay.size)[:, None]
        integral = total[rows, below] + (place - below)[:, :, None] * self._past[rows, below]
        return np.asarray(np.diff(integral, axis=1) * self._steps)

    def _filtered(self, seen: Array) -> Array:
        lagged = np.empty_like(seen)
        before, share = self._lagged, (1 - self._decay)[:, None]
        for step in range(self._steps):
            # Rows without a lag get the command itself: x + (c - x) is not always c.
            before = np.where(share < 1, before + share * (seen[:, step] - before), seen[:, step])
            lagged[:, step] = before
        self._lagged = before
        return lagged


class CommandPaths:
    """The command path of a plant's rows, made when the first of them needs one, so that nobody else pays for it.

    Attributes:
        path: None while every command takes effect at once.
    """

    def __init__(self, table: Mapping[str, Parameter], batch: int, width: int, period: float, steps: int) -> None:
        """Read the nominal delay and lag; for the other arguments see `CommandPath`."""
        self.path: CommandPath | None = None
        self._nominal = {name: table[name].nominal for name in ("action_delay", "action_lag", "control_jitter")}
        self._made = (batch, width, period, steps)

    def reset(self, rows: Array, values: Mapping[str, Array], resting: Array, commands: Array, seeds: Sequence[int] | None = None) -> None:
        """Begin episodes.

        Args:
            rows: indices, `[n]`.
            values: parameters of these rows, `[n]` each.
            resting: what they were commanded before their first command, `[n, width]`.
            commands: of all rows now, `[B, width]`.
            seeds: of the rows, None as in `CommandPath.reset`.
        """
        delay, lag, jitter = (values.get(name, nominal) for name, nominal in self._nominal.items())
        late = np.any(delay) or np.any(lag) or np.any(jitter)
        if self.path is None:
            if not late:
                return
            self.path = CommandPath(*self._made)
            others = np.setdiff1d(np.arange(len(commands)), rows)
            self.path.reset(others, 0.0, 0.0, commands[others])
        self.path.reset(rows, *((delay, lag) if late else (0.0, 0.0)), resting, jitter if late else 0.0, seeds)

    def follow(self, other: CommandPaths, rows: Array, ids: Array) -> None:
        """See `CommandPath.follow`."""
        if self.path is not None and other.path is not None:
            self.path.follow(other.path, rows, ids)
