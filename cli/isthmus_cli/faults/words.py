"""What somebody else says or asks for: commands in the policy's place, intruders, services that must be refused."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus_cli.faults.acts import Act
from isthmus_cli.faults.commander import Commander
from isthmus_cli.faults.course import Course
from isthmus_cli.faults.policies import box, cruising_contract
from isthmus_cli.faults.seen import NAN, Seen
from isthmus_cli.faults.witness import command_kind
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.guard.transports import transport_of

_ROUNDING = 1e-3  # rad beyond a limit that count as on it
SAG = 0.020  # rad by which the simulated servo sags below its set-point under the arm's weight


def commanded(change: Callable[[JointState], JointState], seconds: float = 1.4) -> Act:
    """Somebody in the policy's place changes its commands in motion."""

    def act(run: Course) -> Seen:
        with commanding(run) as commander:
            return run.after(lambda: setattr(commander, "change", change), seconds)

    return act


@contextlib.contextmanager
def commanding(run: Course, period: float = 0.0) -> Iterator[Commander]:
    """Somebody in the policy's place moves the robot, at its own period if one is given."""
    contract, period = cruising_contract(run.subject, run.setting), period or run.setting.period
    run.home()
    run.patiently(run.link.arm)
    run.witness.clear()
    home, step = run.subject.home, run.subject.push * run.speed

    def values(count: int) -> Array:
        return home + step * period * (count + 1) if run.mode == "position" else step

    with Commander(run.domain, contract, values, period) as commander:
        run.link.until(lambda: run.witness.speed() > 0.9 * run.speed, 10, "no motion")
        run.link.spin(3 * run.setting.period)
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
    with commanding(run) as commander:
        before = dropped(run)

        def again(message: JointState) -> JointState:
            commander.send(message)
            if commander.sequence % 3 == 0:
                old = commander.command(0, commander.values(commander.sequence))
                commander.send(old)
            return message

        seen = run.after(lambda: setattr(commander, "change", again))
        seen.note = f"dropped {dropped(run) - before}"
        return seen if dropped(run) > before else dataclasses.replace(seen, outcome="not dropped")


def dropped(run: Course) -> int:
    """Commands that the guard says it has not taken."""
    return sum(int(value) for key, value in run.link.status.items() if key.startswith("dropped."))


def too_fast(run: Course) -> Seen:
    """Commands at twice the rate of the contract."""
    began = time.monotonic()
    with commanding(run, run.setting.period / 2):
        run.link.spin(2.0)
        seen = run.judge(began)
        seen.note = f"dropped {dropped(run)}"
        seen.brake = seen.still = NAN
        return seen


def beyond(run: Course) -> Seen:
    """Commands of 99 rad/s, or set-points a radian away."""
    run.home()
    run.patiently(run.link.arm)
    run.witness.clear()
    contract, start, push = cruising_contract(run.subject, run.setting), run.subject.home, run.subject.push
    far = (lambda count: start + push) if run.mode == "position" else (lambda count: 99 * push)
    began = time.monotonic()
    with Commander(run.domain, contract, far) as commander:
        run.link.spin(0.5)
        commander.values = (lambda count: start + push) if run.mode == "position" else (lambda count: 0 * push)
        seen = run.judge(began)
        seen.brake = seen.still = seen.allowed = NAN
        run.link.spin(0.6)
    run.link.spin(0.3)
    return seen


def walled(run: Course) -> Seen:
    """The policy goes on towards a limit; it brakes short of it and stays."""
    run.begin()
    run.link.spin(2.5)
    low, high = run.subject.home - 0.5, run.subject.home + 0.5
    newest = run.link.states[max(run.link.states)]
    position = wire.column(newest, "position", run.subject.robot.joint_names)[0]
    seen = run.judge(0.0)
    closest = float(np.minimum(position - low, high - position).min())
    seen.brake = seen.still = seen.allowed = NAN
    seen.note = f"stands {1000 * closest:.1f} mrad short of the limit; the servo sags by up to {1000 * SAG:.0f}"
    return told_beyond(run, seen, low, high) if closest > -SAG else dataclasses.replace(seen, outcome=f"{seen.outcome}, beyond")


def told_beyond(run: Course, seen: Seen, low: Array, high: Array) -> Seen:
    """What was seen, with how near to position limits `[J]` the robot was told to go, and another outcome where that is beyond them."""
    beyond = run.witness.beyond(low, high)
    if not np.isfinite(beyond):
        return seen
    note = f"{seen.note}; told to go {1000 * abs(beyond):.1f} mrad {'beyond' if beyond > 0 else 'short of'} it"
    return dataclasses.replace(seen, note=note, outcome=f"{seen.outcome}, told beyond" if beyond > _ROUNDING else seen.outcome)


