"""What may be different about times, messages and noise."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from isthmus_evidence.gap.corrections import clocked, held, lost, smoothed
from isthmus_evidence.gap.hypothesis import Hypothesis
from isthmus_evidence.gap.table import Table, with_value

__all__ = ["noises", "timing"]

_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def timing(table: Table, notable: Collection[str]) -> Iterator[Hypothesis]:
    """Delays, filters, rates, losses and clocks.

    Args:
        table: the second set.
        notable: kinds of relations that differ.
    """
    period = table.period
    if len(table.command):
        steps = tuple(share * period for share in (0.15, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 5.0))
        # Of both, joints look the same; a simulator's delay is that of the loop, whose times isthmus alone records.
        claim, known = "commands take effect {value} later, or measurements come so much later", ("action_delay",) if table.traced else ()
        for sizes, cost in ((steps, 0.01), (tuple(-step for step in steps[:5]), 0.02)):
            yield Hypothesis("delay", claim, lambda t, d: with_value(t, "delay", None, d), sizes, "s", cost, known)
        yield Hypothesis(
            "filter", "commands pass a filter with a time constant of {value}", lambda t, d: with_value(t, "lag", None, d),
            tuple(share * period for share in (0.2, 0.5, 1.0, 2.0, 4.0)), "s", 0.02, ("action_lag",),
        )  # fmt: skip
    moving = np.abs(table.velocity).max(axis=1) > 0
    share = float(table.repeated[moving].mean()) if moving.any() else 0.0
    for every, word in _ORDINALS.items():
        if len(table.command):
            for phase in range(every):
                yield Hypothesis(
                    "rate",
                    f"only every {word} command takes effect",
                    lambda t, _, k=every, p=phase: held(t, k, p),
                    cost=0.01 + 0.005 * every,
                )
        if not {"interval", "repeats"} & set(notable):
            continue
        yield Hypothesis("rate", f"messages come in every {word} control period", lambda t, _, k=every: replace(t, every=k))
        if share > 0.5 * (1 - 1 / every):
            yield Hypothesis(
                "rate",
                f"measurements are new in every {word} control period",
                lambda t, _, k=every: replace(t, every=k, skipping=True),
                cost=0.01,
            )
    if {"interval", "repeats"} & set(notable):
        yield Hypothesis(
            "dropped messages", "measurements are missing now and then", lambda t, _: replace(t, fresh=True, skipping=True), cost=0.05
        )
        yield Hypothesis("dropped messages", "messages are missing now and then", lambda t, _: replace(t, fresh=True), cost=0.05)
    if len(table.command):
        yield Hypothesis("dropped messages", "commands are lost now and then", lambda t, _: lost(t), cost=0.1)
    if {"slope", "interval"} & set(notable):
        yield Hypothesis(
            "clock",
            "its clock runs {value} times as fast",
            lambda t, s: clocked(t, s),
            (0.5, 0.8, 0.9, 0.97, 1.03, 1.1, 1.25, 2.0),
            "1",
            0.05,
        )


def noises(table: Table, notable: Collection[str]) -> Iterator[Hypothesis]:
    """Noise of positions or velocities; for the arguments see `timing`."""
    if table.measured_velocity and "slope" not in notable:
        return  # neither positions nor velocities are noisy where they agree
    for side, unit in (("position", "rad or m"), ("velocity", "rad/s or m/s")) if table.measured_velocity else (("position", "rad or m"),):
        quiet = smoothed(table, side)
        size = float(np.std((getattr(table, side) - getattr(quiet, side))[table.inner]))
        yield Hypothesis(
            "missing filter", f"{side}s carry white noise of {size:.2g} {unit} (standard deviation)", lambda _, __, q=quiet: q, cost=0.05
        )
