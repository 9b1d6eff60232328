"""The problem around a point: residuals and their derivatives by parameters and by initial states, from one batch of rollouts each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.problem import Problem
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.trees import groups, joint_trees, parameter_trees
from isthmus_sim.identification.windows import Windows

__all__ = [
    "FreeStarts",
    "Linear",
    "differences",
    "free_starts",
    "linearise",
    "prior_terms",
    "refine_starts",
    "start_away",
    "start_basis",
    "start_doubt",
    "start_slopes",
    "stepped",
]

_STEP = 1e-4  # of the range: difference for derivatives
_ROUGH_STEP = 1e-2  # the same where contacts make the loss rough
_START_STEP = np.array([1e-4, 1e-3, 1e-4])  # rad, rad/s, rad: differences of initial positions, velocities and set-points
_FREE = 1e6  # what an initial state of a joint explains, in multiples of the noise, as nothing is known of it beforehand
_OBJECT_STEP = np.repeat([2e-4, 1e-3, 5e-3, 5e-2], 3)  # m, rad, m/s, rad/s: of an object's pose and twist


@dataclass(frozen=True, slots=True)
class FreeStarts:
    """What unknown initial states explain, around the ones that are simulated.

    Of joints nothing is supposed to be known beforehand, so that all they explain is taken out. Of objects the standard deviation of the smoothed
    start is known: what is left after `of` has unit variance if starts and samples are as uncertain as they are said to be.

    Attributes:
        bases: of what is taken out, per window, `[M, n]`; columns are shorter than 1 where it is only in part.
        shift: what the starts' distance from the smoothed ones adds to residuals, `[W, M]`.
    """

    bases: Sequence[Array]
    shift: Array

    @property
    def count(self) -> int:
        """Numbers that were eliminated."""
        return sum(int(((basis**2).sum(axis=0) > 1 - 1 / _FREE**0.5).sum()) for basis in self.bases)

    def subset(self, index: Array) -> FreeStarts:
        """Of some windows."""
        return FreeStarts([self.bases[row] for row in index], self.shift[index])

    def of(self, residual: Array) -> Array:
        """Residuals `[W, …]` less what initial states explain, `[W, M]`."""
        return self.slopes(residual.reshape(self.shift.shape) - self.shift)

    def slopes(self, values: Array) -> Array:
        """Derivatives or differences of residuals, `[W, M]` or `[W, M, p]`, less what initial states explain."""
        return np.stack([value - basis @ (basis.T @ value) for value, basis in zip(values, self.bases, strict=True)])


@dataclass(frozen=True, slots=True)
class Linear:
    """The problem around a point: residuals, their derivatives, both without what initial states explain.

    Attributes:
        residual: `[W, N * K]`.
        jacobian: for parameters as shares of their ranges, `[W, N * K, p]`.
        prior: residuals of the prior, `[p]`; 0 where there is none.
        weights: 1 / (sd of the prior as a share of the range), `[p]`; 0 where there is none.
        free: what initial states explain.
    """

    residual: Array
    jacobian: Array
    prior: Array
    weights: Array
    free: FreeStarts

    @property
    def freedom(self) -> int:
        """Samples less unknowns."""
        return max(int(np.count_nonzero(self.residual)) - self.free.count - self.jacobian.shape[2], 1)

    @property
    def chi2(self) -> float:
        """Per degree of freedom."""
        return float((self.residual**2).sum()) / self.freedom


def refine_starts(rollouts: Rollouts, windows: Windows, shares: Array, starts: Starts) -> Starts:
    """Initial states moved to where the windows fit best, one linear step; those of joints never further than 20 times the noise says."""
    values = rollouts.problem.values_of(shares)
    base, slopes = start_slopes(rollouts, windows, values, starts)
    known, away = 1 / start_doubt(windows, starts), start_away(starts)
    change = np.stack(
        [
            np.linalg.lstsq(np.concatenate([slope, np.diag(each)]), -np.concatenate([residual, each * already]), rcond=1e-8)[0]
            for slope, residual, each, already in zip(slopes, base, known, away, strict=True)
        ]
    )
    most = np.full(starts.size, np.inf)
    most[: starts.of_joints] = 0.2
    joints = starts.position.shape[1]
    if (spread := _spread(windows, "position")).size:
        most[: 2 * joints] = 20 * np.concatenate([spread, np.maximum(spread / windows.moments.max() * 20, 0.02)])
    change = np.clip(change, -most, most)
    if not starts.pose.size:
        return starts.moved(change)
    # A contact that opens or closes meanwhile makes a whole step wrong, so that each window goes as far as it gets better.
    steps = np.array([0.0, 0.1, 0.3, 0.6, 1.0])
    tried = rollouts.residual(windows, np.tile(values, (len(steps), 1)), [starts.moved(step * change) for step in steps])
    left = ((known * (away + steps[:, None, None] * change)) ** 2).sum(axis=2)
    return starts.moved(steps[((tried**2).sum(axis=(2, 3)) + left).argmin(axis=0)][:, None] * change)


def free_starts(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> FreeStarts:
    """What initial states explain around parameters `[p]`."""
    _, slopes = start_slopes(rollouts, windows, values, starts)
    bases = [start_basis(slope, sd) for slope, sd in zip(slopes, start_doubt(windows, starts), strict=True)]
    return FreeStarts(bases, np.einsum("wmn,wn->wm", slopes, -start_away(starts)))


def start_basis(slopes: Array, sd: Array) -> Array:
    """What initial states explain of a window, `[M, n]`, from derivatives `[M, n]` and standard deviations `[n]`, see `FreeStarts`."""
    free = np.where(np.isinf(sd), _FREE / np.maximum(np.linalg.norm(slopes, axis=0), 1e-300), sd)
    left, size, _ = np.linalg.svd(slopes * free, full_matrices=False)
    return np.asarray(left * np.sqrt(1 - 1 / np.sqrt(1 + size**2)))


def start_doubt(windows: Windows, starts: Starts) -> Array:
    """Standard deviations of initial states, `[W, n]`; infinite for joints."""
    return np.concatenate([np.full((len(windows), starts.of_joints), np.inf), windows.doubt.reshape(len(windows), -1)], axis=1)


def start_away(starts: Starts) -> Array:
    """How far initial states are from the smoothed ones, `[W, n]`; 0 for joints, of which that says nothing."""
    of_objects = starts.away.reshape(len(starts.position), -1)
    return np.concatenate([np.zeros((len(of_objects), starts.of_joints)), of_objects], axis=1)


def linearise(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> Linear:
    """The problem around parameters `[p]`, in chunks of windows."""
    problem = rollouts.problem
    shares = problem.shares_of(values)
    free = free_starts(rollouts, windows, values, starts)
    residual, jacobian = differences(rollouts, windows, starts, shares, free)
    prior, weights = prior_terms(problem, shares)
    return Linear(residual, jacobian, prior, weights, free)


def differences(rollouts: Rollouts, windows: Windows, starts: Starts, shares: Array, free: FreeStarts) -> tuple[Array, Array]:
    """Projected residual `[W, M]` and its derivatives `[W, M, p]` at shares, by one batch; what parts do not feel each other is changed at once."""
    problem = rollouts.problem
    trees = parameter_trees(problem.mechanism, problem.names)
    together = groups(trees)
    candidates = np.tile(shares, (len(together) + 1, 1))
    step = _ROUGH_STEP if problem.mechanism.objects else _STEP
    for row, members in enumerate(together):
        for index in members:
            candidates[row + 1] = stepped(candidates[row + 1], index, step)
    found = rollouts.residual(windows, problem.values_of(candidates), starts)
    slopes = np.zeros((*found.shape[1:], len(shares)))
    owners = _channel_trees(problem, windows)
    for row, members in enumerate(together):
        moved = found[row + 1] - found[0]
        for index in members:
            mine = slice(None) if trees[index] < 0 else owners == trees[index]
            slopes[:, :, mine, index] = moved[:, :, mine] / (candidates[row + 1, index] - shares[index])
    return free.of(found[0]), free.slopes(slopes.reshape(len(windows), -1, len(shares)))


def start_slopes(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> tuple[Array, Array]:
    """Residual `[W, M]` and its derivatives by initial states `[W, M, n]`, likewise; those of joints are known where no joint is compared."""
    problem = rollouts.problem
    size, joints, objects = starts.size, starts.position.shape[1], starts.pose.shape[1]
    trees = [*np.tile(joint_trees(problem.mechanism), starts.of_joints // joints).tolist(), *[0] * (12 * objects)]
    steps = np.concatenate([np.repeat(_START_STEP, joints)[: starts.of_joints], np.tile(_OBJECT_STEP, objects)])
    known = 0 if windows.measured.shape[2] else starts.of_joints
    together = [[index for index in members if index >= known] for members in groups(trees)]
    together = [members for members in together if members]
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
    owner = dict.fromkeys(problem.mechanism.objects, 0) | dict(zip(joints, joint_trees(problem.mechanism), strict=True))
    return np.array([owner[joint] for _, joint in windows.channels])


def stepped(shares: Array, index: int, step: float) -> Array:
    """Shares with one of them moved, to the other side where the range ends."""
    moved = shares.copy()
    moved[index] += step if moved[index] + step <= 1.0 else -step
    return moved


def prior_terms(problem: Problem, shares: Array) -> tuple[Array, Array]:
    """Residuals of the prior and their derivatives, `[p]` each."""
    weights, residual = np.zeros(len(shares)), np.zeros(len(shares))
    values = problem.values_of(shares)
    for index, name in enumerate(problem.names):
        if name in problem.prior:
            known = problem.prior[name]
            weights[index] = (problem.high[index] - problem.low[index]) / known.sd
            residual[index] = (values[index] - known.mean) / known.sd
    return residual, weights


def _spread(windows: Windows, kind: str) -> Array:
    chosen = [index for index, (found, _) in enumerate(windows.channels) if found == kind]
    return np.asarray(1 / np.maximum(windows.weight[:, :, chosen].max(axis=(0, 1)), 1e-12)) if chosen else np.zeros(0)