def boxed(run: Course) -> Seen:
    """The same towards the workspace box."""
    run.begin()
    run.link.spin(2.0)
    robot, allowed = run.subject.robot, box(run.subject)
    tree = Kinematics(robot.urdf_path)
    newest = run.link.states[max(run.link.states)]
    position = wire.column(newest, "position", run.subject.robot.joint_names)
    points = np.concatenate([tree.positions(robot.joint_names, position, [link])[link] for link in robot.workspace_points])
    outside = float(np.maximum(np.array(allowed.low) - points, points - np.array(allowed.high)).max())
    seen = run.judge(0.0)
    seen.brake = seen.still = seen.allowed = NAN
    seen.note = f"{-1000 * outside:.1f} mm inside" if outside <= 0 else f"{1000 * outside:.1f} mm outside"
    return seen if outside < 0.01 else dataclasses.replace(seen, outcome=f"{seen.outcome}, outside")


def unarmed(run: Course) -> Seen:
    """A policy streams before arming."""
    run.home()
    run.witness.clear()
    contract = cruising_contract(run.subject, run.setting)
    with Commander(run.domain, contract, lambda count: run.subject.home if run.mode == "position" else run.subject.push):
        run.link.spin(1.0)
    return Seen("nothing published" if not run.witness.received else "published", note=f"{dropped(run)} commands dropped so far")


def _intruding(run: Course) -> contextlib.AbstractContextManager[Any]:
    profile = run.subject.robot.ros
    assert profile is not None  # noqa: S101 - a subject has one
    transport, topic = transport_of(run.setting.transport, profile, run.mode)
    return run.witness.publisher(command_kind(transport), f"/{topic}", wire.COMMAND)


def intruder_before(run: Course) -> Seen:
    """Somebody else publishes on the command topic."""
    run.home()
    with _intruding(run):
        run.link.spin(0.6)
        seen = run.refusal(run.link.arm)
    run.link.spin(0.6)
    return seen


def intruder_in_motion(run: Course) -> Seen:
    """The same in motion."""
    run.cruise()
    with contextlib.ExitStack() as stack:
        seen = run.after(lambda: stack.enter_context(_intruding(run)), 2.0, foreign=True)
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
    with run.witness.publisher(Bool, "/emergency_stop", wire.LATCHED) as alarm:
        run.link.spin(0.3)
        seen = run.after(lambda: alarm.publish(Bool(data=True)))
        alarm.publish(Bool(data=False))
        run.link.spin(0.4)
        kept = run.link.status.get("rung") == "stop"
    seen.note = "false leaves it stopped" if kept else "false cleared it"
    return seen if kept else dataclasses.replace(seen, outcome="cleared by false")


def not_brought_up(run: Course) -> Seen:
    """The nodes refuse their policy, or each other."""
    return run.refusal(run.bring_up)


def reset_too_early(run: Course) -> Seen:
    """`guard/reset` while the cause is still there."""
    run.cruise()
    run.fault("nan_position:={told}")
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
    run.patiently(run.link.arm)
    run.link.spin(0.3)
    run.witness.clear()
    try:
        run.link.trigger("policy/start")
    except RosError as error:
        still = run.witness.speed() < run.subject.robot.monitors.standstill
        return Seen("R" if still else "R, but it moves", str(error))
    return Seen("N", "not refused")


def bad_input(run: Course) -> Seen:
    """An input out of range, then one in another frame, are not taken."""
    run.home()
    run.patiently(run.link.arm)
    with run.witness.publisher(PointStamped, "/policy/input/goal", wire.LATCHED) as topic:
        run.link.spin(0.5)
        for frame, x in ((run.subject.robot.base_frame, 9.0), ("camera_link", 0.1)):
            message = PointStamped()
            message.header.frame_id, message.point.x, message.point.y, message.point.z = frame, x, -0.5, 0.5
            topic.publish(message)
            run.link.spin(0.4)
        seen = armed_start(run)
    return dataclasses.replace(seen, words=f"{seen.words}; {run.nodes['policy_node'].complaint}")


def runtime_limit(run: Course) -> Seen:
    """A parameter of the guard is changed while it runs."""
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    request = SetParameters.Request(parameters=[Parameter(name="rate_scale", value=value)])
    (result,) = run.link.call(SetParameters, "/guard_node/set_parameters", request).results
    return Seen("N" if result.successful else "R", result.reason)
