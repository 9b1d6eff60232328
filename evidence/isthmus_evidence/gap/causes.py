"""Which hypotheses explain the gap: they compete, fitted on one half of the data and judged on the other.

The principle, without exceptions by cause:

* What a hypothesis explains is by how much the loss falls on the half that it was not fitted to, the mean of both ways; it has to fall both ways.
* A simpler model is preferred: each hypothesis has a cost, a share of the gap that it must explain beyond a simpler one.
* What is claimed of every joint must hold at most of those that differ.
* The best one is named if it explains at least `_GAIN` nats and the share `_SHARE` of the gap.
* A further cause must explain the share `_SHARE` of what the named ones leave, and `_FURTHER` of the whole gap. Else the rest stays unexplained.
* Nothing is said where the first set does not say what would be usual: an error counts in multiples of what it would be there, and where the second
  set mixes signals as the first one never did, what is usual is larger by as much as the fitted relation is uncertain (`score`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isthmus_evidence.gap.hypotheses import hypotheses
from isthmus_evidence.gap.hypothesis import Hypothesis
from isthmus_evidence.gap.score import Channel, Known, Reference, loss
from isthmus_evidence.gap.table import Table

__all__ = ["Cause", "find_causes", "total_excess"]

_NOTABLE = 4.0  # multiples of the usual error from which a relation counts as different
_GAIN = 0.8  # nats by which the loss falls at least before a cause is named
_SHARE = 0.3  # of the gap that it explains at least
_ROUNDS, _FURTHER = 3, 0.15  # causes at most, and the share of the whole gap that those after the first explain at least
_FAR = 5.0  # nats
_SUSPECTS = 5  # joints that are looked at one by one, those that differ most


@dataclass(frozen=True, slots=True)
class Cause:
    """One hypothesis after it was tested.

    Attributes:
        cause: its kind.
        claim: in a sentence, with its number.
        explained: share of the gap that it explains on data which it was not fitted to; less than 0 if it predicts worse.
        named: whether it is taken for a cause.
        value: of its number, or None.
        spread: difference of the numbers that the two halves of the data give.
        unit: of it.
        evidence: relations that it explains, strongest first, with their excess before and after.
        calibrate: parameters of `isthmus identify`.
    """

    cause: str
    claim: str
    explained: float
    named: bool
    value: float | None = None
    spread: float | None = None
    unit: str = ""
    evidence: tuple[tuple[str, float, float], ...] = ()
    calibrate: tuple[str, ...] = ()


def total_excess(channels: Mapping[str, Channel]) -> float:
    """How much of a gap there is, in nats: 0 where no relation differs by more than `_NOTABLE`."""
    return sum(float(np.log1p(channel.mean) - np.log(2)) for channel in channels.values() if channel.mean > _NOTABLE)


def find_causes(
    reference: Reference, table: Table, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Cause], Mapping[str, Channel]]:
    """Test every hypothesis.

    Args:
        reference: what is known of the first set.
        table: the second set.
        progress: called with hypotheses tested and in total.

    Returns:
        causes, the named ones first and in the order in which they were found, then the best of each other kind; and the errors of the second set.
    """
    known = recorded = reference.known(table)
    named: list[Cause] = []
    others: list[Cause] = []
    whole = total_excess(recorded.channels)
    for step in range(_ROUNDS):
        gap = total_excess(known.channels)
        if gap < max(_GAIN, _FURTHER * whole * (step > 0)):
            break
        tried = _tried(reference, known, gap, progress)
        if step == 0:
            others = [cause for _, _, cause in tried]
        value, hypothesis, best = tried[0]
        share = min(best.explained * gap / whole, 1 - sum(cause.explained for cause in named))
        if best.explained * gap < _GAIN or not (best.explained >= _SHARE or _settles(best, gap)) or (step and share < _FURTHER):
            break
        named.append(replace(best, explained=share, named=True))
        present = hypothesis.apply(known.table, value)
        known = Known(present, known.rows, reference.changed(known, present))
    kinds = {cause.cause for cause in named}
    rest = {cause.cause: replace(cause, explained=min(cause.explained, 1.0)) for cause in reversed(others) if cause.cause not in kinds}
    return [*named, *sorted(rest.values(), key=lambda cause: -cause.explained)], recorded.channels


def _settles(cause: Cause, gap: float) -> bool:
    """Whether it explains little of a large gap, but one relation that is far off wholly: a robot at the end of its strength does the rest."""
    return cause.explained * gap > _FAR and any(before > 100 and after < _NOTABLE for _, before, after in cause.evidence)


def _tried(
    reference: Reference, known: Known, gap: float, progress: Callable[[int, int], None] | None
) -> list[tuple[float, Hypothesis, Cause]]:
    """Every hypothesis with the number that fits best, best first."""
    notable = [name for name, channel in known.channels.items() if channel.mean > _NOTABLE]
    size = [
        sum(np.log1p(channel.mean) for name, channel in known.channels.items() if channel.mean > _NOTABLE and name.endswith(f" {joint}"))
        for joint in known.table.joints
    ]
    suspects = sorted(int(index) for index in np.argsort(size)[::-1][:_SUSPECTS] if size[index] > 0)
    kinds = {name.partition(" ")[0] for name in notable}
    tested = list(hypotheses(known.table, reference.loads, suspects, kinds))
    found = []
    for number, hypothesis in enumerate(tested):
        if progress:
            progress(number, len(tested))
        found.append(_test(reference, known, gap, hypothesis))
    return sorted(found, key=lambda entry: -(entry[2].explained - entry[1].cost))


def _test(reference: Reference, known: Known, gap: float, hypothesis: Hypothesis) -> tuple[float, Hypothesis, Cause]:
    tables: dict[float, Mapping[str, Channel]] = {}

    def at(value: float) -> Mapping[str, Channel]:
        if value not in tables:
            tables[value] = reference.changed(known, hypothesis.apply(known.table, value))
        return tables[value]

    enough = 0.15 * gap  # a search is worth it
    values = [
        _fitted(lambda value, half=half: loss(at(value), half), hypothesis.grid, loss(known.channels, half) - enough) for half in (0, 1)
    ]
    gains = [loss(known.channels, 1 - half) - loss(at(values[half]), 1 - half) for half in (0, 1)]
    gain = float(np.mean(gains))
    if min(gains) <= 0:
        gain = min(gain, 0.0)
    value = float(np.mean(values))
    after = at(value)
    told = sorted(
        ((name, channel.mean, after[name].mean) for name, channel in known.channels.items() if channel.mean > _NOTABLE),
        key=lambda row: np.log1p(row[2]) - np.log1p(row[1]),
    )
    if (claimed := [row for row in told if hypothesis.everywhere and row[0].startswith(f"{hypothesis.everywhere} ")]) and not _holds(
        claimed
    ):
        gain = min(gain, 0.0)
    number = f"{value:.3g} {hypothesis.unit}".removesuffix(" 1") if hypothesis.grid else ""
    cause = Cause(
        hypothesis.cause,
        hypothesis.claim.format(value=number),
        gain / max(gap, 1e-9) if hypothesis.counts(value) else 0.0,
        False,
        value if hypothesis.grid else None,
        abs(values[0] - values[1]) if hypothesis.grid else None,
        hypothesis.unit,
        tuple(row for row in told if row[2] < row[1])[:4],
        hypothesis.calibrate,
    )
    return value, hypothesis, cause


def _holds(told: Sequence[tuple[str, float, float]]) -> bool:
    """Whether half of these relations lose half of their error, in nats; each with its error before and after."""
    return bool(np.median([np.log1p(after) / np.log1p(before) for _, before, after in told]) <= 0.5)


def _fitted(objective: Callable[..., float], grid: Sequence[float], enough: float) -> float:
    """The number that fits best: the best of the grid and, where it is good enough, a bounded search between its neighbours (Brent)."""
    from scipy.optimize import minimize_scalar

    if not grid:
        return 0.0
    ordered = sorted(grid)
    losses = [objective(value) for value in ordered]
    best = int(np.argmin(losses))
    if losses[best] > enough:
        return float(ordered[best])
    low, high = ordered[max(best - 1, 0)], ordered[min(best + 1, len(ordered) - 1)]
    if best == len(ordered) - 1:
        high = ordered[best] + abs(ordered[best] - low)
    if best == 0:
        low = ordered[0] - abs(high - ordered[0]) if ordered[0] < 0 else ordered[0] / 2
    found = minimize_scalar(objective, bounds=(low, high), method="bounded", options={"maxiter": 9, "xatol": 1e-3 * (high - low)})
    return float(found.x) if found.fun < losses[best] else float(ordered[best])
