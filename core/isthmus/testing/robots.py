"""What every robot profile keeps, as an abstract test class that each profile inherits.

class TestMyRobot(RobotProfileSuite):
    robot = load_robot("my_robot", [Path("robots")])
"""

# ruff: noqa: PT018 - a suite is made of assertions
from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from isthmus.guard import HOLD, STOP, LimitGuard
from isthmus.kinematics import Kinematics
from isthmus.monitors import time_out
from isthmus.records import Array, Command
from isthmus.robot import Robot, profile_problems
from isthmus.testing.fake import FakePlant

__all__ = ["RobotProfileSuite"]

_ENOUGH = 3000  # control periods in which a wall must have been reached


class RobotProfileSuite:
    """Checks of one profile; a test framework collects the methods of classes that inherit this one and name a `robot`."""

    robot: ClassVar[Robot]

    def test_lag_is_told_from_a_dead_motor_and_a_runaway(self) -> None:
        """Neither lag at full speed nor the last bit of braking is mistaken for one."""
        robot = self.robot
        monitors = robot.monitors
        for joint in robot.joints:
            lead = monitors.tracking_lag * joint.velocity
            assert lead < monitors.tracking_tolerance, (
                f"{joint.name} at full speed lags by {lead:g}, tolerated is {monitors.tracking_tolerance:g}"
            )
            tail = joint.stop_acceleration * monitors.tracking_lag**2  # the last bit of braking, when the command already rests
            assert tail < monitors.runaway_travel, (
                f"{joint.name} brakes by {tail:g} after its command, a runaway is {monitors.runaway_travel:g}"
            )

    def test_it_brakes_in_time_towards_every_wall(self) -> None:
        """At full speed from home in both directions, at the shortest and the longest period: no limit is passed, and the wall is reached."""
        robot, limits = self.robot, self.robot.limits()
        low, high = np.array(limits.position_low), np.array(limits.position_high)
        fastest, steepest = np.array(limits.velocity), np.maximum(limits.acceleration, limits.stop_acceleration)
        way = np.stack([robot.home - low, high - robot.home])  # of a row that goes down and one that goes up
        bounded = np.isfinite(way)
        for mode in (mode for mode in robot.command_modes if mode != "effort"):
            for period in robot.control_period:
                where = f"{mode} mode, {period:g} s"
                guard, plant = LimitGuard(robot, limits, mode), FakePlant(robot, mode, period, 2, lag=robot.monitors.tracking_lag)
                state, rate, executed = guard.initial(2, armed=True), np.zeros((2, len(fastest))), np.stack([robot.home] * 2)
                asked = Command(mode, robot.joint_names, np.array([[-1e6], [1e6]]) * np.ones_like(rate))
                for _ in range(self._ticks(period)):
                    decision, state = guard.check(state, asked, plant.read(), period)
                    assert (decision.rung < HOLD).all(), f"{where}: the guard gives up, {max(decision.kept)}"
                    assert decision.command is not None
                    values, before = decision.command.values, rate
                    rate = (values - executed) / period if mode == "position" else values
                    executed = values
                    self._compare("velocity", np.abs(rate) / fastest, where)
                    self._compare("acceleration", np.abs(rate - before) / (steepest * period), where)
                    plant.write(decision.command)
                    plant.written.clear()
                    plant.advance()
                    position = plant.read().position
                    outside = np.maximum(low - position, position - high)
                    assert (outside <= 1e-9).all(), f"{where}: {self._worst(outside)} passes its limit by {outside.max():g}"
                left = np.stack([position[0] - low, high - position[1]])
                short = np.where(bounded, left - 0.05 * np.where(bounded, way, 0.0), 0.0)
                assert (short <= 1e-3).all(), f"{where}: {self._worst(short)} stays {short.max():g} short of its limit"

    def test_a_stop_brakes_as_hard_as_the_profile_says(self) -> None:
        """From the speed that is reached in half a second, the command is at rest after speed / stop_acceleration, rounded up to periods."""
        robot, limits = self.robot, self.robot.limits()
        braking = np.array(limits.stop_acceleration)
        for mode in (mode for mode in robot.command_modes if mode != "effort"):
            period = robot.control_period[1]
            guard, plant = LimitGuard(robot, limits, mode), FakePlant(robot, mode, period, lag=robot.monitors.tracking_lag)
            state = guard.initial(1, armed=True)
            away = np.where(robot.home - np.array(limits.position_low) > np.array(limits.position_high) - robot.home, -1e6, 1e6)
            asked: Command | None = Command(mode, robot.joint_names, away[None])
            for _ in range(max(1, int(0.5 / period))):
                decision, state = guard.check(state, asked, plant.read(), period)
                assert decision.command is not None
                plant.write(decision.command)
                plant.advance()
            state, speed = guard.stop(state, "the test says so"), np.abs(state.rate[0])
            for _ in range(math.ceil(float((speed / (braking * period)).max()) - 1e-9)):
                before = state.rate[0]
                decision, state = guard.check(state, None, plant.read(), period)
                assert decision.command is not None and decision.rung[0] == STOP
                self._compare("stop_acceleration", np.abs(state.rate[0] - before) / (braking * period), f"{mode} mode, {period:g} s")
                plant.write(decision.command)
                plant.advance()
            np.testing.assert_allclose(state.rate, 0.0, atol=1e-9, err_msg=f"{mode} mode: commands are not at rest in time")

    def test_efforts_are_bounded_and_held(self) -> None:
        """Where it is commanded by effort, the guard can be made, and what it lets through is within the limits."""
        robot, limits = self.robot, self.robot.limits()
        if "effort" not in robot.command_modes:
            return
        guard, period = LimitGuard(robot, limits, "effort"), robot.control_period[0]
        plant = FakePlant(robot, "effort", period)
        for asked in (Command("effort", robot.joint_names, np.full((1, len(robot.joints)), 1e6)), None):
            decision, _ = guard.check(guard.initial(1, armed=True), asked, plant.read(), period)
            assert decision.command is not None
            self._compare("effort", np.abs(decision.command.values[0]) / np.array(limits.effort), "effort mode")

    def test_the_workspace_box_holds_the_home_pose(self) -> None:
        """All checked points are in the box at home."""
        robot, kinematics = self.robot, Kinematics(self.robot.urdf_path)
        if robot.workspace is None:
            return
        points = robot.workspace_points or (robot.tool_frame,)
        for name, position in kinematics.positions(robot.joint_names, robot.home[None], points).items():
            inside = (np.array(robot.workspace.low) < position) & (position < np.array(robot.workspace.high))
            assert inside.all(), f"{name} is at {position[0].tolist()} at home, outside the box {robot.workspace}"

    def test_the_ros_block_is_complete(self) -> None:
        """Every mode has a topic, the transport exists, and states come often enough for the shortest period."""
        robot, ros = self.robot, self.robot.ros
        if ros is None:
            return
        assert set(ros.command_topics) <= set(robot.command_modes), f"command_topics are for {', '.join(ros.command_topics)}"
        assert all(ros.carries(mode) for mode in robot.command_modes), f"a mode of {', '.join(robot.command_modes)} has no topic"
        assert ros.transport != "trajectory" or "trajectory" in ros.transports, "its transport trajectory has no topic in ros.transports"
        assert 1 / ros.state_rate < time_out(robot.control_period[0]), (
            f"states at {ros.state_rate:g} Hz are stale before the next one comes"
        )
        assert (robot.base.kind != "fixed") == bool(ros.odometry_topic), "a mobile robot, and no other, has an odometry_topic"

    def test_the_urdf_agrees_with_the_profile(self) -> None:
        """Joints and frames exist with their types, and the profile allows no more than the URDF."""
        problems = profile_problems(self.robot)
        assert not problems, "; ".join(problems)

    def _ticks(self, period: float) -> int:
        """Periods in which the slowest joint reaches its wall from home, with time to spare for braking and for the servo's lag."""
        longest = 0.0
        for joint in self.robot.joints:
            way = max((abs(bound - joint.home) for bound in joint.position if math.isfinite(bound)), default=0.0)
            ramp = joint.velocity / min(joint.acceleration, joint.stop_acceleration)
            longest = max(longest, way / joint.velocity + 3 * ramp + 10 * self.robot.monitors.tracking_lag)
        return min(math.ceil(longest / period) + 50, _ENOUGH)

    def _compare(self, what: str, use: Array, where: str) -> None:
        assert (use <= 1 + 1e-6).all(), f"{where}: {self._worst(use)} uses {use.max():.4f} of its {what}"

    def _worst(self, values: Array) -> str:
        return self.robot.joint_names[int(np.argmax(values)) % len(self.robot.joints)]
