"""CMA-ES over the unknown parameters of objects: contacts make the loss rough, so that a derivative leads nowhere.

Hansen, "The CMA Evolution Strategy: A Tutorial" (2016), by the package `cma`. Each generation is one batch of rollouts. Initial states are eliminated
as in `fit`. What a model of contacts misses spoils whole windows, not samples, so a window whose χ² is far above that of the best quarter hardly
counts: a puck that slides alone is believed more than one that is struck.

How sure the answer is, is told by the region of all sets that are as likely as the best (profile likelihood: each set has the initial states that fit
it best; with those of the best set all others would look far worse than they are). The region is followed from its members outwards until it does not
grow any more, first with the best set's initial states, then from those at its border too; no curvature of a rough loss would find a valley in which
mass and friction trade. As likely is what is less than 2 above the least loss (95 %) after twice the roughness, which is how far losses are from a
paraboloid around the best; and where another start ended with a loss that is up to a fifth higher.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.fit import Fit, FitOptions
from isthmus_sim.identification.linear import free_starts, prior_terms, refine_starts, start_away, start_doubt, start_slopes
from isthmus_sim.identification.rollouts import Rollouts, Starts
from isthmus_sim.identification.windows import Windows

__all__ = ["evolve"]

_WINDOWS = 16  # of the first, wide searches, at most
_GENERATIONS = 25
_POPULATION = 10
_WIDE, _FINE = 0.3, 0.08  # of the range: deviation in the beginning
_NARROW = 2e-3  # likewise: where it ends
_LIKELY = 2.0  # of the loss: half of the 95 % point of χ²
_AS_GOOD = 1.2  # times the least loss of a start: ends of others that contacts cannot tell from it
_ROUNDS, _ROUND = 12, 16  # in which the likely region is followed, at most, and sets of each
_WIDER = 1.5  # times the deviation of its members: how far from one of them the next are drawn
_GROWN = 0.03  # of its extent: growth over two rounds below which it is known
_CHORDS = 3  # steps to the initial states that fit a set best
_BELIEVED = 2.0  # times the χ² of the best quarter, above which a window counts less and less


def evolve(
    rollouts: Rollouts,
    windows: Windows,
    options: FitOptions,
    *,
    first: Array | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Fit:
    """Search from several starts on few windows, then around the best end on all; see `fit.fit` for the arguments."""
    problem = rollouts.problem
    tell, ended = progress or (lambda done, total, news: None), stop or (lambda: False)
    few = windows.subset(np.unique(np.linspace(0, len(windows) - 1, min(_WINDOWS, len(windows))).astype(int)))
    nominal = np.clip(problem.shares_of(problem.nominal if first is None else first), 0.0, 1.0)
    generator, total = np.random.default_rng(options.seed), options.starts + options.passes
    wide = _Loss(rollouts, few, rollouts.starts(few), np.full(len(nominal), 0.5) if first is None else nominal)
    ends: list[tuple[Array, float]] = []
    for number in range(options.starts):
        begin = nominal if number == 0 else generator.random(len(nominal))
        ends.append(_search(wide, begin, _WIDE, generator, ended))
        tell(len(ends), total, f"start {len(ends)}: loss {ends[-1][1]:.4g}")
        if ended():
            break
    best, cost = min(ends, key=lambda end: end[1])
    starts, loss = rollouts.starts(windows), wide
    for done in range(options.passes):
        if ended() and done:
            break
        starts = refine_starts(rollouts, windows, best, starts)
        loss = _Loss(rollouts, windows, starts, best)
        best, cost = _search(loss, best, _FINE, generator, ended)
        tell(options.starts + done + 1, total, f"all windows: loss {cost:.4g}")
    profile = _Profile(rollouts, windows, starts, best)
    places = np.concatenate([best[None], [end for end, _ in ends], loss.tried[-1]])
    tried, costs, likely = _region(profile, places, generator, ended)
    for other in (tried[likely[0]], tried[likely[np.abs(tried[likely] - tried[likely[0]]).max(axis=1).argmax()]]):
        profile.look_from(other)
    tried, costs, likely = _region(profile, tried[likely], generator, ended)
    best, cost = tried[likely[0]], float(costs[likely[0]])
    starts = refine_starts(rollouts, windows, best, starts)
    tell(total, total, "")
    near = [end for end in ends if end[1] < _AS_GOOD * min(loss for _, loss in ends)]
    return Fit(
        problem.values_of(best),
        cost,
        problem.values_of(np.concatenate([tried[likely], [end for end, _ in near]])),
        np.concatenate([costs[likely], [at for _, at in near]]),
        problem.values_of(np.array([end for end, _ in ends])),
        starts,
        not ended(),
        profile.trust(best),
    )


class _Loss:
    """Of shares, with initial states eliminated as far as they are linear around a place; remembers what was tried."""

    def __init__(self, rollouts: Rollouts, windows: Windows, starts: Starts, around: Array) -> None:
        self._rollouts, self._windows, self._starts = rollouts, windows, starts
        self._free = free_starts(rollouts, windows, rollouts.problem.values_of(around), starts)
        self._freedom = np.maximum((windows.weight > 0).sum(axis=(1, 2)), 1)
        self._usual = max(float(np.quantile(self._squares(around[None])[0] / self._freedom, 0.25, method="lower")), 1.0)
        self.tried: list[Array] = []
        self.costs: list[Array] = []

    def __call__(self, shares: Array) -> Array:
        """`[C, p]` → `[C]`."""
        far = self._far(shares)
        each = self._freedom * _BELIEVED / 2 * np.where(far > 1, 2 - 1 / np.maximum(far, 1.0), far)
        prior = np.array([(prior_terms(self._rollouts.problem, row)[0] ** 2).sum() / 2 for row in shares])
        self.tried.append(shares)
        self.costs.append(each.sum(axis=1) + prior)
        return self.costs[-1]

    def trust(self, shares: Array) -> Array:
        """By which the squares of each window count around a place, `[W]`, at most 1."""
        return np.asarray(np.minimum(1 / np.maximum(self._far(shares[None])[0], 1e-6) ** 2, 1.0))

    def _far(self, shares: Array) -> Array:
        return self._squares(shares) / (_BELIEVED * self._usual * self._freedom)

    def _squares(self, shares: Array) -> Array:
        found = self._rollouts.residual(self._windows, self._rollouts.problem.values_of(shares), self._starts)
        return np.stack([(self._free.of(one) ** 2).sum(axis=1) for one in found])


class _Profile(_Loss):
    """The same with the initial states that fit each set best, found by steps along slopes; from wherever they get best of several places."""

    def __init__(self, rollouts: Rollouts, windows: Windows, starts: Starts, around: Array) -> None:
        self._known = 1 / start_doubt(windows, starts)
        self._known[:, : starts.of_joints] = 1.0  # joints are not compared here, so that their slopes are 0
        self._places: list[tuple[Starts, Array, Array]] = []
        self._rollouts, self._windows, self._starts = rollouts, windows, starts
        self.look_from(around)
        super().__init__(rollouts, windows, starts, around)

    def look_from(self, shares: Array) -> None:
        """Look for initial states from those that fit a set `[p]` too."""
        starts = refine_starts(self._rollouts, self._windows, shares, self._starts)
        _, slopes = start_slopes(self._rollouts, self._windows, self._rollouts.problem.values_of(shares), starts)
        matrices = np.einsum("wmn,wmk->wnk", slopes, slopes) + np.stack([np.diag(row**2) for row in self._known])
        self._places.append((starts, slopes, np.linalg.inv(matrices)))

    def _squares(self, shares: Array) -> Array:
        return np.min([self._from(shares, *place) for place in self._places], axis=0)

    def _from(self, shares: Array, starts: Starts, slopes: Array, gain: Array) -> Array:
        values, each = self._rollouts.problem.values_of(shares), [starts] * len(shares)
        least, residual = self._left(values, each)
        step = np.ones_like(least)
        for _ in range(_CHORDS):
            away = np.stack([start_away(one) for one in each])
            downhill = np.einsum("wmn,cwm->cwn", slopes, residual) + self._known**2 * away
            change = -step[..., None] * np.einsum("wnk,cwk->cwn", gain, downhill)
            found, left = self._left(values, [one.moved(row) for one, row in zip(each, change, strict=True)])
            better = found < least
            each = [one.moved(row) for one, row in zip(each, change * better[..., None], strict=True)]
            residual, least = np.where(better[..., None], left, residual), np.minimum(found, least)
            step = np.where(better, 1.0, step / 4)
        return least

    def _left(self, values: Array, each: list[Starts]) -> tuple[Array, Array]:
        found = self._rollouts.residual(self._windows, values, each)
        residual = found.reshape(*found.shape[:2], -1)
        away = np.stack([start_away(one) for one in each])
        return (residual**2).sum(axis=2) + ((self._known * away) ** 2).sum(axis=2), residual


def _region(profile: _Profile, first: Array, generator: np.random.Generator, stop: Callable[[], bool]) -> tuple[Array, Array, Array]:
    """Sets that were tried, `[n, p]`, their losses, and which of them are as likely as the best, the best one first.

    Args:
        profile: the loss.
        first: sets to begin with, the best one among them.
        generator: of draws.
        stop: True ends it.
    """
    size = first.shape[1]
    profile.tried, profile.costs, extents = [], [], [np.zeros(size)]
    profile(first)
    while True:
        tried, costs = np.concatenate(profile.tried), np.concatenate(profile.costs)
        order = np.argsort(costs)
        likely = order[costs[order] <= costs[order[0]] + _LIKELY + 2 * _roughness(tried, costs)]
        extents.append(np.ptp(tried[likely], axis=0))
        known = len(extents) > 4 and (extents[-1] <= (1 + _GROWN) * extents[-3] + _NARROW).all()
        if known or len(extents) > _ROUNDS or stop():
            return tried, costs, likely
        some = order[: max(len(likely), 2 * size + 2)]  # where few are likely yet, the nearest
        spread = _WIDER**2 * np.cov(tried[some], rowvar=False).reshape(size, size) + (_NARROW / 2) ** 2 * np.eye(size)
        about = tried[generator.choice(likely, _ROUND)]
        profile(np.clip(about + generator.multivariate_normal(np.zeros(size), spread, _ROUND), 0.0, 1.0))


def _roughness(tried: Array, costs: Array) -> float:
    """Standard deviation of the losses of the best quarter from a paraboloid through them; 0 where too few were tried."""
    size = tried.shape[1]
    best = np.argsort(costs)[: len(costs) // 4]
    if len(best) < (size + 1) * (size + 2):
        return 0.0
    away = (tried[best] - tried[best[0]]) / np.maximum(np.ptp(tried[best], axis=0), 1e-12)
    squares = [away[:, one] * away[:, two] for one in range(size) for two in range(one, size)]
    design = np.stack([np.ones(len(best)), *away.T, *squares], axis=1)
    left = costs[best] - design @ np.linalg.lstsq(design, costs[best], rcond=1e-10)[0]
    return float(np.sqrt((left**2).sum() / max(len(best) - design.shape[1], 1)))


def _search(loss: _Loss, begin: Array, spread: float, generator: np.random.Generator, stop: Callable[[], bool]) -> tuple[Array, float]:
    """The best shares that it meets, `[p]`, and their loss."""
    import cma

    size = len(begin)
    # With one unknown `cma` wants a second: a number that changes nothing.
    options = {"bounds": [0, 1], "seed": int(generator.integers(1, 2**31)), "popsize": _POPULATION, "verbose": -9}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = cma.CMAEvolutionStrategy(np.append(begin, np.full(max(2 - size, 0), 0.5)), spread, options)
    best, least = begin, float(loss(begin[None])[0])
    for _ in range(_GENERATIONS):
        drawn = np.array(search.ask())
        losses = loss(drawn[:, :size])
        search.tell(drawn, losses.tolist())
        if losses.min() < least:
            best, least = drawn[int(losses.argmin()), :size], float(losses.min())
        if search.stop() or search.result.stds[:size].max() < _NARROW or stop():
            break
    return best, least
