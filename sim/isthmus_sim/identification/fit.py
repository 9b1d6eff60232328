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
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.trees import groups, joint_trees, parameter_trees
from isthmus_sim.identification.windows import Windows

__all__ = ["Fit", "FitOptions", "Linear", "audit", "fit", "linearise", "project", "refine_starts"]

_STEP = 1e-4  # of the range: difference for derivatives
_INSIDE = 0.02  # of the range: how far inside its bounds a search begins
_FEW = 12  # windows of the first, coarse search
_LOSS = 3.0  # multiples of the noise, or of the usual residual, beyond which a residual counts linearly
_START_STEP = np.array([1e-4, 1e-3])  # rad, rad/s: differences of initial states
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
class Linear:
    """The problem around a point: residuals, their derivatives, both without what initial states explain.

    Attributes:
        residual: `[W, N * K]`.
        jacobian: for parameters as shares of their ranges, `[W, N * K, p]`.
        prior: residuals of the prior, `[p]`; 0 where there is none.
        weights: 1 / (sd of the prior as a share of the range), `[p]`; 0 where there is none.
        bases: of what initial states explain, per window.
    """

    residual: Array
    jacobian: Array
    prior: Array
    weights: Array
    bases: Sequence[Array]

    @property
    def nuisance(self) -> int:
        """Numbers that were eliminated."""
        return sum(basis.shape[1] for basis in self.bases)

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
    places = _values(problem, np.array([place for place, _ in minima]))
    costs = np.array([at for _, at in minima])
    return Fit(places[0], float(costs[0]), places, costs, _values(problem, np.array([end for end, _ in ends])), starts, not ended())


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
    bases = _bases(_start_slopes(rollouts, windows, values, starts)[1])
    residual, jacobian = _differences(rollouts, windows, starts, shares, bases)
    prior, weights = _prior(problem, shares)
    return Linear(residual, jacobian, prior, weights, bases)


def project(linear: Linear, residual: Array) -> Array:
    """A residual `[W, N, K]` less what initial states explain, `[W, N * K]`."""
    return _projected(residual.reshape(len(residual), -1), linear.bases)


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


def _search(rollouts: Rollouts, windows: Windows, starts: Starts, begin: Array, most: int, stop: Callable[[], bool]) -> tuple[Array, float]:
    """MuJoCo's bounded Levenberg–Marquardt, derivatives by one batch; returns shares `[p]` and the robust cost."""
    problem = rollouts.problem
    base, from_starts = _start_slopes(rollouts, windows, _values(problem, begin), starts)
    bases = _bases(from_starts)
    usual = 1.4826 * float(
        np.median(np.abs(_projected(base, bases)))
    )  # what a wrong model leaves everywhere is not what a bad sample leaves
    _, weights = _prior(problem, begin)
    informed = weights > 0
    best = (begin, np.inf)

    def residual(shares: Array) -> Array:
        candidates = shares.T
        found = rollouts.residual(windows, _values(problem, candidates), starts).reshape(len(candidates), len(windows), -1)
        prior = np.stack([_prior(problem, candidate)[0][informed] for candidate in candidates])
        return np.concatenate([np.stack([_projected(one, bases).ravel() for one in found]), prior], axis=1).T

    def watch(trace: Sequence[Any]) -> None:
        nonlocal best
        if trace[-1].objective < best[1]:
            best = (trace[-1].candidate.ravel().copy(), float(trace[-1].objective))
        if stop():
            raise _StoppedError

    def jacobian(shares: Array, _: Array) -> Array:
        _, slopes = _differences(rollouts, windows, starts, shares.ravel(), bases)
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


def _differences(rollouts: Rollouts, windows: Windows, starts: Starts, shares: Array, bases: Sequence[Array]) -> tuple[Array, Array]:
    """Projected residual `[W, M]` and its derivatives `[W, M, p]` at shares, by one batch; what parts do not feel each other is changed at once."""
    problem = rollouts.problem
    trees = parameter_trees(problem.mechanism, problem.names)
    together = groups(trees)
    candidates = np.tile(shares, (len(together) + 1, 1))
    for row, members in enumerate(together):
        for index in members:
            candidates[row + 1] = _stepped(candidates[row + 1], index, _STEP)
    found = rollouts.residual(windows, _values(problem, candidates), starts)
    slopes = np.zeros((*found.shape[1:], len(shares)))
    owners = _channel_trees(problem, windows)
    for row, members in enumerate(together):
        moved = found[row + 1] - found[0]
        for index in members:
            mine = slice(None) if trees[index] < 0 else owners == trees[index]
            slopes[:, :, mine, index] = moved[:, :, mine] / (candidates[row + 1, index] - shares[index])
    flat = found[0].reshape(len(windows), -1)
    return _projected(flat, bases), _projected(slopes.reshape(*flat.shape, len(shares)), bases)


def _start_slopes(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> tuple[Array, Array]:
    """Residual `[W, M]` and its derivatives by initial states `[W, M, n]`, likewise."""
    problem = rollouts.problem
    size, joints = starts.stacked().shape[1], starts.position.shape[1]
    trees = list(joint_trees(problem.mechanism)) * (size // joints)
    steps = np.repeat([_START_STEP[0], _START_STEP[1], _START_STEP[0]], joints)[:size]
    together = groups(trees)
    each = [starts]
    for members in together:
        change = np.zeros(size)
        change[members] = steps[members]
        each.append(starts.moved(np.tile(change, (len(windows), 1))))
    found = rollouts.residual(windows, np.tile(values, (len(each), 1)), each)
    slopes = np.zeros((*found.shape[1:], size))
    owners = _channel_trees(problem, windows)
    for row, members in enumerate(together):
        moved = found[row + 1] - found[0]
        for index in members:
            mine = owners == trees[index]
            slopes[:, :, mine, index] = moved[:, :, mine] / steps[index]
    flat = found[0].reshape(len(windows), -1)
    return flat, slopes.reshape(*flat.shape, size)


def _channel_trees(problem: Problem, windows: Windows) -> Array:
    """The kinematic tree of each compared signal, `[K]`."""
    joints = problem.mechanism.joints
    owner = dict(zip(joints, joint_trees(problem.mechanism), strict=True))
    return np.array([owner[joint] for _, joint in windows.channels])


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
