"""One explanation of a gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isthmus_evidence.gap.table import Table

__all__ = ["Hypothesis"]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One explanation.

    Attributes:
        cause: its kind, as `isthmus_evidence.gap.causes` lists them.
        claim: a sentence; `{value}` stands for the number.
        apply: the table under the hypothesis, given the number.
        grid: values that are tried first; empty where there is no free number.
        unit: of the number.
        cost: how much less simple it is than others that explain as much, in shares of what is explained.
        calibrate: parameters of `isthmus identify` that stand for it.
        joint: index of the joint it is about; None for all.
        everywhere: relation in which it says something of every joint, such as "servo"; "" for none.
    """

    cause: str
    claim: str
    apply: Callable[..., Table]
    grid: tuple[float, ...] = ()
    unit: str = ""
    cost: float = 0.0
    calibrate: tuple[str, ...] = ()
    joint: int | None = None
    everywhere: str = ""

    def counts(self, value: float) -> bool:
        """Whether its number is one: at least a tenth of the smallest that is tried first, from 0, or of a factor from 1."""
        none = 1.0 if self.unit == "1" else 0.0
        return not self.grid or abs(value - none) >= 0.1 * min(abs(tried - none) for tried in self.grid)
