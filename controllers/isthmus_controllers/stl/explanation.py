"""Why a formula has the robustness that it has: the one predicate at the one time that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus_controllers.stl.evaluation import Evaluation
from isthmus_controllers.stl.expressions import Predicate
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Until

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The critical path through a formula.

    Attributes:
        robustness: of the whole formula.
        predicate: the comparison that decides.
        sample: when.
        margin: its own robustness then; it differs from that of the whole by its sign at most.
        path: formula and sample at every level, from the whole to the predicate.
    """

    robustness: float
    predicate: Predicate
    sample: int
    margin: float
    path: tuple[tuple[Formula, int], ...]

    def __str__(self) -> str:
        verdict = "satisfied" if self.robustness >= 0 else "violated"
        return f"{verdict}, robustness {self.robustness:.4g}: {self.predicate} has margin {self.margin:.4g} at sample {self.sample}"


def explain(formula: Formula, signals: Mapping[str, Any], t: int = 0, row: int = 0) -> Explanation:
    """Which predicate, at which time, decides the robustness of one row.

    Args:
        formula: what may hold.
        signals: `[B, T]` per name, numpy or torch.
        t: the time, in samples.
        row: of the batch.

    Raises:
        ValueError: as `isthmus_controllers.stl.robustness`, or there is no such row.
    """
    evaluation = Evaluation(formula, signals, "exact", None, "strict")
    rows = next(iter(signals.values())).shape[0]
    if not 0 <= row < rows:
        raise ValueError(f"row must be in 0 … {rows - 1}, got {row}")

    def values(part: Formula, first: int, last: int) -> list[float]:
        return [float(value) for value in evaluation.of(part, first, last)[row]]

    path: list[tuple[Formula, int]] = []
    here, now = formula, t
    while not isinstance(here, Predicate):
        path.append((here, now))
        here, now = _decisive(here, now, values)
    path.append((here, now))
    return Explanation(values(formula, t, t)[0], here, now, values(here, now, now)[0], tuple(path))


def _decisive(formula: Formula, t: int, values: Callable[[Formula, int, int], list[float]]) -> tuple[Formula, int]:
    """The part from which a formula has its robustness, and when."""

    def first(part: Formula, start: int, stop: int, pick: Callable[[list[float]], float]) -> tuple[Formula, int]:
        found = values(part, t + start, t + stop)
        return part, t + start + found.index(pick(found))

    match formula:
        case Not(operand):
            return operand, t
        case And(operands):
            return min(operands, key=lambda part: values(part, t, t)[0]), t
        case Or(operands):
            return max(operands, key=lambda part: values(part, t, t)[0]), t
        case Implies(condition, consequence):
            return (condition if -values(condition, t, t)[0] >= values(consequence, t, t)[0] else consequence), t
        case Always(operand, start, stop):
            return first(operand, start, stop, min)
        case Eventually(operand, start, stop):
            return first(operand, start, stop, max)
        case Until(left, right, start, stop):
            ends, holds = values(right, t + start, t + stop), values(left, t, t + stop)
            reach = [min([ends[later - start], *holds[:later]]) for later in range(start, stop + 1)]
            best = start + reach.index(max(reach))
            if ends[best - start] <= min(holds[:best], default=ends[best - start]):
                return right, t + best
            return left, t + holds.index(min(holds[:best]))
    raise TypeError(f"unknown formula {formula!r}")
