"""All samples of a set of recordings, one after the other, and what a hypothesis changes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.recordings import Recording

__all__ = ["Table", "make_table", "with_value"]

_BETWEEN = 1e3  # s between two recordings on the common time axis
_BLOCK = 1.0  # s, of one fold of a single recording
_MOVING = 1e-4  # rad/s or m/s
_STILL = 0.1  # of what is commanded
_MOST = 6000  # samples of a set; of more, recordings are taken evenly


@dataclass(frozen=True, slots=True)
class Table:
    """N samples of J joints of E recordings, K commands. A hypothesis is told by a table that differs from the recorded one.

    Attributes:
        joints: names.
        mode: of the commands; "" if none were recorded.
        period: nominal control period, s.
        recording: of each sample, `[N]`.
        fold: 0 or 1, `[N]`: what one half says is judged on the other.
        time: s, increasing; recordings lie far from each other, `[N]`.
        position: `[N, J]`, rad or m.
        velocity: `[N, J]`.
        measured_velocity: whether velocities were recorded, and not made of positions.
        effort: `[N, J]`, N·m or N; None if none were recorded.
        command_time: when each begins, `[K]`, s.
        command: `[K, J]`; before each recording one of rest.
        conditions: how each recording began, `[E, n]` by name, NaN where it is not known.
        seeds: of the recordings, -1 where none is known, `[E]`.
        delay: of the commands, s, beyond that of the other set, `[J]`.
        lag: time constant of a filter on the commands, s, likewise, `[J]`.
        gain: of the servos, as a multiple of the other set's, `[J]`.
        load: effort that the joints have to give beyond what the other set's would, `[N, J]`, or None.
        limit: largest speed that a joint comes to, `[J]`.
        play: backlash, rad or m, `[J]`.
        frozen: joints that do not move at all, `[J]`.
        dead_time: of the other set's commands, s, `[J]`.
        calm: accelerations up to which loads are looked at, `[J]`; empty for those that most samples keep.
        servo: of the other set's joints, see `isthmus_evidence.gap.servo`, `[J, 2]`; NaN where it is not needed.
        every: control periods between two messages that count.
        fresh: whether messages may be missing.
        skipping: whether samples that repeat the one before are left out of what is compared.
        traced: whether all recordings are of isthmus, whose times are those of the loop.
    """

    joints: tuple[str, ...]
    mode: str
    period: float
    recording: Array
    fold: Array
    time: Array
    position: Array
    velocity: Array
    measured_velocity: bool
    effort: Array | None
    command_time: Array
    command: Array
    conditions: Mapping[str, Array]
    seeds: Array
    delay: Array = field(default_factory=lambda: np.zeros(0))
    lag: Array = field(default_factory=lambda: np.zeros(0))
    gain: Array = field(default_factory=lambda: np.zeros(0))
    load: Array | None = None
    limit: Array = field(default_factory=lambda: np.zeros(0))
    play: Array = field(default_factory=lambda: np.zeros(0))
    frozen: Array = field(default_factory=lambda: np.zeros(0))
    dead_time: Array = field(default_factory=lambda: np.zeros(0))
    calm: Array = field(default_factory=lambda: np.zeros(0))
    servo: Array = field(default_factory=lambda: np.zeros(0))
    every: int = 1
    fresh: bool = False
    skipping: bool = False
    traced: bool = False

    def __post_init__(self) -> None:
        count = len(self.joints)
        if not self.servo.size:
            object.__setattr__(self, "servo", np.full((count, 2), np.nan))
        for name, value in (
            ("delay", 0.0),
            ("lag", 0.0),
            ("gain", 1.0),
            ("limit", np.inf),
            ("play", 0.0),
            ("frozen", 0.0),
            ("dead_time", 0.0),
        ):
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.full(count, value))

    @property
    def repeated(self) -> Array:
        """Samples that repeat the one before while the robot moves, `[N]`."""
        state = np.concatenate([self.position, self.velocity], axis=1)
        same = np.concatenate([[False], (np.diff(state, axis=0) == 0).all(axis=1)])
        return np.asarray(same & self.inner & (np.abs(self.velocity).max(axis=1) > _MOVING))

    @property
    def standing(self) -> Array:
        """Joints whose measurements never change within a recording, `[J]`."""
        return np.asarray(~(np.diff(self.position, axis=0) != 0)[self.inner[1:]].any(axis=0))

    @property
    def still(self) -> Array:
        """Joints that stand, or move by less than a tenth of what they are commanded, `[J]`."""
        if self.mode not in ("position", "velocity") or not len(self.command):
            return self.standing
        told = self.command[np.searchsorted(self.command_time, self.time + 1e-9, side="right") - 1]
        done = self.velocity
        if self.mode == "position":
            first = np.maximum.accumulate(np.where(self.inner, 0, np.arange(len(self.time))))
            told, done = (values - self.position[first] for values in (told, self.position))
        return np.asarray(self.standing | ((done**2).mean(axis=0) < _STILL**2 * (told**2).mean(axis=0)))

    @property
    def inner(self) -> Array:
        """Samples that have one before them in their recording, `[N]`."""
        return np.concatenate([[False], self.recording[1:] == self.recording[:-1]])


def with_value(table: Table, name: str, joint: int | None, value: float) -> Table:
    """The table with another value of one of its figures by joint, for one joint or for all."""
    values = getattr(table, name).copy()
    values[slice(None) if joint is None else joint] = value
    return replace(table, **{name: values})


def make_table(recordings: Sequence[Recording]) -> Table:
    """Join recordings; columns are in the order of the first one's joints.

    Raises:
        ValueError: nothing was commanded in a recording.
    """
    total = sum(len(recording.log.time) for recording in recordings)
    kept = list(recordings)[:: max(1, -(-total // _MOST))]
    joints, mode = kept[0].log.joints, kept[0].log.mode
    parts: dict[str, list[Array]] = {
        name: [] for name in ("recording", "fold", "time", "position", "velocity", "effort", "command_time", "command")
    }
    for number, recording in enumerate(kept):
        log = recording.log
        order = [log.joints.index(joint) for joint in joints]
        begin = _BETWEEN * number
        time = log.time + begin
        block = (log.time // _BLOCK).astype(int) if len(kept) == 1 else np.zeros(len(time), dtype=int)
        velocity = log.velocity
        if velocity is None:
            velocity = np.gradient(log.position, log.time, axis=0) if len(time) > 1 else np.zeros(log.position.shape)
        parts["recording"].append(np.full(len(time), number))
        parts["fold"].append((number + block) % 2)
        parts["time"].append(time)
        parts["position"].append(log.position[:, order])
        parts["velocity"].append(velocity[:, order])
        parts["effort"].append(np.full(log.position.shape, np.nan) if log.effort is None else log.effort[:, order])
        if mode:
            rest = log.position[:1, order] if mode == "position" else np.zeros((1, len(joints)))
            parts["command_time"].append(np.concatenate([[begin - 0.4 * _BETWEEN], log.command_time + begin]))
            parts["command"].append(np.concatenate([rest, log.command[:, order]]))
    arrays: dict[str, Any] = {name: np.concatenate(values) if values else np.zeros(0) for name, values in parts.items()}
    effort = arrays.pop("effort")
    if not mode:
        arrays["command"] = np.zeros((0, len(joints)))
    return Table(
        joints=joints,
        mode=mode,
        period=kept[0].period,
        traced=all(recording.trace is not None for recording in kept),
        measured_velocity=all(recording.log.velocity is not None for recording in kept),
        effort=effort if np.isfinite(effort).all() and effort.any() else None,
        conditions=_conditions(kept, joints),
        seeds=np.array([-1 if recording.seed is None else recording.seed for recording in kept]),
        **arrays,
    )


def _conditions(recordings: Sequence[Recording], joints: Sequence[str]) -> dict[str, Array]:
    """Positions of the joints, inputs and poses at the beginning of each recording, by `position`, `input NAME` and `pose NAME`."""
    rows: dict[str, list[Array]] = {
        "position": [recording.log.position[0, [recording.log.joints.index(j) for j in joints]] for recording in recordings]
    }
    for number, recording in enumerate(recordings):
        if (trace := recording.trace) is None:
            continue
        said = {f"input {name}": values[0] for name, values in trace.inputs.items()}
        said |= {f"pose {name}": values[0] for name, values in trace.poses.items()}
        for name, value in said.items():
            known = rows.setdefault(name, [np.full(len(value), np.nan)] * number)
            known.append(value)
        for known in rows.values():
            if len(known) == number:
                known.append(np.full(len(known[0]), np.nan))
    return {name: np.array(values, dtype=np.float64) for name, values in rows.items() if len(values) == len(recordings)}
