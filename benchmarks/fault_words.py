"""What somebody else says or asks for: commands in the policy's place, intruders, services that must be refused."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from fault_acts import Act
from fault_course import CRUISE, PERIOD, PUSH, ROBOT, Course, Seen
from fault_policies import box, cruising_contract
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_bench import Commander
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.kinematics import Kinematics
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.guard.transports import transport_of

SAG = 0.020  # rad by which the simulated servo sags below its set-point under the arm's weight


def commanded(change: Callable[[JointState], JointState], seconds: float = 1.4) -> Act:
    """Somebody in the policy's place changes its commands in motion."""

    def act(run: Course) -> Seen:
        with _commander(run) as commander:
            return run.after(lambda: setattr(commander, "change", change), seconds)

    return act


@contextlib.contextmanager
def _commander(run: Course, period: float = PERIOD) -> Any:
    contract = cruising_contract(run.mode)
    run.home()
    if run.link.status.get("rung") != "pass":
        run.link.spin(0.2)
    run.arm()
    run.witness.clear()
    home = np.array(ROBOT.home)

    def values(count: int) -> Any:
        return home + PUSH * CRUISE * period * (count + 1) if run.mode == "position" else PUSH * CRUISE

    with Commander(run.domain, contract, values, period) as commander:
        run.link.until(lambda: run.witness.speed() > 0.9 * CRUISE * PERIOD / max(period, PERIOD), 10, "no motion")
        run.link.spin(3 * PERIOD)
        yield commander
    run.link.spin(0.3)


def with_fields(**fields: Callable[[JointState], Any]) -> Callable[[JointState], JointState]:
    """A change of some fields of a command."""

    def change(message: JointState) -> JointState:
        for name, value in fields.items():
            setattr(message, name, value(message))
        return message

    return change


def foreign(message: JointState) -> JointState:
    """The command of another contract."""
    message.header.frame_id = "0123456789ab:7"
    return message


def repeated(run: Course) -> Seen:
    """Every command twice, and old ones in between."""
    with _commander(run) as commander:
        before = _dropped(run)

        def again(message: JointState) -> JointState:
            commander._publisher.publish(message)
            if commander.sequence % 3 == 0:
                number = wire.frame_id(commander.contract.digest(), commander.epoch, 0)
                commander._publisher.publish(
                    JointState(
                        header=type(message.header)(stamp=message.header.stamp, frame_id=number),
                        name=message.name,
                        position=message.position,
                        velocity=message.velocity,
                    )
                )
            return message

        seen = run.after(lambda: setattr(commander, "change", again))
        seen.note = f"dropped {_dropped(run) - before}"
        return seen if _dropped(run) > before else dataclasses.replace(seen, outcome="not dropped")


def _dropped(run: Course) -> int:
    return sum(int(value) for key, value in run.link.status.items() if key.startswith("dropped."))


def too_fast(run: Course) -> Seen:
    """Commands at twice the rate of the contract."""
    with _commander(run, PERIOD / 2) as commander:
        began, before = commander.times[0], 0
        run.link.spin(2.0)
        seen = run.judge(began, before)
        seen.note = f"dropped {_dropped(run)}"
        seen.brake = seen.still = float("nan")
        return seen


def beyond(run: Course) -> Seen:
    """Commands of 99 rad/s, or set-points a radian away."""
    run.home()
    run.arm()
    run.witness.clear()
    contract, start = cruising_contract(run.mode), np.array(ROBOT.home)
    far = (lambda count: start + PUSH) if run.mode == "position" else (lambda count: 99 * PUSH)
    began = time.monotonic()
    with Commander(run.domain, contract, far) as commander:
        run.link.spin(0.5)
        commander.speed = (lambda count: start + PUSH) if run.mode == "position" else (lambda count: 0 * PUSH)
        seen = run.judge(began)
        seen.brake = seen.still = seen.allowed = float("nan")
        run.link.spin(0.6)
    run.link.spin(0.3)
    return seen


def walled(run: Course) -> Seen:
    """The policy goes on towards a limit; it brakes short of it and stays."""
    run.begin()
    run.link.spin(2.5)
    low, high = (ROBOT.home - 0.5), (ROBOT.home + 0.5)
    newest = run.link.states[max(run.link.states)]
    position = wire.column(newest, "position", ROBOT.joint_names)[0]
    seen = run.judge(0.0)
    closest = float(np.minimum(position - low, high - position).min())
    seen.brake = seen.still = seen.allowed = float("nan")
    seen.note = f"stands {1000 * closest:.1f} mrad short of the limit; the servo sags by up to {1000 * SAG:.0f}"
    return seen if closest > -SAG else dataclasses.replace(seen, outcome=f"{seen.outcome}, beyond")


