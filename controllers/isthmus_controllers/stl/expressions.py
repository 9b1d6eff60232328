"""Arithmetic over named signals, and its comparison: the predicates that formulas are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import numpy as np

from isthmus.arrays import length, maximum, minimum
from isthmus_controllers.stl.formula import COMPARISON, Formula

__all__ = ["Arithmetic", "Call", "Expression", "Negative", "Number", "Predicate", "Signal", "signal"]

Operand = Union["Expression", float]

_SYMBOLS: Mapping[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "+": (1, lambda a, b: a + b),
    "-": (1, lambda a, b: a - b),
    "*": (2, lambda a, b: a * b),
    "/": (2, lambda a, b: _quotient(a, b)),
}
FUNCTIONS = ("abs", "hypot", "max", "min")
_SIGN, _ATOM = 3, 4  # how strongly a minus sign and a single thing bind


class Expression:
    """A number at every time. Operators build larger ones; comparisons build predicates, which are formulas."""

    __slots__ = ()
    binding = _ATOM

    def values(self, signals: Mapping[str, Any]) -> Any:
        """Evaluate on signals, arrays or numbers of one shape."""
        raise NotImplementedError

    def names(self) -> frozenset[str]:
        """Signals that occur."""
        return frozenset()

    def __add__(self, other: Operand) -> Expression:
        return Arithmetic("+", self, _expression(other))

    def __radd__(self, other: float) -> Expression:
        return Arithmetic("+", _expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return Arithmetic("-", self, _expression(other))

    def __rsub__(self, other: float) -> Expression:
        return Arithmetic("-", _expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return Arithmetic("*", self, _expression(other))

    def __rmul__(self, other: float) -> Expression:
        return Arithmetic("*", _expression(other), self)

    def __truediv__(self, other: Operand) -> Expression:
        return Arithmetic("/", self, _expression(other))

    def __rtruediv__(self, other: float) -> Expression:
        return Arithmetic("/", _expression(other), self)

    def __neg__(self) -> Expression:
        return Negative(self)

    def __abs__(self) -> Expression:
        return Call("abs", (self,))

    def __ge__(self, other: Operand) -> Predicate:
        return Predicate(self, ">=", _expression(other))

    def __gt__(self, other: Operand) -> Predicate:
        return Predicate(self, ">", _expression(other))

    def __le__(self, other: Operand) -> Predicate:
        return Predicate(self, "<=", _expression(other))

    def __lt__(self, other: Operand) -> Predicate:
        return Predicate(self, "<", _expression(other))


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A constant."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a number in a formula must be finite, got {self.value}")

    def values(self, signals: Mapping[str, Any]) -> Any:
        """See `Expression.values`."""
        return self.value

    def __neg__(self) -> Expression:
        return Number(-self.value)

    def __str__(self) -> str:
        return f"{self.value:g}" if float(f"{self.value:g}") == self.value else repr(float(self.value))


@dataclass(frozen=True, slots=True)
class Signal(Expression):
    """A signal by its name."""

    name: str

    def values(self, signals: Mapping[str, Any]) -> Any:
        """See `Expression.values`."""
        return signals[self.name]

    def names(self) -> frozenset[str]:
        """See `Expression.names`."""
        return frozenset((self.name,))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Negative(Expression):
    """A value with the other sign."""

    operand: Expression
    binding = _SIGN

    def values(self, signals: Mapping[str, Any]) -> Any:
        """See `Expression.values`."""
        return -self.operand.values(signals)

    def names(self) -> frozenset[str]:
        """See `Expression.names`."""
        return self.operand.names()

    def __str__(self) -> str:
        # The parser takes the minus of a number for its sign, so that -(1) needs its parentheses.
        return f"-{_enclosed(self.operand, _ATOM if not isinstance(self.operand, Number) else _ATOM + 1)}"


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """`left + right`, `-`, `*` or `/`."""

    symbol: str
    left: Expression
    right: Expression

    @property
    def binding(self) -> int:  # type: ignore[override]
        """How strongly the symbol binds."""
        return _SYMBOLS[self.symbol][0]

    def values(self, signals: Mapping[str, Any]) -> Any:
        """See `Expression.values`."""
        return _SYMBOLS[self.symbol][1](self.left.values(signals), self.right.values(signals))

    def names(self) -> frozenset[str]:
        """See `Expression.names`."""
        return self.left.names() | self.right.names()

    def __str__(self) -> str:
        return f"{_enclosed(self.left, self.binding)} {self.symbol} {_enclosed(self.right, self.binding + 1)}"


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """`abs(a)`, `min(a, b, …)`, `max(a, b, …)`, or `hypot(a, b, …)`, the root of the sum of squares."""

    function: str
    arguments: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise ValueError(f"unknown function {self.function!r}; there are: {', '.join(FUNCTIONS)}")
        if (len(self.arguments) == 1) != (self.function == "abs"):
            needed = "one argument" if self.function == "abs" else "two or more arguments"
            raise ValueError(f"{self.function} takes {needed}, got {len(self.arguments)}")

    def values(self, signals: Mapping[str, Any]) -> Any:
        """See `Expression.values`."""
        first, *others = (argument.values(signals) for argument in self.arguments)
        if self.function == "abs":
            return abs(first)
        if self.function == "hypot":
            return length(first, *others)
        pick = minimum if self.function == "min" else maximum
        for other in others:
            first = pick(first, other)
        return first

    def names(self) -> frozenset[str]:
        """See `Expression.names`."""
        return frozenset().union(*(argument.names() for argument in self.arguments))

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


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
    binding: ClassVar[int] = COMPARISON

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


def signal(name: str) -> Signal:
    """A signal, to build formulas in Python: `stl.signal("gap") >= 1`."""
    return Signal(name)


def _quotient(a: Any, b: Any) -> Any:
    """A / b, as arrays have it for numbers too: n/0 is infinite, 0/0 is not a number."""
    if isinstance(a, float | int) and isinstance(b, float | int):
        with np.errstate(all="ignore"):
            return float(np.float64(a) / np.float64(b))
    return a / b


def _enclosed(expression: Expression, binding: int) -> str:
    negative = isinstance(expression, Number) and expression.value < 0
    weak = expression.binding < binding or (negative and binding > 1) or binding > _ATOM
    return f"({expression})" if weak else str(expression)


def _expression(value: Operand) -> Expression:
    return value if isinstance(value, Expression) else Number(float(value))
