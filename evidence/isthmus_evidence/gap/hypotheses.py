"""What may be different about a robot, as tables that undo it or predict it: each hypothesis has at most one free number."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.hypothesis import Hypothesis
from isthmus_evidence.gap.response import Loads
from isthmus_evidence.gap.table import Table, with_value
from isthmus_evidence.gap.timing import noises, timing
from isthmus_evidence.gap.units import FACTORS, unit_factors

__all__ = ["hypotheses"]

_SIDES = {"measurement": ("position", "velocity", "effort"), "motion": ("position", "velocity"), "position": ("position",), "velocity": ("velocity",),
          "command": ("command",)}  # fmt: skip


def hypotheses(table: Table, loads: Loads, suspects: Sequence[int], notable: Collection[str]) -> Iterator[Hypothesis]:
    """All that can be tested on a table.

    Args:
        table: the second set.
        loads: of the robot.
        suspects: indices of joints that differ in anything.
        notable: kinds of relations that differ: "motion", "load", "slope", …; what changes none of them is left out.
    """
    torn = "slope" in notable  # velocities are not the differences of positions: one of both may be wrong alone
    sides = [
        side
        for side in _SIDES
        if (side != "measurement" or table.effort is not None)
        and (side != "command" or len(table.command))
        and (torn or side not in ("position", "velocity"))
    ]
    moving = [
        joint for joint in suspects if not table.standing[joint]
    ]  # of a measurement that stands still, no factor and no servo is told
    yield from _wiring(table, suspects, moving, sides)
    yield from _scales(table, moving, sides, loads.kinds)
    yield from _offsets(table, moving)
    if {"input", "pose"} & set(notable):
        yield from _frames(table)
    yield from timing(table, notable)
    yield from noises(table, notable)
    yield from _drives(table, moving)
    yield from _loads(table, loads, moving)


def _all(side: str) -> str:
    """Plural of a side."""
    return "velocities" if side == "velocity" else f"{side}s"


def _columns(table: Table, side: str, change: Callable[[Array], Array]) -> Table:
    """The table with a function of its columns in place of those of one side, and of the position at the beginning."""
    changed: dict[str, Any] = {name: change(value) for name in _SIDES[side] if (value := getattr(table, name)) is not None}
    if "position" in changed:
        changed["conditions"] = {**table.conditions, "position": change(table.conditions["position"])}
    return replace(table, **changed)


def _wiring(table: Table, suspects: Sequence[int], moving: Sequence[int], sides: Sequence[str]) -> Iterator[Hypothesis]:
    for side in sides:
        for one, two in itertools.combinations(suspects, 2):
            names = f"{table.joints[one]} and {table.joints[two]}"

            def swap(values: Array, one: int = one, two: int = two) -> Array:
                order = np.arange(values.shape[1])
                order[[one, two]] = two, one
                return values[:, order]

            yield Hypothesis(
                "joint order", f"{_all(side)} of {names} are exchanged", lambda t, _, s=side, f=swap: _columns(t, s, f), cost=0.01
            )
        if (order := _assigned(table, suspects)) is not None and side in ("measurement", "motion", "command"):
            names = ", ".join(table.joints[index] for index in order)
            yield Hypothesis(
                "joint order",
                f"{_all(side)} come in the order {names}",
                lambda t, _, s=side, o=order: _columns(t, s, lambda values: values[:, o if s == "command" else np.argsort(o)]),
                cost=0.02,
            )
        for joint in moving:

            def flip(values: Array, joint: int = joint) -> Array:
                sign = np.ones(values.shape[1])
                sign[joint] = -1
                return values * sign

            yield Hypothesis(
                "sign", f"the {side} of {table.joints[joint]} has the other sign", lambda t, _, s=side, f=flip: _columns(t, s, f)
            )
    still = table.still
    for joint in (joint for joint in suspects if still[joint]):
        yield Hypothesis(
            "frozen joint",
            f"{table.joints[joint]} does not move, or its measurement stands still",
            lambda t, _, j=joint: with_value(t, "frozen", j, 1.0),
            joint=joint,
        )


def _assigned(table: Table, suspects: Sequence[int]) -> Array | None:
    """For each joint the one whose commands it follows, where more than two are exchanged."""
    if len(suspects) < 3 or not len(table.command):
        return None
    from scipy.optimize import linear_sum_assignment

    index = np.clip(np.searchsorted(table.command_time, table.time - table.period / 2, side="right") - 1, 0, None)
    told, done = table.command[index], table.velocity if table.mode == "velocity" else table.position
    same = np.zeros((len(table.joints),) * 2)
    for one, two in itertools.product(range(len(table.joints)), repeat=2):
        if np.ptp(told[:, two]) > 0 and np.ptp(done[:, one]) > 0:
            same[one, two] = np.corrcoef(done[:, one], told[:, two])[0, 1]
    order = linear_sum_assignment(-same)[1]
    return np.asarray(order) if (order != np.arange(len(order))).sum() > 2 else None


def _scales(table: Table, suspects: Sequence[int], sides: Sequence[str], kinds: Mapping[str, str]) -> Iterator[Hypothesis]:
    for side in sides:
        for joint in (None, *suspects):
            who = "all joints" if joint is None else table.joints[joint]
            column = slice(None) if joint is None else joint

            def scaled(table: Table, factor: float, side: str = side, column: Any = column) -> Table:
                def change(values: Array) -> Array:
                    changed = values.copy()
                    changed[:, column] *= factor if side == "command" else 1 / factor
                    return changed

                return _columns(table, side, change)

            for word, factor in FACTORS.items():
                own = [
                    index for index, name in enumerate(table.joints) if word in unit_factors(kinds.get(name, "")) and joint in (None, index)
                ]
                if not own:
                    continue
                yield Hypothesis(
                    "unit",
                    f"{_all(side)} of {_those(table, joint, own)} are in {word}",
                    lambda t, _, f=scaled, x=factor, c=own: f(t, x, column=c),
                    cost=0.0 if word == "degrees" else 0.02,
                )
            # A motion that is smaller than what was commanded by one factor: of what is measured, or of what is commanded.
            yield Hypothesis(
                "scale",
                f"{_all(side)} of {who} are scaled by {{value}}",
                scaled,
                (0.2, 0.35, 0.5, 0.65, 0.8, 1.25, 1.6, 2.0, 3.0),
                "1",
                0.03,
            )


def _those(table: Table, joint: int | None, own: Sequence[int]) -> str:
    """One joint, or all of a kind."""
    if joint is not None:
        return table.joints[joint]
    return "all joints" if len(own) == len(table.joints) else ", ".join(table.joints[index] for index in own)


def _offsets(table: Table, suspects: Sequence[int]) -> Iterator[Hypothesis]:
    for side, unit in (("position", "rad or m"), ("velocity", "rad/s or m/s")):
        for joint in suspects:

            def moved(table: Table, offset: float, side: str = side, joint: int = joint) -> Table:
                def change(values: Array) -> Array:
                    changed = values.copy()
                    changed[:, joint] -= offset
                    return changed

                return _columns(table, side, change)

            yield Hypothesis(
                "offset",
                f"the {side} of {table.joints[joint]} is measured {{value}} too large",
                moved,
                (-0.6, -0.3, -0.15, -0.07, -0.03, 0.03, 0.07, 0.15, 0.3, 0.6),
                unit,
                0.01,
                (f"{table.joints[joint]}.offset",) if side == "position" else (),
                joint,
            )


def _frames(table: Table) -> Iterator[Hypothesis]:
    spatial = [name for name, values in table.conditions.items() if name != "position" and values.shape[1] in (2, 3, 7)]
    for names in [[name] for name in spatial] + ([spatial] if len(spatial) > 1 else []):

        def turned(table: Table, angle: float, names: list[str] = names) -> Table:
            cos, sin = np.cos(-angle), np.sin(-angle)
            turn = np.array([[cos, -sin], [sin, cos]])
            changed = {name: table.conditions[name].copy() for name in names}
            for values in changed.values():
                values[:, :2] = values[:, :2] @ turn.T
                if values.shape[1] == 7:
                    x, y, z, w = values[:, 3:].T
                    s, c = np.sin(-angle / 2), np.cos(-angle / 2)
                    values[:, 3:] = np.stack([c * x - s * y, c * y + s * x, c * z + s * w, c * w - s * z], axis=1)
            return replace(table, conditions={**table.conditions, **changed})

        what = " and ".join(names)
        yield Hypothesis(
            "frame", f"{what} is in a frame that is turned by {{value}} about z", turned,
            (-2.6, -2.1, -1.57, -1.0, -0.5, -0.2, 0.2, 0.5, 1.0, 1.57, 2.1, 2.6, 3.14), "rad", 0.01 * len(names),
        )  # fmt: skip
        for signs in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)):

            def mirrored(table: Table, _: float, names: list[str] = names, signs: tuple[int, ...] = signs) -> Table:
                changed = {
                    name: values * np.array([*signs, 1, 1, 1, 1][: values.shape[1]])
                    for name, values in table.conditions.items()
                    if name in names
                }
                return replace(table, conditions={**table.conditions, **changed})

            axes = ", ".join(axis for axis, sign in zip("xyz", signs, strict=True) if sign < 0)
            yield Hypothesis("frame", f"{what} is mirrored along {axes}", mirrored, cost=0.01)
        for order in itertools.permutations(range(3)):
            if order != (0, 1, 2):

                def permuted(table: Table, _: float, names: list[str] = names, order: tuple[int, ...] = order) -> Table:
                    changed = {}
                    for name in names:
                        values = table.conditions[name]
                        if values.shape[1] >= 3:
                            changed[name] = np.concatenate([values[:, list(order)], values[:, 3:]], axis=1)
                        elif order[:2] == (1, 0):
                            changed[name] = values[:, ::-1]
                    return replace(table, conditions={**table.conditions, **changed})

                yield Hypothesis("frame", f"the axes of {what} are exchanged", permuted, cost=0.01)


def _drives(table: Table, suspects: Sequence[int]) -> Iterator[Hypothesis]:
    for joint in (None, *suspects):
        who = "all joints" if joint is None else table.joints[joint]
        names = tuple(table.joints if joint is None else (table.joints[joint],))
        if table.mode in ("position", "velocity"):
            yield Hypothesis(
                "servo gain", f"the servo of {who} has {{value}} times the gain", lambda t, s, j=joint: with_value(t, "gain", j, s),
                (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.2, 1.5, 2.0, 3.0), "1", 0.01, tuple(f"{name}.gain" for name in names), joint,
                "servo" if joint is None else "",
            )  # fmt: skip
        if joint is None:
            continue
        if table.mode == "velocity":
            largest = float(np.abs(table.velocity[:, joint]).max())
            yield Hypothesis(
                "saturation", f"{who} comes to no more than {{value}}", lambda t, c, j=joint: with_value(t, "limit", j, c),
                tuple(largest * share for share in (0.8, 0.95, 1.0, 1.05)), "rad/s or m/s", 0.03, (f"{who}.no_load_speed",), joint,
            )  # fmt: skip
        way = float(np.ptp(table.position[:, joint]))
        yield Hypothesis(
            "backlash", f"{who} has a backlash of {{value}}", lambda t, w, j=joint: with_value(t, "play", j, w),
            tuple(way * share for share in (0.01, 0.03, 0.06, 0.12)), "rad or m", 0.05, (), joint,
        )  # fmt: skip


def _loads(table: Table, loads: Loads, suspects: Sequence[int]) -> Iterator[Hypothesis]:
    def loaded(regressor: Callable[..., Array], shift: float = 0.0) -> Callable[[Table, float], Table]:
        def apply(table: Table, size: float) -> Table:
            more = (size + shift) * regressor(table)
            return replace(table, load=more if table.load is None else table.load + more)

        return apply

    if loads.kinematics is not None:
        gravity, payload = loads.kinematics.gravity(table.joints, table.position), loads.payload(table)
        yield Hypothesis(
            "gravity", "gravity acts {value} times as much as it should", loaded(lambda _: gravity, -1.0),
            (-1.0, -0.5, 0.0, 0.3, 0.6, 0.8, 0.9, 1.1, 1.2, 1.5, 2.0), "1", 0.01, ("gravity",),
        )  # fmt: skip
        yield Hypothesis(
            "payload",
            "the tool carries {value} more",
            loaded(lambda _: payload),
            (-1.0, -0.3, 0.1, 0.3, 0.7, 1.0, 1.5, 2.5, 5.0),
            "kg",
            0.01,
            ("payload",),
        )
    if table.effort is None and table.mode != "effort":
        return
    for joint in (None, *suspects):
        who = "all joints" if joint is None else table.joints[joint]
        names = tuple(table.joints if joint is None else (table.joints[joint],))
        chosen = np.zeros(len(table.joints))
        chosen[slice(None) if joint is None else joint] = 1.0
        sizes = (-5.0, -1.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
        yield Hypothesis(
            "friction", f"viscous friction of {who} is {{value}} larger", loaded(lambda t, c=chosen: c * t.velocity),
            sizes, "N*m*s/rad or N*s/m", 0.02, tuple(f"{name}.damping" for name in names), joint,
        )  # fmt: skip
        yield Hypothesis(
            "friction", f"dry friction of {who} is {{value}} larger", loaded(lambda t, c=chosen: c * np.tanh(t.velocity / 0.02)),
            sizes, "N*m or N", 0.02, tuple(f"{name}.frictionloss" for name in names), joint,
        )  # fmt: skip
