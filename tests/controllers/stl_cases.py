"""Random formulas and a literal evaluator: the definitions, written down as loops over single numbers."""

import numpy as np
from hypothesis import strategies as st

from isthmus_controllers.stl import Always, And, Eventually, Implies, Not, Or, Predicate, Until, signal

SIGNALS = ("x", "y", "z")


def literal(formula, signals, t):
    """ρ(formula, t) of one row; `signals` holds `[T]` per name."""
    match formula:
        case Predicate():
            return float(formula.margin({name: values[t] for name, values in signals.items()}))
        case Not(operand):
            return -literal(operand, signals, t)
        case And(operands):
            return min(literal(part, signals, t) for part in operands)
        case Or(operands):
            return max(literal(part, signals, t) for part in operands)
        case Implies(condition, consequence):
            return max(-literal(condition, signals, t), literal(consequence, signals, t))
        case Always(operand, start, stop):
            return min(literal(operand, signals, later) for later in range(t + start, t + stop + 1))
        case Eventually(operand, start, stop):
            return max(literal(operand, signals, later) for later in range(t + start, t + stop + 1))
        case Until(left, right, start, stop):
            return max(
                min([literal(right, signals, later), *(literal(left, signals, before) for before in range(t, later))])
                for later in range(t + start, t + stop + 1)
            )


def traces(rows, samples, seed=0):
    """Random walks, which cross their thresholds now and then; `[B, T]` per name."""
    draw = np.random.default_rng(seed)
    return {name: np.cumsum(draw.normal(size=(rows, samples)), axis=1) for name in SIGNALS}


predicates = st.builds(
    lambda name, symbol, bound: Predicate(signal(name), symbol, (signal("x") * 0 + bound) if bound == 0 else signal("y") * 0.5 + bound),
    st.sampled_from(SIGNALS),
    st.sampled_from((">=", "<=", ">", "<")),
    st.integers(-2, 2).map(float),
)


def _larger(parts):
    interval = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted)
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Not, parts),
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Implies, parts, parts),
        st.builds(lambda part, ends: Always(part, *ends), parts, interval),
        st.builds(lambda part, ends: Eventually(part, *ends), parts, interval),
        st.builds(lambda left, right, ends: Until(left, right, *ends), parts, parts, interval),
    )


def formulas(depth=4):
    """Formulas of at most that depth."""
    found = predicates
    for _ in range(depth - 1):
        found = st.one_of(predicates, _larger(found))
    return found
