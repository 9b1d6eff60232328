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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus_controllers.stl.expressions import Expression

if TYPE_CHECKING:
    from isthmus_controllers.stl.explanation import Explanation
    from isthmus_controllers.stl.monitor import Monitor

__all__ = ["Always", "And", "Eventually", "Formula", "Implies", "Not", "Or", "Predicate", "Until"]

_IMPLIES, _OR, _AND, _UNTIL, _PREFIX, _ATOM = range(6)  # how strongly they bind, weakest first


class Formula:
    """What may hold at a time of a trace. `~ & | >>` build not, and, or and implies."""

    __slots__ = ()
    binding: ClassVar[int] = _ATOM

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

    def robustness(
        self, signals: Mapping[str, Any], t: int = 0, mode: str = "exact", temperature: float | None = None, end: str = "strict"
    ) -> Any:
        """How robustly it holds at one time.

        Args:
            signals: `[B, T]` per name, numpy or torch; signals that do not occur are ignored.
            t: the time, in samples.
            mode: "exact"; or "logsumexp" or "softmax", which have smooth gradients. Decide satisfaction by "exact".
            temperature: of the smooth modes, in units of robustness; its inverse is k in the paper of `isthmus_controllers.npc`.
            end: of a trace that is too short: "strict" refuses it; "truncate" leaves out what falls beyond its end, of windows too, and refuses
                only what begins there; "strong", "weak" and "ended" are readings of it, with robustness −∞ or ∞ where only what is missing decides,
                in mode "exact"; see `isthmus_controllers.stl.evaluation`.

        Returns:
            `[B]`.

        Raises:
            ValueError: a signal is missing, of another shape or not a number somewhere; the trace is too short.
        """
        from isthmus_controllers.stl.evaluation import Evaluation

        return Evaluation(self, signals, mode, temperature, end).of(self, t, t)[:, 0]

    def trace(self, signals: Mapping[str, Any], mode: str = "exact", temperature: float | None = None, end: str = "strict") -> Any:
        """As `robustness`, for every start time that fits: `[B, T - horizon]`; `[B, ≤ T]` if truncated, `[B, T]` in a reading."""
        from isthmus_controllers.stl.evaluation import Evaluation

        evaluation = Evaluation(self, signals, mode, temperature, end)
        return evaluation.of(self, 0, max(evaluation.length - 1 - self.horizon, 0) if end == "strict" else evaluation.length - 1)

    def smoothing_error(self, temperature: float) -> float:
        """How far robustness in a smooth mode can be from the exact one, at most: the sum of θ log n along the tree."""
        from isthmus_controllers.stl.evaluation import smoothing_error

        return smoothing_error(self, temperature)

    def explain(self, signals: Mapping[str, Any], t: int = 0, row: int = 0) -> Explanation:
        """Which predicate, at which time, decides the robustness of one row."""
        from isthmus_controllers.stl.explanation import explain

        return explain(self, signals, t, row)

    def monitor(self) -> Monitor:
        """An online monitor: does the formula hold at the first sample that the monitor is given?"""
        from isthmus_controllers.stl.monitor import Monitor

        return Monitor(self)

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
class Predicate(Formula):
    """A comparison of two expressions, at least one of them with a signal.

    Attributes:
        left: left side.
        symbol: >=, >, <= or <.
        right: right side.
    """

    left: Expression
    symbol: str
    right: Expression

    def __post_init__(self) -> None:
        if self.symbol not in (">=", ">", "<=", "<"):
            raise ValueError(f"unknown comparison {self.symbol!r}; there are: <, <=, >, >=")
        if not self.signals:
            raise ValueError(f"{self} compares no signal")

    @property
    def parts(self) -> tuple[Formula, ...]:
        """See `Formula.parts`."""
        return ()

    @property
    def signals(self) -> frozenset[str]:
        """See `Formula.signals`."""
        return self.left.names() | self.right.names()

    def margin(self, signals: Mapping[str, Any]) -> Any:
        """Robustness sample by sample, of arrays or of numbers."""
        left, right = self.left.values(signals), self.right.values(signals)
        return left - right if self.symbol in (">=", ">") else right - left

    def __str__(self) -> str:
        return f"{self.left} {self.symbol} {self.right}"


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
        return f"{_enclosed(self.left, _UNTIL + 1)} until[{self.start},{self.stop}] {_enclosed(self.right, _UNTIL + 1)}"


def _enclosed(formula: Formula, binding: int) -> str:
    # A comparison is put into parentheses behind a word that would otherwise seem to belong to its left side alone.
    loose = formula.binding < binding or (isinstance(formula, Predicate) and binding >= _PREFIX)
    return f"({formula})" if loose else str(formula)


def _check_count(formula: And | Or) -> None:
    if len(formula.operands) < 2:
        raise ValueError(f"{type(formula).__name__} joins two or more formulas, got {len(formula.operands)}")


def _check_interval(formula: Always | Eventually | Until) -> None:
    start, stop = formula.start, formula.stop
    if not (isinstance(start, int) and isinstance(stop, int)):
        raise ValueError(f"an interval is in whole steps, got [{start},{stop}]")
    if not 0 <= start <= stop:
        raise ValueError(f"an interval [a,b] needs 0 <= a <= b, got [{start},{stop}]")