def boxed(run: Course) -> Seen:
    """The same towards the workspace box."""
    run.begin()
    run.link.spin(2.0)
    tree, allowed = Kinematics(ROBOT.urdf_path), box()
    newest = run.link.states[max(run.link.states)]
    position = wire.column(newest, "position", ROBOT.joint_names)
    points = np.concatenate([tree.positions(ROBOT.joint_names, position, [link])[link] for link in ROBOT.workspace_points])
    outside = float(np.maximum(np.array(allowed.low) - points, points - np.array(allowed.high)).max())
    seen = run.judge(0.0)
    seen.brake = seen.still = seen.allowed = float("nan")
    seen.note = f"{-1000 * outside:.1f} mm inside" if outside <= 0 else f"{1000 * outside:.1f} mm outside"
    return seen if outside < 0.01 else dataclasses.replace(seen, outcome=f"{seen.outcome}, outside")


def unarmed(run: Course) -> Seen:
    """A policy streams before arming."""
    run.home()
    with contextlib.suppress(RosError):
        run.link.arm(False)
    run.witness.clear()
    contract = cruising_contract(run.mode)
    with Commander(run.domain, contract, lambda count: ROBOT.home if run.mode == "position" else PUSH):
        run.link.spin(1.0)
    return Seen("nothing published" if not run.witness.received else "published", note=f"{_dropped(run)} commands dropped so far")


def _intruder(run: Course) -> Any:
    transport, topic = transport_of(run.transport, ROBOT.ros, run.mode)
    kind = JointTrajectory if transport == "trajectory" else Float64MultiArray
    return run.link._node.create_publisher(kind, f"/{topic}", wire.COMMAND)


def intruder_before(run: Course) -> Seen:
    """Somebody else publishes on the command topic."""
    run.home()
    with contextlib.suppress(RosError):
        run.link.arm(False)
    other = _intruder(run)
    run.link.spin(0.6)
    seen = run.refusal(run.link.arm)
    run.link._node.destroy_publisher(other)
    run.link.spin(0.6)
    return seen


def intruder_in_motion(run: Course) -> Seen:
    """The same in motion."""
    run.cruise()
    found: list[Any] = []
    seen = run.after(lambda: found.append(_intruder(run)), 2.0, foreign=True)
    run.link._node.destroy_publisher(found[0])
    run.link.spin(0.6)
    return seen


def service(name: str) -> Act:
    """A service is called in motion."""

    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.link.trigger(name))

    return act


def emergency(run: Course) -> Seen:
    """`true` stops; `false` does not clear it."""
    run.cruise()
    alarm = run.link._node.create_publisher(Bool, "emergency_stop", wire.LATCHED)
    run.link.spin(0.3)
    seen = run.after(lambda: alarm.publish(Bool(data=True)))
    alarm.publish(Bool(data=False))
    run.link.spin(0.4)
    kept = run.link.status.get("rung") == "stop"
    run.link._node.destroy_publisher(alarm)
    seen.note = "false leaves it stopped" if kept else "false cleared it"
    return seen if kept else dataclasses.replace(seen, outcome="cleared by false")


def corrupt(run: Course) -> Seen:
    """The policy file has been damaged."""
    return run.refusal(lambda: run.bring_up())


def other_robot(run: Course) -> Seen:
    """The nodes are told another robot than the policy's."""
    return run.refusal(lambda: run.bring_up())


def reset_too_early(run: Course) -> Seen:
    """`guard/reset` while the cause is still there."""
    run.cruise()
    run.fault("nan_position:=elbow_joint")
    run.link.spin(1.4)
    seen = run.refusal(lambda: run.link.trigger("guard/reset"))
    run.fault()
    return seen


def arm_in_motion(run: Course) -> Seen:
    """`guard/arm` while the robot moves."""
    run.cruise()
    try:
        run.link.arm()
    except RosError as error:
        return Seen("R", str(error))
    return Seen("N", "not refused")


def start_refused(run: Course) -> Seen:
    """`policy/start`, too far from the start pose or without an input."""
    run.home()
    return armed_start(run)


def armed_start(run: Course) -> Seen:
    """Arm where the robot is, and start."""
    run.arm()
    run.link.spin(0.3)
    run.witness.clear()
    try:
        run.link.trigger("policy/start")
    except RosError as error:
        still = run.witness.speed() < 0.02
        return Seen("R" if still else "R, but it moves", str(error))
    return Seen("N", "not refused")


def bad_input(run: Course) -> Seen:
    """An input out of range, then one in another frame, are not taken."""
    run.home()
    run.arm()
    topic = run.link._node.create_publisher(PointStamped, "/policy/input/goal", wire.LATCHED)
    run.link.spin(0.5)
    for frame, x in (("base_link", 9.0), ("camera_link", 0.1)):
        message = PointStamped()
        message.header.frame_id, message.point.x, message.point.y, message.point.z = frame, x, -0.5, 0.5
        topic.publish(message)
        run.link.spin(0.4)
    seen = start_refused(run)
    run.link._node.destroy_publisher(topic)
    return dataclasses.replace(seen, words=f"{seen.words}; {run.nodes['policy_node'].complaint}")


def runtime_limit(run: Course) -> Seen:
    """A parameter of the guard is changed while it runs."""
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    request = SetParameters.Request(parameters=[Parameter(name="rate_scale", value=value)])
    (result,) = run.link.call(SetParameters, "guard_node/set_parameters", request).results
    return Seen("N" if result.successful else "R", result.reason)
