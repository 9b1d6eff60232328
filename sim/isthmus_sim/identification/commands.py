"""What the drives of a robot are told in each physics step, for any delay and lag: continuous in both, so that they can be searched for.

A command is held until the next. With U(t) its running integral, a step from t that sees a delay d gets (U(t + dt − d) − U(t − d)) / dt; behind a
first-order lag τ the integral is known in closed form, too.
"""

from __future__ import annotations

import numpy as np

from isthmus.records import Array

__all__ = ["Commands"]


class Commands:
    """The commands of one log."""

    def __init__(self, time: Array, values: Array) -> None:
        """Take commands.

        Args:
            time: when each begins, s, increasing, `[K]`.
            values: `[K, J]`.
        """
        self._time, self._values = time, values
        steps = np.diff(time)[:, None]
        self._integral = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values[:-1] * steps, axis=0)])

    def averaged(self, edges: Array, delay: float, lag: float) -> Array:
        """Mean command between each two edges.

        Args:
            edges: of physics steps, s, `[W, S + 1]`.
            delay: s.
            lag: time constant, s.

        Returns:
            `[W, S, J]`.
        """
        moments = edges - delay
        integral = self._at(moments) if lag <= 0 else self._lagged(moments, lag)
        return np.asarray(np.diff(integral, axis=1) / np.diff(edges, axis=1)[..., None])

    def _at(self, moments: Array) -> Array:
        """U, `[…, J]`; before the first command that one is taken to have been in force."""
        index = np.clip(np.searchsorted(self._time, moments, side="right") - 1, 0, len(self._time) - 1)
        return np.asarray(self._integral[index] + self._values[index] * (moments - self._time[index])[..., None])

    def _lagged(self, moments: Array, lag: float) -> Array:
        """The integral of y' = (u − y) / τ: that of u less τ y."""
        steps = np.diff(self._time)
        decay = np.exp(-steps / lag)
        state = np.empty_like(self._values)
        state[0] = self._values[0]
        for row, share in enumerate(decay):
            state[row + 1] = self._values[row] + share * (state[row] - self._values[row])
        index = np.clip(np.searchsorted(self._time, moments, side="right") - 1, 0, len(self._time) - 1)
        since = np.maximum(moments - self._time[index], 0.0)[..., None]
        now = self._values[index] + np.exp(-since / lag) * (state[index] - self._values[index])
        return np.asarray(self._at(moments) - lag * now)
