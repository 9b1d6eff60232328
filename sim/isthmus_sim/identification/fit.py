"""Forward simulation: parameters whose simulated windows lie nearest to the measured ones.

The initial state of every window is free: to first order it is eliminated by projecting residuals onto what no initial state explains, so that it
costs the optimiser no unknowns. Residuals are in multiples of the noise; a soft-L1 loss keeps a few bad samples from deciding; several starts tell
whether the answer depends on where the search began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mujoco import minimize
from scipy.stats import qmc

from isthmus.records import Array
from isthmus_sim.identification.linear import differences, free_starts, prior_terms, refine_starts, stepped
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.windows import Windows

__all__ = ["Fit", "FitOptions", "audit", "fit"]

_INSIDE = 0.02  # of the range: how far inside its bounds a search begins
_FEW = 12  # windows of the first, coarse search
_LOSS = 3.0  # multiples of the noise, or of the usual residual, beyond which a residual counts linearly
_SAME = 0.01  # of the range: ends of searches that differ by less are one
_NEAR = 4.0  # of the loss: an end that is worse by less is as good
_COARSE, _FINE = 10, 6  # most evaluations of a search


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to search.

    Attributes:
        starts: number of starts; the first one is the nominal model.
        seed: of the others.
        passes: times that initial states are improved and everything is fitted again.
    """

    starts: int = 4
    seed: int = 0
    passes: int = 2


@dataclass(frozen=True, slots=True)
class Fit:
    """What a search found.

    Attributes:
        values: best parameters, `[p]`.
        cost: robust, of the best.
        minima: every distinct end of a search whose cost is near the best one (of objects: every set that is as likely), `[m, p]`; the first is the
            best.
        costs: of these, `[m]`.
        ends: of all searches, `[s, p]`.
        starts: initial states of the windows at the best.
        finished: False after Ctrl-C: the best so far.
        trust: by which the squares of each window count, `[W]`; None where they count alike.
    """

    values: Array
    cost: float
    minima: Array
    costs: Array
    ends: Array
    starts: Starts
    finished: bool
    trust: Array | None = None


def fit(
    rollouts: Rollouts,
    windows: Windows,
    options: FitOptions,
    *,
    first: Array | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Fit:
    """Search from several starts on few windows, then from the distinct ends on all.

    Args:
        rollouts: simulates.
        windows: what was measured.
        options: how to search.
        first: where the first search begins, `[p]`; by default at the nominal values.
        progress: told of each stage.
        stop: asked between evaluations; True ends the search with the best so far.
    """
    problem = rollouts.problem
    tell, ended = progress or (lambda done, total, news: None), stop or (lambda: False)
    begins = _begins(problem, options, first)
    few = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(_FEW, len(windows))).astype(int)))
    coarse = Rollouts(problem, finer=0.5, threads=rollouts.threads)
    total = len(begins) + options.passes + 1
    ends: list[tuple[Array, float]] = []
    for begin in begins:
        if ended() and ends:
            break
        near, _ = _search(coarse, few, coarse.starts(few), begin, _COARSE, ended)
        ends.append(_search(coarse, few, coarse.starts(few), near, _FINE, ended))  # with what initial states explain there
        tell(len(ends), total, f"start {len(ends)}: loss {ends[-1][1]:.4g}")
    ends.sort(key=lambda end: end[1])
    (best, least), starts = ends[0], rollouts.starts(windows)
    cost = np.inf
    for done in range(options.passes):
        if ended():
            break
        starts = refine_starts(rollouts, windows, best, starts)
        best, cost = _search(rollouts, windows, starts, best, _FINE, ended)
        tell(len(begins) + done + 1, total, f"all windows: loss {cost:.4g}")
    minima = [(best, cost)]
    for end, other in ends[1:]:
        if ended() or np.abs(end - ends[0][0]).max() < _SAME or other > 2 * least + 50:
            continue
        found, at = _search(rollouts, windows, starts, end, _FINE, ended)
        if at < cost + _NEAR and all(np.abs(found - one).max() > _SAME for one, _ in minima):
            minima.append((found, at))
    minima.sort(key=lambda one: one[1])
    rollouts.steps, rollouts.sets = rollouts.steps + coarse.steps, rollouts.sets + coarse.sets
    tell(total, total, "")
    places = problem.values_of(np.array([place for place, _ in minima]))
    costs = np.array([at for _, at in minima])
    return Fit(places[0], float(costs[0]), places, costs, problem.values_of(np.array([end for end, _ in ends])), starts, not ended())


