"""What a fault table is measured on: a robot and the tasks that simulate it, and the arrangement of processes for a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.limits import Limits
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_ros.guard.transports import transport_of
from isthmus_sim.tasks import get_task, task_names

__all__ = ["Setting", "Subject", "arranged"]

_CRUISE = 0.6  # rad/s or m/s, where joints are fast enough
_SHARE = 0.3  # of the slowest joint's limit
_FULL = 0.98


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One arrangement of processes; rows that share it share the processes.

    Attributes:
        mode: command mode of the policy.
        transport: how commands reach the robot.
        policy: which of the policies of `write_policy`.
        period: s between commands.
        full: the policy moves the joints at their full speed.
        options: further arguments of `course`.
    """

    mode: str
    transport: str
    policy: str = "cruise"
    period: float = 0.05
    full: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """As the table shows it."""
        rate = f", {1 / self.period:g} Hz" if self.period != 0.05 else ""
        return f"{self.mode}, {self.transport}{rate}{', full speed' if self.full else ''}"


def arranged(*settings: Setting, policy: str = "", **options: Any) -> tuple[Setting, ...]:
    """The settings with another policy and further arguments of `course`."""
    return tuple(
        dataclasses.replace(setting, policy=policy or setting.policy, options=(*setting.options, *options.items())) for setting in settings
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """A robot that is simulated.

    Attributes:
        robot: its profile.
        tasks: command mode of the drives → task that simulates it so.
        profiles: folder in which guard, policy and recorder look for the profile first; "" is none.
    """

    robot: Robot
    tasks: Mapping[str, str]
    profiles: str = ""

    @classmethod
    def of(cls, robot: Robot, task: str = "", profiles: Path | None = None) -> Subject:
        """The subject, simulated by a task, or by the first installed ones of this robot.

        Raises:
            ValueError: the robot has no ROS interface, or no task simulates it; the message says how to add one.
        """
        if robot.ros is None:
            raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
        tasks: dict[str, str] = {}
        for name in [task] if task else sorted(task_names(), key=_plainest):
            contract = get_task(name).contract
            if contract.robot == robot.name and contract.mode != "raw":
                tasks.setdefault(contract.mode, name)
        if not tasks:
            said = (
                f"task {task!r} simulates another robot than {robot.name!r}"
                if task
                else f"no installed task simulates robot {robot.name!r}"
            )
            raise ValueError(f"{said}; docs/how-to/add-a-robot.md says how to add one")
        return cls(robot, tasks, str(profiles.resolve()) if profiles else "")

    def takes(self, setting: Setting) -> bool:
        """Whether the robot can be commanded so."""
        low, high = self.robot.control_period
        if self.robot.ros is None or setting.mode not in self.robot.command_modes or not low <= setting.period <= high:
            return False
        try:
            transport_of(setting.transport, self.robot.ros, setting.mode)
        except ValueError:
            return False
        if setting.mode == "effort" and not self.robot.ros.effort_holds:
            return False
        if setting.policy in ("box", "seeing", "goal") and not self.arm:
            return False
        return setting.policy != "seeing" or bool(self.robot.cameras)

    def task(self, mode: str) -> str:
        """The task whose drives take commands of the mode, or any: a forward controller brings its own drives."""
        return self.tasks.get(mode, next(iter(self.tasks.values())))

    @property
    def arm(self) -> bool:
        """Whether it stands on a fixed base."""
        return self.robot.base.kind == "fixed"

    @property
    def limits(self) -> Limits:
        """Its own."""
        return self.robot.limits()

    @property
    def home(self) -> Array:
        """Home pose, `[J]`, rad or m."""
        return self.robot.home

    @property
    def push(self) -> Array:
        """Direction of motion per joint, `[J]`, ±1: away from the nearest position limits."""
        return np.where(self.robot.home > 0, -1.0, 1.0)

    @property
    def middle(self) -> str:
        """A joint in the middle of the chain, which faults of one joint concern."""
        return self.robot.joint_names[(len(self.robot.joints) - 1) // 2]

    @property
    def wrist(self) -> str:
        """A lighter joint behind it."""
        return self.robot.joint_names[len(self.robot.joints) // 2]

    @property
    def told(self) -> str:
        """The middle one of those that its joint states name: of a base, a wheel."""
        return self.robot.base.wheels[0] if self.robot.base.wheels else self.middle

    def speed(self, setting: Setting) -> float:
        """Of all joints in motion, rad/s or m/s."""
        slowest = min(self.limits.velocity)
        return _FULL * slowest if setting.full else min(_CRUISE, _SHARE * slowest)

    def lag(self, speed: float) -> float:
        """Seconds that the robot's own servo needs after a braking command that goes from `speed` to rest.

        A velocity servo with time constant τ follows a ramp of a rad/s² at a distance of a τ rad/s, and decays from there to standstill.
        """
        monitors, hardest = self.robot.monitors, max(self.limits.stop_acceleration)
        behind = min(speed, hardest * monitors.tracking_lag)
        return float(monitors.tracking_lag * max(1.0, np.log(max(behind, 1e-9) / monitors.standstill)))


def _plainest(name: str) -> tuple[int, str]:
    """Tasks with the fewest bodies around the robot come first."""
    scene = get_task(name).scene
    return (len(scene.bodies) if scene else 0, name)
