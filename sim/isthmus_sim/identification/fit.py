"""Forward simulation: parameters whose simulated windows lie nearest to the measured ones.

The initial state of every window is free: to first order it is eliminated by projecting residuals onto what no initial state explains, so that it
costs the optimiser no unknowns. Residuals are in multiples of the noise; a soft-L1 loss keeps a few bad samples from deciding; several starts tell
whether the answer depends on where the search began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import qmc

from isthmus.records import Array
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.windows import Windows

__all__ = ["Fit", "FitOptions", "Linear", "audit", "fit", "linearise", "refine_starts"]

_STEP = 1e-4  # of the range: difference for derivatives
_INSIDE = 0.02  # of the range: how far inside its bounds a search begins
_FEW = 20  # windows of the first, coarse search
_LOSS = 3.0  # multiples of the noise beyond which a residual counts linearly
_START_STEP = np.array([1e-4, 1e-3])  # rad, rad/s: differences of initial states
_COARSE, _FINE = 15, 12  # most evaluations of a search


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
class Linear:
    """The problem around a point: residuals, their derivatives, both without what initial states explain.

    Attributes:
        residual: `[W, N * K]`.
        jacobian: for parameters as shares of their ranges, `[W, N * K, p]`.
        prior: residuals of the prior, `[p]`; 0 where there is none.
        weights: 1 / (sd of the prior as a share of the range), `[p]`; 0 where there is none.
        nuisance: numbers that were eliminated.
    """

    residual: Array
    jacobian: Array
    prior: Array
    weights: Array
    nuisance: int

    @property
    def freedom(self) -> int:
        """Samples less unknowns."""
        return max(int(np.count_nonzero(self.residual)) - self.nuisance - self.jacobian.shape[2], 1)

    @property
    def chi2(self) -> float:
        """Per degree of freedom."""
        return float((self.residual**2).sum()) / self.freedom


@dataclass(frozen=True, slots=True)
class Fit:
    """What a search found.

    Attributes:
        values: best parameters, `[p]`.
        cost: robust, of the best.
        minima: every distinct end of a search whose cost is near the best one, `[m, p]`; the first is the best.
        costs: of these, `[m]`.
        ends: of all searches, `[s, p]`.
        starts: initial states of the windows at the best.
        finished: False after Ctrl-C: the best so far.
    """

    values: Array
    cost: float
    minima: Array
    costs: Array
    ends: Array
    starts: Starts
    finished: bool


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
    total = len(begins) + options.passes
    ends, costs = [], []
    for index, begin in enumerate(begins):
        if ended() and ends:
            break
        found, cost = _search(rollouts, few, rollouts.starts(few), begin, _COARSE, project=False, stop=ended)
        ends.append(found)
        costs.append(cost)
        tell(index + 1, total, f"start {index + 1}: loss {cost:.4g}")
    order = np.argsort(costs)
    best, cost, starts, distinct = ends[order[0]], np.inf, rollouts.starts(windows), [ends[order[0]]]
    for _ in range(options.passes):
        if ended():
            break
        starts = refine_starts(rollouts, windows, best, starts)
        best, cost = _search(rollouts, windows, starts, best, _FINE, project=True, stop=ended)
        tell(len(begins) + 1, total, f"all windows: loss {cost:.4g}")
    others, other_costs = [best], [cost]
    for index in order[1:]:
        near = np.abs(ends[index] - ends[order[0]]).max() < 0.01
        if near or ended() or costs[index] > 2 * costs[order[0]] + 50:
            continue
        found, other = _search(rollouts, windows, starts, ends[index], _FINE, project=True, stop=ended)
        if other < cost + 4 and all(np.abs(found - one).max() > 0.01 for one in others):
            others.append(found)
            other_costs.append(other)
    tell(total, total, "")
    del distinct
    rank = np.argsort(other_costs)
    minima = _values(problem, np.array(others)[rank])
    return Fit(minima[0], float(min(other_costs)), minima, np.array(other_costs)[rank], _values(problem, np.array(ends)), starts, not ended())


def refine_starts(rollouts: Rollouts, windows: Windows, shares: Array, starts: Starts) -> Starts:
    """Initial states moved to where the windows fit best, one linear step; never further than 20 times the noise says."""
    values = _values(rollouts.problem, shares)
    base, slopes = _start_slopes(rollouts, windows, values, starts)
    change = np.stack([np.linalg.lstsq(slope, -residual, rcond=1e-8)[0] for slope, residual in zip(slopes, base, strict=True)])
    most = 20 * np.concatenate([_spread(windows, "position"), np.maximum(_spread(windows, "position") / windows.moments.max() * 20, 0.02)])
    if starts.setpoint.size:
        most = np.concatenate([most, np.full(starts.setpoint.shape[1], 0.2)])
    return starts.moved(np.clip(change, -most, most))


def linearise(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> Linear:
    """The problem around parameters `[p]`, in chunks of windows."""
    problem = rollouts.problem
    shares = _shares(problem, values)
    base, slopes = _start_slopes(rollouts, windows, values, starts)
    bases = _bases(slopes)
    residual, jacobian = _differences(rollouts, windows, starts, shares, bases)
    prior, weights = _prior(problem, shares)
    nuisance = sum(basis.shape[1] for basis in bases)
    return Linear(residual, jacobian, prior, weights, nuisance)


def audit(rollouts: Rollouts, windows: Windows) -> None:
    """See that every parameter changes what is measured, on this motion.

    Raises:
        ValueError: one does not; the message names it.
    """
    problem = rollouts.problem
    few = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(8, len(windows))).astype(int)))
    centre = _begins(problem, FitOptions(starts=1), None)[0]
    candidates = np.concatenate([centre[None], *(_stepped(centre, index, 0.05)[None] for index in range(len(centre)))])
    found = rollouts.residual(few, _values(problem, candidates), rollouts.starts(few))
    idle = [name for name, moved in zip(problem.names, found[1:] - found[0], strict=True) if not np.abs(moved).max() > 1e-9]
    if idle:
        raise ValueError(
            f"parameter {idle[0]!r} changes nothing that was measured in this motion, so it cannot be found: take it out of the unknown ones"
            + (f"; nor do {', '.join(idle[1:])}" if idle[1:] else "")
        )


def _search(
    rollouts: Rollouts, windows: Windows, starts: Starts, begin: Array, most: int, *, project: bool, stop: Callable[[], bool]
) -> tuple[Array, float]:
    """Bounded least squares from shares `[p]`; returns shares and the robust cost."""
    problem = rollouts.problem
    bases: Sequence[Array] = _bases(_start_slopes(rollouts, windows, _values(problem, begin), starts)[1]) if project else ()
    _, weights = _prior(problem, begin)
    informed = weights > 0
    best = (begin, np.inf)

    def residual(shares: Array) -> Array:
        found = rollouts.residual(windows, _values(problem, shares)[None], starts)[0].reshape(len(windows), -1)
        found = _projected(found, bases)
        prior, _ = _prior(problem, shares)
        return np.concatenate([found.ravel(), prior[informed]])

    def jacobian(shares: Array) -> Array:
        _, slopes = _differences(rollouts, windows, starts, shares, bases)
        return np.concatenate([slopes.reshape(-1, len(shares)), np.diag(weights)[informed]])

    def watch(intermediate_result: object) -> None:
        nonlocal best
        cost, place = float(getattr(intermediate_result, "cost", np.inf)), getattr(intermediate_result, "x", begin)
        if cost < best[1]:
            best = (np.array(place), cost)
        if stop():
            raise StopIteration

    inside = np.clip(begin, _INSIDE / 2, 1 - _INSIDE / 2)
    found = least_squares(
        residual, inside, jacobian, bounds=(0.0, 1.0), loss="soft_l1", f_scale=_LOSS, x_scale="jac", max_nfev=most, ftol=1e-7, xtol=1e-7,
        callback=watch,
    )  # fmt: skip
    return (found.x, float(found.cost)) if found.cost <= best[1] else best


def _differences(rollouts: Rollouts, windows: Windows, starts: Starts, shares: Array, bases: Sequence[Array]) -> tuple[Array, Array]:
    """Projected residual `[W, M]` and its derivatives `[W, M, p]` at shares, by one batch."""
    problem = rollouts.problem
    candidates = np.stack([shares, *(_stepped(shares, index, _STEP) for index in range(len(shares)))])
    found = rollouts.residual(windows, _values(problem, candidates), starts).reshape(len(candidates), len(windows), -1)
    steps = np.array([candidates[index + 1, index] - shares[index] for index in range(len(shares))])
    slopes = np.moveaxis((found[1:] - found[0]) / steps[:, None, None], 0, -1)
    return _projected(found[0], bases), _projected(slopes, bases)


def _start_slopes(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> tuple[Array, Array]:
    """Residual `[W, M]` and its derivatives by initial states `[W, M, n]`."""
    stacked = starts.stacked()
    joints = starts.position.shape[1]
    steps = np.concatenate([np.full(joints, _START_STEP[0]), np.full(joints, _START_STEP[1]), np.full(stacked.shape[1] - 2 * joints, _START_STEP[0])])
    each = [starts, *(starts.moved(np.tile(np.where(np.arange(len(steps)) == index, step, 0.0), (len(windows), 1))) for index, step in enumerate(steps))]
    found = rollouts.residual(windows, np.tile(values, (len(each), 1)), each).reshape(len(each), len(windows), -1)
    return found[0], np.moveaxis((found[1:] - found[0]) / steps[:, None, None], 0, -1)


def _bases(slopes: Array) -> list[Array]:
    """Orthonormal bases of what initial states explain, one per window."""
    bases = []
    for slope in slopes:
        left, size, _ = np.linalg.svd(slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-300), full_matrices=False)
        bases.append(left[:, size > 1e-6 * size[0]] if size[0] > 0 else left[:, :0])
    return bases


def _projected(values: Array, bases: Sequence[Array]) -> Array:
    """Values `[W, M]` or `[W, M, p]` less what initial states explain."""
    if not len(bases):
        return values
    return np.stack([value - basis @ (basis.T @ value) for value, basis in zip(values, bases, strict=True)])


def _begins(problem: Problem, options: FitOptions, first: Array | None) -> list[Array]:
    """Shares at which searches begin: the nominal model, moved off its bounds, and a Latin hypercube."""
    nominal = _shares(problem, problem.nominal if first is None else first)
    begins = [np.clip(nominal, _INSIDE, 1 - _INSIDE)]
    if options.starts > 1:
        drawn = qmc.LatinHypercube(len(nominal), rng=np.random.default_rng(options.seed)).random(options.starts - 1)
        begins += list(_INSIDE + (1 - 2 * _INSIDE) * drawn)
    return begins


def _stepped(shares: Array, index: int, step: float) -> Array:
    moved = shares.copy()
    moved[index] += step if moved[index] + step <= 1.0 else -step
    return moved


def _prior(problem: Problem, shares: Array) -> tuple[Array, Array]:
    """Residuals of the prior and their derivatives, `[p]` each."""
    weights, residual = np.zeros(len(shares)), np.zeros(len(shares))
    values = _values(problem, shares)
    for index, name in enumerate(problem.names):
        if name in problem.prior:
            known = problem.prior[name]
            weights[index] = (problem.high[index] - problem.low[index]) / known.sd
            residual[index] = (values[index] - known.mean) / known.sd
    return residual, weights


def _spread(windows: Windows, kind: str) -> Array:
    chosen = [index for index, (found, _) in enumerate(windows.channels) if found == kind]
    return np.asarray(1 / windows.weight[:, :, chosen].max(axis=(0, 1)))


def _values(problem: Problem, shares: Array) -> Array:
    return np.asarray(problem.low + shares * (problem.high - problem.low))


def _shares(problem: Problem, values: Array) -> Array:
    return np.asarray((values - problem.low) / (problem.high - problem.low))
