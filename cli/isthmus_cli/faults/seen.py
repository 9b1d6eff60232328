"""What followed a fault, worked out from what a witness has recorded: plain arithmetic over arrays, without ROS."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.spline import Spline

__all__ = ["NAN", "Followed", "Seen", "letters", "reach_of_splines", "sent", "stops", "use_of_commands", "use_of_joints", "use_of_splines"]

NAN = float("nan")
_TOGETHER = 0.1  # s between the arrivals of a command and of the guard's own word about it
_STILL = 1e-9  # rad/s or m/s that are rest
_ADJACENT = 0.95  # periods between two commands, below which the later one was sent early and must be small


@dataclasses.dataclass(slots=True)
class Seen:
    """What followed a fault.

    Attributes:
        outcome: letters of the fault table; "R" with `words` for a refusal.
        words: the guard's cause, or the refusal.
        brake: seconds from the fault to the first braking command at the robot; NaN if there was none.
        still: seconds from the fault to the robot's standstill; NaN if it went on moving.
        allowed: seconds that are allowed from the first braking command to standstill; NaN where nothing braked.
        velocity: largest use of a velocity limit on the robot's own topic, 1 is the limit; NaN where others than the guard commanded.
        acceleration: the same of acceleration.
        joints: largest use of a velocity limit by the joints themselves; NaN where the fault moves them.
        note: what else was measured.
    """

    outcome: str
    words: str = ""
    brake: float = NAN
    still: float = NAN
    allowed: float = NAN
    velocity: float = NAN
    acceleration: float = NAN
    joints: float = NAN
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Followed:
    """Times after a fault, s; NaN where something did not happen.

    Attributes:
        brake: to the first command that is slower than before.
        still: to the last sample in which a joint moved.
        speed: of the last command before that, per joint, `[J]`.
    """

    brake: float
    still: float
    speed: Array


def letters(rungs: Sequence[str], events: Sequence[str]) -> str:
    """The outcome in letters of the fault table, from the guard's rungs and the robot's events in order."""
    if "stop" in rungs:
        stop = "X" if "stop_service" in events else "S"
        return f"H→{stop}" if "hold" in rungs[: rungs.index("stop")] else stop
    if "hold" in rungs:
        return "H" if rungs[-1] != "hold" else "H, not over"
    return "C" if "clamp" in rungs else "N"


def stops(began: float, commands: tuple[Array, Array], motion: tuple[Array, Array], standstill: float) -> Followed:
    """When the robot was told to brake, and when it stood.

    Args:
        began: moment of the fault, s.
        commands: times `[T]` and commanded velocities `[T, J]`.
        motion: times `[N]` and measured velocities `[N, J]`.
        standstill: speed below which it stands.
    """
    times, speeds = commands
    fastest = np.abs(speeds).max(axis=1) if len(times) else np.zeros(0)
    earlier = fastest[times <= began]
    cruise = float(np.median(earlier[-3:])) if earlier.size else 0.0
    slower = np.flatnonzero((times > began) & (fastest < 0.98 * cruise))
    brake, speed = NAN, np.zeros(speeds.shape[1] if len(times) else 0)
    if slower.size:
        brake, speed = float(times[slower[0]] - began), np.abs(speeds[max(slower[0] - 1, 0)])
    moments, velocities = motion
    still = NAN
    if len(moments):
        moving = np.abs(velocities).max(axis=1) >= standstill
        if not moving[-1]:
            still = max(float((moments[moving][-1] if moving.any() else began) - began), 0.0)
    return Followed(brake, still, speed)


def use_of_splines(messages: Sequence[tuple[float, Spline]], limits: Limits, step: float = 0.001) -> tuple[float, float]:
    """Largest use of the limits of velocity and acceleration by trajectories as a controller interpolates them, each until the next one came.

    Args:
        messages: when each came, s, and its motion; one that does not say where it begins, at time 0, begins in the motion before it.
        limits: of the robot.
        step: s between samples.

    Returns:
        two shares, 1 is the limit; NaN if there is nothing to look at.
    """
    if not messages:
        return NAN, NAN
    velocity, acceleration = np.array(limits.velocity), np.maximum(limits.acceleration, limits.stop_acceleration)
    fastest = hardest = 0.0
    for _, speed, force in _samples(messages, step):
        fastest = max(fastest, float((np.abs(speed) / velocity).max()))
        hardest = max(hardest, float((np.abs(force) / acceleration).max()))
    return fastest, hardest


def reach_of_splines(messages: Sequence[tuple[float, Spline]], step: float = 0.001) -> tuple[Array, Array]:
    """Lowest and highest positions of trajectories as a controller interpolates them, `[J]` each; see `use_of_splines`."""
    places = np.array([place for place, _, _ in _samples(messages, step)])
    return places.min(axis=0), places.max(axis=0)


def _samples(messages: Sequence[tuple[float, Spline]], step: float) -> Iterator[tuple[Array, Array, Array]]:
    """Positions, velocities and accelerations, `[J]` each, every `step` seconds."""
    before: tuple[float, Spline] | None = None
    for index, (came, found) in enumerate(messages):
        spline = found if found.times[0] == 0 or before is None else _joined(before[1], came - before[0], found)
        end = messages[index + 1][0] - came if index + 1 < len(messages) else float(spline.times[-1])
        for time in np.arange(0.0, min(end, float(spline.times[-1])), step):
            yield spline.sample(float(time))
        before = (came, spline)


def _joined(before: Spline, elapsed: float, after: Spline) -> Spline:
    """The motion that begins where the one before is."""
    position, velocity, acceleration = before.sample(elapsed)
    return Spline(
        np.concatenate([[0.0], after.times]),
        np.concatenate([position[None], after.positions]),
        None if after.velocities is None else np.concatenate([velocity[None], after.velocities]),
        None if after.accelerations is None else np.concatenate([acceleration[None], after.accelerations]),
    )


def sent(times: Array, values: Array, executed: Sequence[tuple[float, float, Array]]) -> Array:
    """When commands were sent, by the stamps that the guard gave the same values on `guard/executed`, `[T]`, s.

    A command without a stamp of its own is known by its arrival alone, which differs from its sending by some milliseconds: little in a period, and
    much in the 5 ms between a command and an urgent stop. A command about which the guard has not said a word counts as sent when it arrived, less
    the usual delay.

    Args:
        times: of arrival, `[T]`, s.
        values: `[T, J]`.
        executed: arrival, stamp and values of what the guard says it has sent.
    """
    stamps, at = np.full(len(times), NAN), 0
    for number, (moment, value) in enumerate(zip(times, values, strict=True)):
        for index in range(at, len(executed)):
            arrived, stamp, said = executed[index]
            if abs(arrived - moment) < _TOGETHER and np.array_equal(said, value):
                stamps[number], at = stamp, index + 1
                break
    known = np.isfinite(stamps)
    return np.where(known, stamps, times + np.median((stamps - times)[known])) if known.any() else times


def use_of_commands(times: Array, values: Array, mode: str, period: float, limits: Limits) -> tuple[float, float]:
    """The same of single commands, which a forward controller holds until the next one.

    A set-point is meant to be reached evenly within one period: one that comes sooner takes over on the way. Rest that is said again to a joint at
    rest is no set-point on the way: the joint has had the time since it was told to rest, and one period at most. Commands that come sooner than a
    period after each other, as every 5 ms while the guard brakes, are judged together, over a period: what a millisecond of a busy machine does to
    one of them, the next one makes up.

    Args:
        times: when the commands were sent, `[T]`, s.
        values: `[T, J]`, in the unit of the mode.
        mode: "position" or "velocity" ("twist" likewise).
        period: that a command is meant for, s: one on the beat comes early or late by some milliseconds, and is not judged by them.
        limits: of the robot.
    """
    if len(times) < 3:
        return NAN, NAN
    elapsed = np.diff(times)
    elapsed = np.where(elapsed > _ADJACENT * period, period, np.maximum(elapsed, 1e-3))
    speeds = values
    if mode == "position":
        place, speeds = values[0], np.zeros_like(values)
        for number, lasted in enumerate(elapsed, start=1):
            place = place + speeds[number - 1] * lasted
            speeds[number] = (values[number] - place) / period
    changes, still = np.diff(speeds, axis=0), np.abs(speeds) <= _STILL
    taken, since = np.empty(changes.shape), np.full(changes.shape[1], period)
    for number, lasted in enumerate(elapsed):
        taken[number] = since = np.minimum(since + lasted, period)
        since = np.where(still[number] & still[number + 1], since, 0.0)
    allowed = np.maximum(limits.acceleration, limits.stop_acceleration)
    return float((np.abs(speeds) / limits.velocity).max()), _hardest(np.abs(changes) / allowed, taken, period)


def _hardest(changes: Array, taken: Array, period: float) -> float:
    """Largest share of the limit, over the shortest stretches of commands that take a period or more; `changes` and `taken` in s, `[T, J]`."""
    hardest = 0.0
    for last in range(len(taken)):
        change, time, open_ = np.zeros(taken.shape[1]), np.zeros(taken.shape[1]), np.ones(taken.shape[1], bool)
        for number in range(last, -1, -1):
            change, time = change + open_ * changes[number], time + open_ * taken[number]
            open_ = time < _ADJACENT * period
            if not open_.any():
                break
        hardest = max(hardest, float((change / time).max()))
    return hardest


def use_of_joints(velocities: Array, limits: Limits) -> float:
    """Largest use of a velocity limit by the joints themselves, `[N, J]` rad/s or m/s; NaN if nothing was seen."""
    return float((np.abs(velocities) / limits.velocity).max()) if len(velocities) else NAN
