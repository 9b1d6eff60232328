"""Formulas as text.

    always[0,5] (gap >= 1) and eventually[0,10] (abs(x - goal) <= 0.1)

Words: `not`, `and`, `or`, `->`, `always[a,b]`, `eventually[a,b]`, and `until[a,b]` between two formulas. From weakest to strongest: `->`, `or`,
`and`, `until`, and what stands before a formula; `->` groups to the right. Comparisons `>= > <= <` join sums, products and quotients of numbers,
signals, `abs(…)`, `min(…, …)`, `max(…, …)` and `hypot(…, …)`. A signal's name may have dots.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from numbers import Real
from typing import NamedTuple, NoReturn, TypeVar

from isthmus_controllers.stl.expressions import FUNCTIONS, Arithmetic, Call, Expression, Negative, Number, Predicate, Signal
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Until

__all__ = ["FormulaError", "parse", "parse_expression"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<symbol>->|>=|<=|[-+*/()<>,\[\]]))"
)
_WORDS = ("not", "and", "or", "always", "eventually", "until", *FUNCTIONS)
_COMPARISONS = (">=", ">", "<=", "<")
_EXACT = 1e-6  # steps by which an interval may miss a whole number, as decimal fractions do
_DEEPEST = 100  # levels of a formula: Python calls a function a few times for each, and a thousand times at most
_DEEP = f"a formula has at most {_DEEPEST} levels: parentheses, signs, words before a formula, and terms that are added up one by one"
_LONGEST = 10**9  # samples
_Tree = TypeVar("_Tree", bound=Formula | Expression)


class FormulaError(ValueError):
    """The text is not a formula; the message has a caret under the column."""


def parse(text: str, dt: float | None = None) -> Formula:
    """The formula that a text means.

    Args:
        text: see the module.
        dt: seconds per sample, if intervals are in seconds; None if they are in samples.

    Raises:
        FormulaError: the text is not a formula, is nested too deeply, or an interval is not a whole number of samples, or of very many.
        ValueError: dt is not positive.
    """
    if dt is not None and not (isinstance(dt, Real) and dt > 0):
        raise ValueError(f"dt must be > 0 s, got {dt!r}")
    return _shallow(lambda: _Parser(text, dt).whole())


def parse_expression(text: str) -> Expression:
    """The sum, product or single value that a text means, as it stands on one side of a comparison.

    Raises:
        FormulaError: the text is none.
    """
    return _shallow(lambda: _Parser(text, None).value())


def _shallow(read: Callable[[], _Tree]) -> _Tree:
    """What was read, if all that goes through it may call itself once per level."""
    try:
        tree = read()
    except RecursionError:
        raise FormulaError(_DEEP) from None
    level: list[Formula | Expression] = [tree]
    for _ in range(_DEEPEST):
        level = [part for node in level for part in _parts(node)]
        if not level:
            return tree
    raise FormulaError(_DEEP)


def _parts(node: Formula | Expression) -> Iterator[Formula | Expression]:
    for item in dataclasses.fields(node):  # type: ignore[arg-type] # every kind of node is a dataclass
        value = getattr(node, item.name)
        yield from (part for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, Formula | Expression))


class _Token(NamedTuple):
    kind: str  # number, word, symbol or end
    text: str
    column: int


class _Parser:
    """Recursive descent: one method per rule, from weakest to strongest."""

    def __init__(self, text: str, dt: float | None) -> None:
        if not isinstance(text, str):
            raise FormulaError(f"a formula is a text, got {text!r:.60}")
        self._text, self._dt = text, dt
        self._tokens = self._split()
        self._next = 0

    def whole(self) -> Formula:
        formula = self._formula()
        if self._token.text in _COMPARISONS:
            self._fail("comparisons cannot be chained; write (a <= x) and (x <= b)")
        if self._token.kind != "end":
            self._fail("expected `and`, `or`, `->`, `until` or the end")
        return formula

    def value(self) -> Expression:
        expression = self._sum()
        if self._token.kind != "end":
            self._fail("expected `+`, `-`, `*`, `/` or the end")
        return expression

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _split(self) -> list[_Token]:
        tokens, position = [], 0
        while self._text[position:].strip():
            match = _TOKEN.match(self._text, position)
            if match is None:
                column = len(self._text) - len(self._text[position:].lstrip())
                self._fail(f"{self._text[column]!r} means nothing here", column)
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            position = match.end()
        return [*tokens, _Token("end", "", len(self._text.rstrip()))]

    def _fail(self, problem: str, column: int | None = None) -> NoReturn:
        at = self._token.column if column is None else column
        start = self._text.rfind("\n", 0, at) + 1
        line = self._text[start:].partition("\n")[0]
        raise FormulaError(f"{problem}, column {at - start + 1}:\n  {line}\n  {' ' * (at - start)}^")

    def _take(self, *texts: str) -> bool:
        """Step over the next token if it is one of these."""
        found = self._token.kind != "end" and self._token.text in texts
        self._next += found
        return found

    def _need(self, text: str, why: str) -> None:
        if not self._take(text):
            self._fail(f"expected `{text}` {why}")

    def _formula(self) -> Formula:
        condition = self._several("or", Or, lambda: self._several("and", And, self._until))
        return Implies(condition, self._formula()) if self._take("->") else condition

    def _several(self, word: str, kind: Callable[[tuple[Formula, ...]], Formula], part: Callable[[], Formula]) -> Formula:
        parts = [part()]
        while self._take(word):
            parts.append(part())
        return kind(tuple(parts)) if len(parts) > 1 else parts[0]

    def _until(self) -> Formula:
        left = self._prefixed()
        if not self._take("until"):
            return left
        start, stop = self._interval("until")
        formula = Until(left, self._prefixed(), start, stop)
        if self._token.text == "until":
            self._fail("`until` does not group by itself; put one of them into parentheses")
        return formula

    def _prefixed(self) -> Formula:
        if self._take("not"):
            return Not(self._prefixed())
        for word, kind in (("always", Always), ("eventually", Eventually)):
            if self._take(word):
                start, stop = self._interval(word)
                return kind(self._prefixed(), start, stop)
        return self._comparison_or_group()

    def _comparison_or_group(self) -> Formula:
        """A parenthesis may begin a sum or a formula: both are tried, and the complaint is that of the one that gets further."""
        begin = self._next
        if self._token.text != "(":
            return self._comparison()
        comparison, complaint, reached = self._tried(self._comparison)
        if comparison is not None:
            return comparison
        self._next = begin
        group, other, further = self._tried(self._group)
        if group is not None:
            return group
        raise complaint if reached > further and complaint is not None else other or FormulaError(self._text)

    def _tried(self, rule: Callable[[], Formula]) -> tuple[Formula | None, FormulaError | None, int]:
        try:
            return rule(), None, self._next
        except FormulaError as error:
            return None, error, self._next

    def _group(self) -> Formula:
        self._need("(", "")
        formula = self._formula()
        if self._token.text in _COMPARISONS:
            self._fail("comparisons cannot be chained; write (a <= x) and (x <= b)")
        self._need(")", "to close a parenthesis")
        return formula

    def _comparison(self) -> Formula:
        begin = self._token.column
        left = self._sum()
        symbol = self._token.text
        if not self._take(*_COMPARISONS):
            self._fail("expected a comparison, >= > <= or <")
        right = self._sum()
        try:
            return Predicate(left, symbol, right)
        except ValueError as error:
            self._fail(str(error), begin)

    def _interval(self, word: str) -> tuple[int, int]:
        if self._token.text != "[":
            self._fail(f"`{word}` needs an interval, as in {word}[0,5]")
        begin = self._token.column
        self._next += 1
        start = self._steps()
        self._need(",", "between the ends of an interval")
        stop = self._steps()
        self._need("]", "at the end of an interval")
        if stop < start:
            self._fail(f"the interval ends before it begins; {word}[a,b] needs a <= b", begin)
        return start, stop

    def _steps(self) -> int:
        token = self._token
        if token.kind != "number":
            self._fail("expected a number >= 0" + (" of seconds" if self._dt else " of samples"))
        self._next += 1
        steps = float(token.text) / (self._dt or 1.0)
        if steps > _LONGEST:
            self._fail(f"{token.text} is more than {_LONGEST} samples", token.column)
        if abs(steps - round(steps)) > _EXACT:
            unit = f"s is not a multiple of dt, {self._dt:g} s" if self._dt else "is not a whole number of samples; give dt for seconds"
            self._fail(f"{token.text} {unit}", token.column)
        return round(steps)

    def _sum(self) -> Expression:
        return self._chain(("+", "-"), lambda: self._chain(("*", "/"), self._signed))

    def _chain(self, symbols: tuple[str, ...], part: Callable[[], Expression]) -> Expression:
        left = part()
        while (symbol := self._token.text) in symbols:
            self._next += 1
            left = Arithmetic(symbol, left, part())
        return left

    def _signed(self) -> Expression:
        if not self._take("-"):
            return self._atom()
        literal = self._token.kind == "number"
        operand = self._signed()
        return -operand if literal else Negative(operand)

    def _atom(self) -> Expression:
        token = self._token
        if self._take("("):
            inner = self._sum()
            self._need(")", "to close a parenthesis")
            return inner
        if self._take(*FUNCTIONS):
            return self._call(token)
        if token.kind == "number":
            self._next += 1
            try:
                return Number(float(token.text))
            except ValueError as error:
                self._fail(str(error), token.column)
        if token.kind == "word" and token.text not in _WORDS:
            self._next += 1
            return Signal(token.text)
        self._fail("expected a signal or a number" + (f"; `{token.text}` is a word of the language" if token.kind == "word" else ""))

    def _call(self, token: _Token) -> Expression:
        self._need("(", f"after {token.text}")
        arguments = [self._sum()]
        while self._take(","):
            arguments.append(self._sum())
        self._need(")", f"to close {token.text}")
        try:
            return Call(token.text, tuple(arguments))
        except ValueError as error:
            self._fail(str(error), token.column)
