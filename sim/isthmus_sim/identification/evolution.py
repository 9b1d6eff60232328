"""CMA-ES over the unknown parameters of objects: contacts make the loss rough, with minima that a derivative does not leave.

Hansen, "The CMA Evolution Strategy: A Tutorial" (2016), by the package `cma`. Each generation is one batch of rollouts. It begins in the middle of the
bounds with a deviation of a third of them; at the best that it met the search of `fit` begins.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.fit import loss_scale, soft_l1
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.windows import Windows

__all__ = ["evolve"]

_WINDOWS = 16  # at most
_GENERATIONS = 25
_SPREAD = 1 / 3  # of the range, in the beginning
_NARROW = 0.01  # of the range: deviation at which it ends
_POPULATION = 10


def evolve(
    rollouts: Rollouts,
    windows: Windows,
    seed: int,
    progress: Callable[[int, int, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Array:
    """The best parameters that it meets, `[p]`.

    Args:
        rollouts: simulates.
        windows: what was measured; evenly spread ones are taken if there are many.
        seed: of the draws.
        progress: told of each generation.
        stop: asked after each; True ends the search.
    """
    import cma

    problem, size = rollouts.problem, len(rollouts.problem.names)
    few = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).astype(int)))
    starts = rollouts.starts(few)
    # With one unknown `cma` wants a second: a number that changes nothing.
    options = {"bounds": [0, 1], "seed": seed + 1, "popsize": _POPULATION, "verbose": -9}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = cma.CMAEvolutionStrategy(np.full(max(size, 2), 0.5), _SPREAD, options)
    best, least, scale = np.full(size, 0.5), np.inf, 0.0
    for generation in range(_GENERATIONS):
        drawn = np.array(search.ask())
        residual = rollouts.residual(few, problem.values_of(drawn[:, :size]), starts).reshape(len(drawn), -1)
        scale = scale or loss_scale(residual[np.argmin(np.abs(residual).sum(axis=1))])
        losses = soft_l1(residual, scale).sum(axis=1)
        search.tell(drawn, losses.tolist())
        if losses.min() < least:
            best, least = drawn[int(losses.argmin()), :size], float(losses.min())
        if progress:
            progress(generation + 1, _GENERATIONS, f"generation {generation + 1}: loss {least:.4g}")
        if search.stop() or search.result.stds[:size].max() < _NARROW or (stop and stop()):
            break
    return problem.values_of(best)