def audit(rollouts: Rollouts, windows: Windows) -> None:
    """See that every parameter changes what is measured, on this motion.

    Raises:
        ValueError: one does not; the message names it.
    """
    problem = rollouts.problem
    few = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(8, len(windows))).astype(int)))
    centre = _begins(problem, FitOptions(starts=1), None)[0]
    candidates = np.concatenate([centre[None], *(stepped(centre, index, 0.05)[None] for index in range(len(centre)))])
    found = rollouts.residual(few, problem.values_of(candidates), rollouts.starts(few))
    idle = [name for name, moved in zip(problem.names, found[1:] - found[0], strict=True) if not np.abs(moved).max() > 1e-9]
    if idle:
        raise ValueError(
            f"parameter {idle[0]!r} is NOT IDENTIFIABLE: it changes nothing that was measured in this motion; take it out of the unknown ones"
            + (f"; nor do {', '.join(idle[1:])}" if idle[1:] else "")
        )


def _search(rollouts: Rollouts, windows: Windows, starts: Starts, begin: Array, most: int, stop: Callable[[], bool]) -> tuple[Array, float]:
    """MuJoCo's bounded Levenberg–Marquardt, derivatives by one batch; returns shares `[p]` and the robust cost."""
    problem = rollouts.problem
    values = problem.values_of(begin)
    free = free_starts(rollouts, windows, values, starts)
    left = free.of(rollouts.residual(windows, values[None], starts)[0])
    usual = 1.4826 * float(np.median(np.abs(left)))  # what a wrong model leaves everywhere is not what a bad sample leaves
    _, weights = prior_terms(problem, begin)
    informed = weights > 0
    best = (begin, np.inf)

    def residual(shares: Array) -> Array:
        candidates = shares.T
        found = rollouts.residual(windows, problem.values_of(candidates), starts)
        prior = np.stack([prior_terms(problem, candidate)[0][informed] for candidate in candidates])
        return np.concatenate([np.stack([free.of(one).ravel() for one in found]), prior], axis=1).T

    def watch(trace: Sequence[Any]) -> None:
        nonlocal best
        if trace[-1].objective < best[1]:
            best = (trace[-1].candidate.ravel().copy(), float(trace[-1].objective))
        if stop():
            raise _StoppedError

    def jacobian(shares: Array, _: Array) -> Array:
        _, slopes = differences(rollouts, windows, starts, shares.ravel(), free)
        return np.concatenate([slopes.reshape(-1, len(begin)), np.diag(weights)[informed]])

    try:
        found, trace = minimize.least_squares(
            np.clip(begin, _INSIDE / 2, 1 - _INSIDE / 2),
            residual,
            bounds=[np.zeros(len(begin)), np.ones(len(begin))],
            norm=_SoftL1(_LOSS * max(usual, 1.0)),
            jacobian=jacobian,
            xtol=1e-5,
            gtol=1e-3,
            max_iter=most,
            verbose=0,
            x_scale="jac",
            iter_callback=watch,
        )
    except _StoppedError:
        return best
    return found.ravel(), float(trace[-1].objective)


class _StoppedError(Exception):
    """The user wants no more."""


class _SoftL1(minimize.Norm):
    """Σ c² (√(1 + (r / c)²) − 1): quadratic near 0, linear beyond c."""

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def value(self, r: Array) -> float:
        return float((self._scale**2 * (np.sqrt(1 + (r / self._scale) ** 2) - 1)).sum())

    def grad_hess(self, r: Array, proj: Array) -> tuple[Array, Array]:
        weight = 1 / np.sqrt(1 + (r / self._scale) ** 2)
        weighted = proj * weight
        return weighted.T @ r, weighted.T @ proj  # of the Hessian, what iteratively reweighted least squares takes


def _begins(problem: Problem, options: FitOptions, first: Array | None) -> list[Array]:
    """Shares at which searches begin: the nominal model, moved off its bounds, and a Latin hypercube."""
    nominal = problem.shares_of(problem.nominal if first is None else first)
    begins = [np.clip(nominal, _INSIDE, 1 - _INSIDE)]
    if options.starts > 1:
        drawn = qmc.LatinHypercube(len(nominal), rng=np.random.default_rng(options.seed)).random(options.starts - 1)
        begins += list(_INSIDE + (1 - 2 * _INSIDE) * drawn)
    return begins
