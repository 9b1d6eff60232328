"""Formulas of Signal Temporal Logic, as data.

Time is discrete: sample t of a trace. Robustness ρ, with closed intervals of whole steps (Maler & Nickovic 2004; Donzé & Maler 2010):

    ρ(a >= b, t) = a − b                          ρ(a <= b, t) = b − a                     `<` and `>` likewise
    ρ(not p, t) = −ρ(p, t)                        ρ(p -> q, t) = ρ((not p) or q, t)
    ρ(p and q, t) = min(ρ(p, t), ρ(q, t))         ρ(p or q, t) = max(ρ(p, t), ρ(q, t))
    ρ(always[a,b] p, t) = min over t' = t+a … t+b of ρ(p, t')
    ρ(eventually[a,b] p, t) = max over t' = t+a … t+b of ρ(p, t')
    ρ(p until[a,b] q, t) = max over t' = t+a … t+b of min(ρ(q, t'), min over t'' = t … t'−1 of ρ(p, t''))

ρ >= 0 counts as satisfied. The left side of `until` need not hold at t' any more; libraries differ there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["COMPARISON", "Always", "And", "Eventually", "Formula", "Implies", "Not", "Or", "Until"]

_IMPLIES, _OR, _AND, _UNTIL, COMPARISON, _PREFIX = range(6)
"""How strongly they bind, weakest first. Behind a word a comparison needs parentheses: its left side alone would seem to belong to the word."""


class Formula:
    """What may hold at a time of a trace. `~ & | >>` build not, and, or and implies."""

    __slots__ = ()
    binding: ClassVar[int]

    @property
    def parts(self) -> tuple[Formula, ...]:
        """Formulas that this one is directly made of."""
        raise NotImplementedError

    @property
    def horizon(self) -> int:
        """How many samples after t must be there to tell whether it holds at t."""
        return max((part.horizon for part in self.parts), default=0)

    @property
    def signals(self) -> frozenset[str]:
        """Names of the signals that occur."""
        return frozenset().union(*(part.signals for part in self.parts))

    def __and__(self, other: Formula) -> Formula:
        return And((self, other))

    def __or__(self, other: Formula) -> Formula:
        return Or((self, other))

    def __invert__(self) -> Formula:
        return Not(self)

    def __rshift__(self, other: Formula) -> Formula:
        return Implies(self, other)

    def __bool__(self) -> bool:
        raise TypeError("a formula is neither true nor false; join formulas by & and |, and compare once: (a <= x) & (x <= b)")


@dataclass(frozen=True, slots=True)
class Not(Formula):
    """`not p`."""

    operand: Formula
    binding: ClassVar[int] = _PREFIX

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return (self.operand,)

    def __str__(self) -> str:
        return f"not {_enclosed(self.operand, _PREFIX)}"


@dataclass(frozen=True, slots=True)
class And(Formula):
    """`p and q and …`, of two or more."""

    operands: tuple[Formula, ...]
    binding: ClassVar[int] = _AND

    def __post_init__(self) -> None:
        _check_count(self)

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return self.operands

    def __str__(self) -> str:
        return " and ".join(_enclosed(part, _AND + 1) for part in self.operands)


@dataclass(frozen=True, slots=True)
class Or(Formula):
    """`p or q or …`, of two or more."""

    operands: tuple[Formula, ...]
    binding: ClassVar[int] = _OR

    def __post_init__(self) -> None:
        _check_count(self)

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return self.operands

    def __str__(self) -> str:
        return " or ".join(_enclosed(part, _OR + 1) for part in self.operands)


@dataclass(frozen=True, slots=True)
class Implies(Formula):
    """`p -> q`."""

    condition: Formula
    consequence: Formula
    binding: ClassVar[int] = _IMPLIES

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return (self.condition, self.consequence)

    def __str__(self) -> str:
        return f"{_enclosed(self.condition, _IMPLIES + 1)} -> {_enclosed(self.consequence, _IMPLIES)}"


@dataclass(frozen=True, slots=True)
class Always(Formula):
    """`always[start,stop] p`; the interval is in steps, and both ends belong to it."""

    operand: Formula
    start: int
    stop: int
    binding: ClassVar[int] = _PREFIX

    def __post_init__(self) -> None:
        _check_interval(self)

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return (self.operand,)

    @property
    def horizon(self) -> int:
        """See `Formula.horizon`."""
        return self.stop + self.operand.horizon

    def __str__(self) -> str:
        return f"always[{self.start},{self.stop}] {_enclosed(self.operand, _PREFIX)}"


@dataclass(frozen=True, slots=True)
class Eventually(Formula):
    """`eventually[start,stop] p`; the interval is in steps, and both ends belong to it."""

    operand: Formula
    start: int
    stop: int
    binding: ClassVar[int] = _PREFIX

    def __post_init__(self) -> None:
        _check_interval(self)

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return (self.operand,)

    @property
    def horizon(self) -> int:
        """See `Formula.horizon`."""
        return self.stop + self.operand.horizon

    def __str__(self) -> str:
        return f"eventually[{self.start},{self.stop}] {_enclosed(self.operand, _PREFIX)}"


@dataclass(frozen=True, slots=True)
class Until(Formula):
    """`left until[start,stop] right`; the interval is in steps, and both ends belong to it."""

    left: Formula
    right: Formula
    start: int
    stop: int
    binding: ClassVar[int] = _UNTIL

    def __post_init__(self) -> None:
        _check_interval(self)

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return (self.left, self.right)

    @property
    def horizon(self) -> int:
        """See `Formula.horizon`."""
        return self.stop + max(self.left.horizon, self.right.horizon)

    def __str__(self) -> str:
        return f"{_enclosed(self.left, _PREFIX)} until[{self.start},{self.stop}] {_enclosed(self.right, _PREFIX)}"


def _enclosed(formula: Formula, binding: int) -> str:
    return f"({formula})" if formula.binding < binding else str(formula)


def _check_count(formula: And | Or) -> None:
    if len(formula.operands) < 2:
        raise ValueError(f"{type(formula).__name__} joins two or more formulas, got {len(formula.operands)}")


def _check_interval(formula: Always | Eventually | Until) -> None:
    start, stop = formula.start, formula.stop
    if not (isinstance(start, int) and isinstance(stop, int)):
        raise ValueError(f"an interval is in whole steps, got [{start},{stop}]")
    if not 0 <= start <= stop:
        raise ValueError(f"an interval [a,b] needs 0 <= a <= b, got [{start},{stop}]")
