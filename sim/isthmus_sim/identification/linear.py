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
    "Linear",
    "differences",
    "linearise",
    "prior_terms",
    "project",
    "projected",
    "refine_starts",
    "start_bases",
    "start_slopes",
    "stepped",
]

_STEP = 1e-4  # of the range: difference for derivatives
_ROUGH_STEP = 1e-2  # the same where contacts make the loss rough
_START_STEP = np.array([1e-4, 1e-3, 1e-4])  # rad, rad/s, rad: differences of initial positions, velocities and set-points
_BLINK = 0.02  # s: a pose that is off by its noise over so long is a wrong twist
_OBJECT_STEP = np.repeat([2e-4, 1e-3, 5e-3, 5e-2], 3)  # m, rad, m/s, rad/s: of an object's pose and twist


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


def refine_starts(rollouts: Rollouts, windows: Windows, shares: Array, starts: Starts) -> Starts:
    """Initial states moved to where the windows fit best, one linear step; never further than 20 times the noise says."""
    values = rollouts.problem.values_of(shares)
    base, slopes = start_slopes(rollouts, windows, values, starts)
    change = np.stack([np.linalg.lstsq(slope, -residual, rcond=1e-8)[0] for slope, residual in zip(slopes, base, strict=True)])
    most = np.full(starts.size, 0.2)
    joints = starts.position.shape[1]
    if (spread := _spread(windows, "position")).size:
        most[: 2 * joints] = 20 * np.concatenate([spread, np.maximum(spread / windows.moments.max() * 20, 0.02)])
    if not starts.pose.size:
        return starts.moved(np.clip(change, -most, most))
    poses = _spread(windows, "pose").reshape(-1, 6)
    most[starts.of_joints :] = 5 * np.concatenate([poses, poses / _BLINK], axis=1).ravel()
    # A contact that opens or closes meanwhile makes a whole step wrong, so that each window goes as far as it gets better.
    change = np.clip(change, -most, most)
    steps = np.array([0.0, 0.25, 0.5, 1.0])
    tried = rollouts.residual(windows, np.tile(values, (len(steps), 1)), [starts.moved(step * change) for step in steps])
    return starts.moved(steps[(tried**2).sum(axis=(2, 3)).argmin(axis=0)][:, None] * change)


def linearise(rollouts: Rollouts, windows: Windows, values: Array, starts: Starts) -> Linear:
    """The problem around parameters `[p]`, in chunks of windows."""
    problem = rollouts.problem
    shares = problem.shares_of(values)
    bases = start_bases(start_slopes(rollouts, windows, values, starts)[1])
    residual, jacobian = differences(rollouts, windows, starts, shares, bases)
    prior, weights = prior_terms(problem, shares)
    return Linear(residual, jacobian, prior, weights, bases)


def project(linear: Linear, residual: Array) -> Array:
    """A residual `[W, N, K]` less what initial states explain, `[W, N * K]`."""
    return projected(residual.reshape(len(residual), -1), linear.bases)


def differences(rollouts: Rollouts, windows: Windows, starts: Starts, shares: Array, bases: Sequence[Array]) -> tuple[Array, Array]:
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
    flat = found[0].reshape(len(windows), -1)
    return projected(flat, bases), projected(slopes.reshape(*flat.shape, len(shares)), bases)


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


def start_bases(slopes: Array) -> list[Array]:
    """Orthonormal bases of what initial states explain, one per window."""
    bases = []
    for slope in slopes:
        left, size, _ = np.linalg.svd(slope / np.maximum(np.linalg.norm(slope, axis=0), 1e-300), full_matrices=False)
        bases.append(left[:, size > 1e-6 * size[0]] if size[0] > 0 else left[:, :0])
    return bases


def projected(values: Array, bases: Sequence[Array]) -> Array:
    """Values `[W, M]` or `[W, M, p]` less what initial states explain."""
    if not len(bases):
        return values
    return np.stack([value - basis @ (basis.T @ value) for value, basis in zip(values, bases, strict=True)])


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
