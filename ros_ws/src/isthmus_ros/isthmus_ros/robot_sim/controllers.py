"""The robot's own controllers, as `sim_node` simulates them: one that holds what it was sent, and one that follows trajectories.

They turn messages into set-points of the drives, and are plain arithmetic over arrays; `sim_robot.SimRobot` steps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from isthmus.records import Array
from isthmus.robot import Robot
from isthmus.spline import Spline

__all__ = ["Controller", "HeldCommand", "Points", "TrajectoryFollower"]


class Controller(Protocol):
    """What drives the joints between messages.

    Attributes:
        newest: set-point of the last message in the unit of the mode, `[J]`; None since the last `rest`.
        holds: whether that is the drives' set-point at once, and in stepped time for the whole period.
    """

    newest: Array | None
    holds: bool

    def rest(self, position: Array, now: float) -> None:
        """Forget all commands and stand at the measured position, `[J]`."""

    def command(self, now: float, period: float, scaling: float) -> Array | None:
        """Set-point of the drives for the period that ends at `now` (s), `[J]` in the unit of the mode, at a share of the speed.

        None if there is nothing that an effort-controlled robot could do but stand on its brakes.
        """
        ...


class HeldCommand:
    """A forward controller: each message is the set-point until the next one.

    Without a time-out, as ros2_control's forward controllers are, a velocity goes on for ever if its sender dies.
    """

    holds = True

    def __init__(self, robot: Robot, joints: Sequence[str], mode: str, time_out: float) -> None:
        """Set up.

        Args:
            robot: profile, for its speeds.
            joints: order of commands.
            mode: of the commands.
            time_out: seconds without a message after which a velocity or twist becomes zero, and an effort is given up; 0 means never.
        """
        speeds = {joint.name: joint.velocity for joint in robot.joints}
        self._fastest = np.array([speeds[joint] for joint in joints])
        self._mode, self._time_out = mode, time_out
        self._set_point, self._came = np.zeros(len(joints)), -np.inf
        self.newest: Array | None = None

    def receive(self, values: Array, now: float) -> None:
        """Take a command, `[J]`, that came at `now`."""
        self.newest, self._came = values, now

    def rest(self, position: Array, now: float) -> None:
        """See `Controller`."""
        self.newest = None
        self._set_point = position.copy() if self._mode == "position" else np.zeros_like(position)

    def command(self, now: float, period: float, scaling: float) -> Array | None:
        """See `Controller`; below full speed a position is approached at that share of the joints' speeds."""
        if self.newest is None:
            return None if self._mode == "effort" else self._set_point
        if self._mode == "position":
            away = self.newest - self._set_point
            reach = scaling * self._fastest * period
            self._set_point = self.newest if scaling == 1 else self._set_point + np.clip(away, -reach, reach)
            return self._set_point
        if self._time_out and now - self._came >= self._time_out:
            return None if self._mode == "effort" else np.zeros_like(self.newest)
        return self.newest if scaling == 1 or self._mode == "effort" else scaling * self.newest


@dataclass(frozen=True, slots=True)
class Points:
    """A trajectory in the controller's joint order.

    Attributes:
        times: from its beginning, `[N]`, s, increasing.
        positions: `[N, J]`, rad or m; None where only velocities are given.
        velocities: `[N, J]`, rad/s or m/s; None where only positions are given.
        accelerations: `[N, J]`, rad/s² or m/s²; None where they are not given.
    """

    times: Array
    positions: Array | None
    velocities: Array | None
    accelerations: Array | None = None


class TrajectoryFollower:
    """A joint trajectory controller that follows its own set-point, as with `interpolate_from_desired_state`.

    A new trajectory replaces the old one at once. Until its first point, if that is not at time 0, it leads there from the present set-point with
    its speed and acceleration; between points it is a `Spline`. Velocities alone are linear in time and integrated. At the end the last position is
    held, so a trajectory that ends on a braking tail ends at rest, whatever happens to its sender.

    The drives of a position-controlled robot get the set-point. Those of a velocity-controlled one get its change over the period, which its own
    servo integrates: the set-point moves the same way.
    """

    holds = False

    def __init__(self, joints: int, mode: str) -> None:
        """Set up for a number of joints in mode "position" or "velocity"."""
        self._mode = mode
        self._elapsed, self._at = 0.0, 0.0
        self._spline = Spline(np.zeros(1), np.zeros((1, joints)))
        self._set_point = np.zeros(joints)
        self.newest: Array | None = None

    def receive(self, points: Points, now: float) -> None:
        """Follow a trajectory that begins at `now`; `newest` is where its first way ends."""
        self._pass(now, 1.0)
        position, velocity, acceleration = self._spline.sample(self._elapsed)
        times, velocities, accelerations = points.times, points.velocities, points.accelerations
        leads = times[0] > 0
        if leads:
            times = np.concatenate([[0.0], times])
            velocities = None if velocities is None else np.concatenate([velocity[None], velocities])
            accelerations = None if accelerations is None else np.concatenate([acceleration[None], accelerations])
        if points.positions is not None:
            positions = np.concatenate([position[None], points.positions]) if leads else points.positions
        else:
            assert velocities is not None  # noqa: S101 - a trajectory has one of them
            steps = np.diff(times)[:, None] * (velocities[1:] + velocities[:-1]) / 2
            positions = position + np.concatenate([np.zeros((1, position.size)), np.cumsum(steps, axis=0)])
        self._spline, self._elapsed = Spline(times, positions, velocities, accelerations), 0.0
        first = min(1, times.size - 1)
        if self._mode == "position":
            self.newest = positions[first]
        elif velocities is not None:
            self.newest = velocities[first]
        else:
            self.newest = (positions[first] - positions[0]) / max(times[first], 1e-9)

    def rest(self, position: Array, now: float) -> None:
        """See `Controller`."""
        self.newest = None
        self._spline = Spline(np.zeros(1), position[None].copy())
        self._set_point, self._elapsed, self._at = position.copy(), 0.0, now

    def command(self, now: float, period: float, scaling: float) -> Array:
        """See `Controller`; below full speed the time of the trajectory passes more slowly."""
        self._pass(now, scaling)
        before, self._set_point = self._set_point, self._spline.sample(self._elapsed)[0]
        return self._set_point if self._mode == "position" else (self._set_point - before) / period

    def _pass(self, now: float, scaling: float) -> None:
        self._elapsed += scaling * max(now - self._at, 0.0)
        self._at = max(now, self._at)
