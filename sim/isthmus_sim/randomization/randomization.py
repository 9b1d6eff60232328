"""Which parameters are drawn at the beginning of each episode, and from what.

A `Randomization` is what a file says, and knows no robot. Bound to the parameters of one plant it is a `Sampler`: every name has been found in the
plant and every distribution checked against the valid range by then, so that nothing is skipped later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.records import Array
from isthmus_sim.appearance import AppearanceRanges
from isthmus_sim.parameters import Parameter, parameter_table
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.randomization.distribution import Distribution
from isthmus_sim.randomization.distributions import DISTRIBUTIONS
from isthmus_sim.randomization.gaussian import BoundGaussian, Correlated
from isthmus_sim.task import EpisodeStart, Task

__all__ = ["Entry", "Randomization", "Sampler", "asked_randomization"]

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter, or several by a pattern, and what it is drawn from; each parameter of a pattern is drawn for itself.

    Attributes:
        pattern: name, or a pattern such as `*.damping` (`fnmatch`).
        distribution: in the parameter's unit.
        unit: checked against the parameter's; "" is not checked.
    """

    pattern: str
    distribution: Distribution
    unit: str = ""

    @property
    def wild(self) -> bool:
        """Whether it is a pattern."""
        return bool(_WILD & set(self.pattern))


@dataclass(frozen=True, slots=True)
class Randomization:
    """What is drawn at the beginning of each episode.

    Attributes:
        entries: drawn independently; a name comes before a pattern that matches it, too.
        correlated: drawn together.
        appearance: lights, textures, colours and cameras; drawn by the plant that renders them.
    """

    entries: tuple[Entry, ...] = ()
    correlated: tuple[Correlated, ...] = ()
    appearance: AppearanceRanges | None = None

    def __post_init__(self) -> None:
        named = [entry.pattern for entry in self.entries] + [name for block in self.correlated for name in block.names]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"parameter {twice[0]!r} is drawn twice")

    def bind(self, plant: str, table: Mapping[str, Parameter], expressible: Collection[str] | None = None) -> Sampler:
        """What is drawn for the parameters of one plant.

        Args:
            plant: its name, for messages.
            table: every parameter of robot and scene.
            expressible: names that the plant can be told; None means all.

        Raises:
            ValueError: a name that does not exist or that the plant cannot express, a pattern that matches nothing or what another one matches,
                another unit, or a distribution that reaches beyond the valid range; the message names the parameter.
        """
        chosen: dict[str, Entry] = {}
        taken = {name for block in self.correlated for name in block.names}
        for name in sorted(taken):
            _known(name, table)
        for entry in sorted(self.entries, key=lambda entry: entry.wild):
            for name in _matches(entry, table):
                if name in taken or (name in chosen and not chosen[name].wild):
                    continue  # a name says more than a pattern
                if name in chosen:
                    raise ValueError(f"parameter {name!r} is matched by both {chosen[name].pattern!r} and {entry.pattern!r}; name it")
                chosen[name] = entry
        for name in sorted(taken | set(chosen)):
            if expressible is not None and name not in expressible:
                raise ValueError(f"plant {plant!r} cannot express parameter {name!r}")
        for name, entry in chosen.items():
            if entry.unit and entry.unit != table[name].unit:
                raise ValueError(f"parameter {name!r} is in {table[name].unit}, got unit {entry.unit!r}")
        alone = {name: chosen[name].distribution.within(table[name]) for name in sorted(chosen)}
        return Sampler(alone, tuple((block.names, block.within(table)) for block in self.correlated))

    def for_plant(self, name: str, plant: RenderedSimulator) -> Sampler:
        """Bind to a plant; the appearance is the plant's own, given when it is made (`randomized_plant`).

        Args:
            name: of its engine, for messages.
            plant: gives robot, scene and what it can be told.

        Raises:
            ValueError: see `bind`.
        """
        return self.bind(name, parameter_table(plant.robot, plant.scene), plant.parameters)

    def plain(self) -> dict[str, Any]:
        """Plain data, as in a file."""
        words = {kind: word for word, kind in DISTRIBUTIONS.items()}
        parameters = {
            entry.pattern: {words[type(entry.distribution)]: strict.encode(entry.distribution)}
            | ({"unit": entry.unit} if entry.unit else {})
            for entry in self.entries
        }
        parts = {"parameters": parameters, "correlated": self.correlated, "appearance": self.appearance}
        return {name: strict.encode(part) for name, part in parts.items() if part}

    def digest(self) -> str:
        """SHA-256 of the canonical JSON; equal digests draw equal values."""
        return hashlib.sha256(strict.canonical_json(self.plain())).hexdigest()

    def summary(self) -> dict[str, Any]:
        """Digest and content, for a policy's manifest."""
        return {"digest": self.digest(), "content": self.plain()}


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws the parameters of one plant; engine and batch change nothing.

    Attributes:
        alone: distribution of each parameter that is drawn independently, sorted by name.
        together: names and distribution of those that are not.
    """

    alone: Mapping[str, Distribution]
    together: tuple[tuple[tuple[str, ...], BoundGaussian], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order in which they are drawn."""
        return (*self.alone, *(name for names, _ in self.together for name in names))

    def sample(self, generators: Sequence[np.random.Generator], progress: float = 1.0) -> dict[str, Array]:
        """Draw every parameter once per row.

        Args:
            generators: one per row.
            progress: of the training, 0 … 1; widens curricula.

        Returns:
            `[n]` per name, in the parameter's unit.

        Raises:
            ValueError: progress is not in 0 … 1.
        """
        if not 0 <= progress <= 1:
            raise ValueError(f"progress must be in 0 … 1, got {progress}")
        values = np.array([self._row(generator, progress) for generator in generators]).reshape(len(generators), len(self.names))
        return {name: values[:, column].copy() for column, name in enumerate(self.names)}

    def randomized(self, task: Task) -> Task:
        """The task with these parameters drawn at every start, after the start itself, at full progress."""

        def start(generators: Sequence[np.random.Generator]) -> EpisodeStart:
            begun = task.start(generators)
            return replace(begun, parameters={**begun.parameters, **self.sample(generators)})

        return replace(task, start=start)

    def _row(self, generator: np.random.Generator, progress: float) -> list[float]:
        values = [distribution.draw(generator, progress) for distribution in self.alone.values()]
        return values + [float(value) for _, block in self.together for value in block.draw(generator)]


def asked_randomization(asked: Any) -> Randomization | None:
    """What somebody gave as a randomisation.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(asked, Randomization | None):
        raise ValueError(f"randomization must be what load_randomization(FILE) returns, or None, got {asked!r}")
    return asked


def _known(name: str, table: Mapping[str, Parameter]) -> None:
    if name not in table:
        raise ValueError(f"unknown parameter {name!r}; {strict.suggest(name, table)}")


def _matches(entry: Entry, table: Mapping[str, Parameter]) -> list[str]:
    if not entry.wild:
        _known(entry.pattern, table)
        return [entry.pattern]
    if found := [name for name in table if fnmatchcase(name, entry.pattern)]:
        return found
    raise ValueError(f"pattern {entry.pattern!r} matches no parameter; {strict.suggest(entry.pattern, table)}")
