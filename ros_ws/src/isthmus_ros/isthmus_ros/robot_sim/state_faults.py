"""What a faulty robot says: joint states that are wrong, late or missing. No ROS in here, so that tests need none."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from isthmus_ros.robot_sim.faults import Faults

__all__ = ["FaultyClock", "FaultyStates", "LateQueue", "StateSample"]

EXTRA_POSITION = 0.7  # rad, of a joint that the robot does not have

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StateSample:
    """A joint state.

    Attributes:
        stamp: ns.
        names: of the joints.
        position: per joint, rad or m.
        velocity: per joint, rad/s or m/s; empty for none.
        effort: per joint, N·m or N; empty for none.
    """

    stamp: int
    names: Sequence[str]
    position: Sequence[float]
    velocity: Sequence[float]
    effort: Sequence[float]


class FaultyClock:
    """Time that is offset, stands, runs backwards or at another speed from the moment on when it is told so."""

    def __init__(self, offset: str, rate: str) -> None:
        """Name the faults `offset` (s) and `rate` that it obeys."""
        self._names = offset, rate
        self._rate, self._began = 1.0, 0

    def read(self, now: int, faults: Faults) -> int:
        """The time that is said at the true time `now`, ns."""
        offset, rate = (faults.number(name) for name in self._names)
        if rate != self._rate:
            self._rate, self._began = rate, now
        if rate != 1:
            now = self._began + round(rate * (now - self._began))
        return max(now + round(offset * 1e9), 0)


class FaultyStates:
    """Makes joint states wrong, and drops them; the faults may change from sample to sample."""

    def __init__(self, seed: int = 0) -> None:
        """Draw what is dropped with this seed."""
        self._generator = np.random.default_rng(seed)
        self._clock = FaultyClock("stamp_offset", "stamp_rate")
        self._frozen: dict[str, tuple[float, float, float]] = {}
        self._asked, self._dropped = 0.0, 0

    def apply(self, sample: StateSample, faults: Faults) -> StateSample | None:
        """The joint state as it is said, None if it never comes."""
        if self._drops(faults):
            return None
        rows = self._frozen_rows(sample, faults.joints("freeze_values"))
        rows = {name: _changed(name, values, faults) for name, values in rows.items() if name not in faults.joints("missing_joint")}
        if faults.on("reorder"):
            rows = dict(reversed(rows.items()))
        if faults.on("extra_joint"):
            rows[faults.names["extra_joint"]] = (EXTRA_POSITION, 0.0, 0.0)
        columns = [[row[index] for row in rows.values()] for index in range(3)]
        return dataclasses.replace(
            sample,
            stamp=self._clock.read(sample.stamp, faults),
            names=list(rows),
            position=columns[0],
            velocity=[] if not sample.velocity or faults.on("empty_velocity") else columns[1],
            effort=[] if not sample.effort or faults.on("empty_effort") else columns[2],
        )

    def _drops(self, faults: Faults) -> bool:
        asked = faults.number("state_drop_next")
        if asked != self._asked:
            self._asked, self._dropped = asked, 0
        if self._dropped < asked:
            self._dropped += 1
            return True
        share = faults.number("state_drop")
        return faults.on("silent") or (share > 0 and float(self._generator.random()) < share)

    def _frozen_rows(self, sample: StateSample, frozen: Mapping[str, float]) -> dict[str, tuple[float, float, float]]:
        count = len(sample.names)
        fields = [values if len(values) else [0.0] * count for values in (sample.position, sample.velocity, sample.effort)]
        rows = {name: (fields[0][index], fields[1][index], fields[2][index]) for index, name in enumerate(sample.names)}
        self._frozen = {name: self._frozen.get(name, rows[name]) for name in frozen if name in rows}
        return {**rows, **self._frozen}


def _changed(name: str, row: tuple[float, float, float], faults: Faults) -> tuple[float, float, float]:
    position, velocity, effort = row
    if offset := faults.joints("position_offset").get(name):
        position += offset
    if faults.on("degrees"):
        position, velocity = math.degrees(position), math.degrees(velocity)
    if name in faults.joints("nan_position"):
        position = math.nan
    if name in faults.joints("nan_velocity"):
        velocity = math.nan
    return position, velocity, effort


class LateQueue(Generic[T]):
    """Keeps messages until they are due, in order."""

    def __init__(self, seed: int = 0) -> None:
        """Draw the jitter with this seed."""
        self._generator = np.random.default_rng(seed)
        self._waiting: deque[tuple[float, T]] = deque()

    def put(self, message: T, now: float, faults: Faults) -> None:
        """Take a message at the time `now`, s."""
        delay, jitter = faults.number("state_delay"), faults.number("state_jitter")
        due = now + delay + jitter * float(self._generator.random())
        if not (delay or jitter):  # what was late comes at once
            self._waiting = deque((now, waiting) for _, waiting in self._waiting)
        elif self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, message))

    def due(self, now: float) -> list[T]:
        """The messages whose time has come, oldest first; they leave the queue."""
        ready = []
        while self._waiting and self._waiting[0][0] <= now:
            ready.append(self._waiting.popleft()[1])
        return ready

    def __len__(self) -> int:
        return len(self._waiting)
