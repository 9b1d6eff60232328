"""A plant without physics: joints that follow their commands, with faults to inject."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from isthmus import strict
from isthmus.kinematics import Kinematics
from isthmus.records import Array, Command, Measurement, reorder
from isthmus.robot import Robot

__all__ = ["FAULTS", "FakePlant"]

FAULTS = {
    "nan_position": "the position sensor of a joint says NaN",
    "missing_joint": "a joint is no longer reported: position and velocity are NaN",
    "frozen": "positions and velocities freeze, stamps go on",
    "frozen_stamps": "samples and their stamps freeze",
    "stamps_backwards": "stamps run backwards",
    "dead_motor": "a joint no longer moves",
    "runaway": "a joint moves at its fastest, whatever is commanded",
    "jump": "the measured position of a joint is off by 1 rad",
}
"""Names of the faults with what each does."""


class FakePlant:
    """First-order servos in numpy: exact for constant commands, the same bits for one row and for many.

    In position mode the joint approaches the command with time constant `lag`; in velocity mode its speed does; in effort mode every joint is a unit
    inertia, loaded by gravity if `gravity`. A real-time plant moves with the clock of the computer.

    Attributes:
        written: every command written, oldest first, as copies.
        stopped: why the plant was stopped; empty while it was not.
    """

    def __init__(
        self, robot: Robot, mode: str, period: float, batch: int = 1, realtime: bool = False, lag: float = 0.0, gravity: bool = False
    ) -> None:
        """Start at the home pose, at rest.

        Args:
            robot: profile that names the joints.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
            realtime: whether time passes by itself.
            lag: nominal time constant of the servos, s.
            gravity: whether joints in effort mode are loaded by the gravity of the robot's URDF.
        """
        if mode not in robot.command_modes:
            raise ValueError(f"robot {robot.name!r} has no command mode {mode!r}; it has: {', '.join(robot.command_modes)}")
        self.robot, self.mode, self.period, self.batch, self.realtime = robot, mode, period, batch, realtime
        self.written: list[Command] = []
        self.stopped = ""
        self._nominal_lag = lag
        self._kinematics = Kinematics(robot.urdf_path) if gravity else None
        self._fastest = np.array([joint.velocity for joint in robot.joints])
        shape = (batch, len(robot.joints))
        self._position, self._velocity, self._command = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._lag, self._stamp = np.zeros((batch, 1)), np.zeros(batch)
        self._faults: dict[str, Array] = {}
        self._last = self._sample()
        self.reset()

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; nothing here is random. The one parameter is `lag`, s."""
        rows = np.arange(self.batch) if rows is None else np.asarray(rows)
        _refuse_unknown("state", state, ("position", "velocity"))
        _refuse_unknown("parameter", parameters, ("lag",))
        shape = (len(rows), len(self.robot.joints))
        start = {"position": np.broadcast_to(self.robot.home, shape), "velocity": np.zeros(shape), **(state or {})}
        for name in ("position", "velocity"):
            if np.shape(start[name]) != shape:
                raise ValueError(f"{name} must have shape {list(shape)}, got {list(np.shape(start[name]))}")
        self._position[rows], self._velocity[rows] = start["position"], start["velocity"]
        self._command[rows] = start["position"] if self.mode == "position" else 0.0
        self._lag[rows, 0] = (parameters or {}).get("lag", self._nominal_lag)
        self._stamp[rows] = 0.0
        self.stopped = ""
        self._clock = time.monotonic()
        self._last = self._sample()

    def read(self) -> Measurement:
        """The newest sample, with the faults that were injected."""
        if self.realtime:
            now = time.monotonic()
            self._move(now - self._clock)
            self._clock = now
        sample = self._sample()
        stale, frozen = self._faulty("frozen_stamps").any(axis=1), self._faulty("frozen") | self._faulty("frozen_stamps")
        sample.stamp = np.where(stale, self._last.stamp, sample.stamp)
        sample.position = np.where(frozen, self._last.position, sample.position)
        sample.velocity = np.where(frozen, self._last.velocity, sample.velocity)
        if frozen.all():
            return sample
        self._last = Measurement(sample.stamp, sample.joints, sample.position, sample.velocity)
        blind, gone = self._faulty("nan_position"), self._faulty("missing_joint")
        sample.stamp = np.where(self._faulty("stamps_backwards").any(axis=1), -sample.stamp, sample.stamp)
        sample.position = np.where(blind | gone, np.nan, sample.position + self._faulty("jump"))
        sample.velocity = np.where(gone, np.nan, sample.velocity)
        return sample

    def truth(self) -> Measurement:
        """The exact state, without faults, with the pose of the tool."""
        sample = self._sample()
        tool = self.robot.tool_frame
        pose = Kinematics(self.robot.urdf_path).poses(sample.joints, sample.position, [tool])[tool]
        sample.poses = {tool: pose.vector()}
        return sample

    def write(self, command: Command) -> None:
        """Take the command of the coming period and remember it."""
        self.written.append(Command(command.mode, command.joints, command.values.copy()))
        if not self.stopped:
            self._command = reorder(command.values, command.joints, self.robot.joint_names).copy()

    def advance(self) -> None:
        """Let one period pass, unless it passes by itself."""
        if not self.realtime:
            self._move(self.period)

    def stop(self, reason: str) -> None:
        """Bring all joints to rest where they are, at once."""
        self.stopped = reason or "stopped"
        self._velocity[:] = 0.0
        self._command = self._position.copy() if self.mode == "position" else np.zeros_like(self._position)

    def close(self) -> None:
        """Nothing to release."""

    def fault(self, name: str, joint: str | None = None, rows: Array | None = None) -> None:
        """Inject a fault until `heal`.

        Args:
            name: a key of `FAULTS`.
            joint: joint concerned; None means all.
            rows: rows concerned; None means all.

        Raises:
            ValueError: an unknown fault or joint; the message lists the known ones.
        """
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; {strict.suggest(name, FAULTS)}")
        if joint is not None and joint not in self.robot.joint_names:
            raise ValueError(f"unknown joint {joint!r}; {strict.suggest(joint, self.robot.joint_names)}")
        cells = self._faulty(name).copy()
        columns = slice(None) if joint is None else self.robot.joint_names.index(joint)
        cells[slice(None) if rows is None else rows, columns] = True
        self._faults[name] = cells

    def heal(self) -> None:
        """End all faults."""
        self._faults.clear()

    def _faulty(self, name: str) -> Array:
        return self._faults.get(name, np.zeros(self._position.shape, dtype=bool))

    def _sample(self) -> Measurement:
        return Measurement(self._stamp.copy(), self.robot.joint_names, self._position.copy(), self._velocity.copy())

    def _move(self, duration: float) -> None:
        before, speed, command = self._position, self._velocity, self._command
        left = np.where(self._lag > 0, np.exp(-duration / np.maximum(self._lag, 1e-12)), 0.0)  # share of the error that is left
        if self.mode == "position":
            after = command + (before - command) * left
            velocity = (after - before) / duration if duration > 0 else speed
        elif self.mode in ("velocity", "twist"):
            velocity = command + (speed - command) * left
            after = before + command * duration + (speed - command) * self._lag * (1 - left)
        else:
            load = self._kinematics.gravity(self.robot.joint_names, before) if self._kinematics else 0.0
            velocity = speed + (command - load) * duration
            after = before + velocity * duration
        runaway, dead = self._faulty("runaway"), self._faulty("dead_motor")
        velocity = np.where(dead, 0.0, np.where(runaway, self._fastest, velocity))
        after = np.where(dead, before, np.where(runaway, before + self._fastest * duration, after))
        if self.stopped:
            after, velocity = before, np.zeros_like(velocity)
        self._position, self._velocity = after, velocity
        self._stamp = self._stamp + duration


def _refuse_unknown(what: str, given: Mapping[str, Array] | None, known: Sequence[str]) -> None:
    for name in given or {}:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}; {strict.suggest(name, known)}")
