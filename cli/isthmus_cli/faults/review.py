"""Faults that a safety review added: buttons, senders, restarts, an armed robot that idles, late commands and states, efforts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus_cli.faults.acts import Act
from isthmus_cli.faults.commander import Commander
from isthmus_cli.faults.course import Course
from isthmus_cli.faults.policies import cruising_contract
from isthmus_cli.faults.seen import NAN, Seen
from isthmus_cli.faults.words import SAG, commanding, told_beyond
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError

__all__ = [
    "SLOW",
    "another_driver",
    "another_sender",
    "another_sender_at_start",
    "arms_after_cleanup",
    "braking_guard_killed",
    "driver_returns",
    "effort_after_stop",
    "effort_without_states",
    "idle",
    "late_once",
    "pressed",
    "pressed_and_released",
    "restarted_policy",
    "silence",
    "slowed",
    "stamped_ahead",
    "stopped_after_command",
    "towards_limit",
]

_PLAIN = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)
SLOW = 0.1  # `rate_scale` of the row about it
_AT_ONCE = 0.2  # s from `policy/start` to motion, with the time that services and the servo take


def pressed(delay: float, *, another: bool = False, plain: bool = False) -> Act:
    """`emergency_stop` true, and false `delay` seconds later, from the same publisher or another one."""
    quality = _PLAIN if plain else wire.LATCHED

    def act(run: Course) -> Seen:
        run.cruise()
        with (
            run.witness.publisher(Bool, "/emergency_stop", quality) as button,
            run.witness.publisher(Bool, "/emergency_stop", quality) as other,
        ):
            run.link.spin(0.5)

            def press() -> None:
                button.publish(Bool(data=True))
                time.sleep(delay)
                (other if another else button).publish(Bool(data=False))

            seen = run.after(press)
            for each in (button, other):
                each.publish(Bool(data=False))
            run.link.spin(0.2)
        return seen

    return act


def pressed_and_released(run: Course) -> Seen:
    """One button stays pressed, another one is released: reset and arm."""
    run.home()
    with (
        run.witness.publisher(Bool, "/emergency_stop", wire.LATCHED) as button,
        run.witness.publisher(Bool, "/emergency_stop", wire.LATCHED) as other,
    ):
        run.link.spin(0.5)
        button.publish(Bool(data=True))
        run.link.spin(0.2)
        other.publish(Bool(data=False))
        run.link.spin(0.2)

        def again() -> None:
            run.link.trigger("guard/reset")
            run.link.arm()

        seen = run.refusal(again)
        button.publish(Bool(data=False))
        run.link.spin(0.2)
    return seen


def restarted_policy(run: Course) -> Seen:
    """The policy is stopped, its process killed and started anew while the guard stays armed; then arm and start."""
    run.cruise()
    run.link.spin(2.0)
    run.link.trigger("policy/stop")
    run.link.spin(1.0)
    run.kill("policy_node")
    run.restart("policy_node")
    run.patiently(lambda: run.configure("policy_node"), 30.0)
    run.patiently(lambda: run.activate("policy_node"), 30.0)
    run.witness.clear()
    try:
        with contextlib.suppress(RosError):  # it may be armed already
            run.link.arm()
        run.link.trigger("policy/start")
    except RosError as error:
        return Seen("R", str(error))
    started = time.monotonic()
    run.link.spin(6.0)
    times, velocities = run.witness.motion()
    moving = np.flatnonzero(np.abs(velocities).max(axis=1) > run.speed / 2)
    if not moving.size:
        return Seen("does not move", run.link.status.get("cause", ""))
    late = float(times[moving[0]] - started)
    return Seen("moves at once" if late < _AT_ONCE + run.subject.lag(run.speed) else "moves late", note=f"{late:.2f} s after start")


def idle(*faults: str, seconds: float = 1.5) -> Act:
    """A fault of the robot while the guard is armed and nobody commands."""

    def act(run: Course) -> Seen:
        run.home()
        run.patiently(run.link.arm)
        run.link.spin(0.5)
        run.witness.clear()
        began = time.monotonic()
        run.fault(*faults)
        run.link.spin(seconds)
        seen = run.judge(began, foreign=True)
        seen.brake = seen.still = seen.allowed = NAN
        if run.link.status.get("armed") == "false" and seen.outcome == "N":
            seen.outcome, seen.words = "disarmed", run.link.status.get("cause", "")
        run.fault()
        return seen

    return act


def braking_guard_killed(run: Course) -> Seen:
    """`guard/stop`, and SIGKILL to the guard while it brakes."""
    run.cruise()

    def fault() -> None:
        run.link.trigger("guard/stop")
        run.kill("guard_node")

    seen = run.after(fault, 2.5)
    if not np.isfinite(seen.still):
        seen.outcome = "moves on"
    else:
        seen.outcome = "stop services" if any(name == "stop_service" for _, name in run.witness.events) else "stands"
    return seen


def another_sender_at_start(run: Course) -> Seen:
    """Somebody else already commands when the guard is to be armed."""
    run.home()
    with Commander(run.domain, cruising_contract(run.subject, run.setting), lambda count: run.subject.push * 0):
        run.link.spin(0.5)
        return run.refusal(run.link.arm)


def another_sender(*, once: int = -1) -> Act:
    """Somebody else commands in motion: the other way, or one message with a huge number."""

    def act(run: Course) -> Seen:
        run.cruise()
        contract = cruising_contract(run.subject, run.setting)
        away = run.subject.home if run.mode == "position" else -run.subject.push * run.speed
        other = Commander(run.domain, contract, lambda count: away)
        other.change = lambda message: None
        with other:  # it counts from its first message, not from its discovery

            def fault() -> None:
                if once >= 0:
                    other.send(other.command(once, away))
                else:
                    other.change = lambda message: message

            return run.after(fault)

    return act


def stamped_ahead(run: Course) -> Seen:
    """All commands are stamped 0.2 s ahead from now on."""
    with commanding(run) as commander:

        def ahead(message: JointState) -> JointState:
            message.header.stamp = wire.time_of(wire.nanoseconds_of(message.header.stamp) + 200_000_000)
            return message

        return run.after(lambda: setattr(commander, "change", ahead))


def late_once(run: Course) -> Seen:
    """One command comes 34 ms late."""
    with commanding(run) as commander:

        def late(message: JointState) -> JointState:
            time.sleep(0.034)
            commander.change = lambda message: message
            return message

        return run.after(lambda: setattr(commander, "change", late), 0.3)


def stopped_after_command(run: Course) -> Seen:
    """`guard/stop` right after a command."""
    run.cruise()
    count = len(run.witness.executed)
    run.link.until(lambda: len(run.witness.executed) > count, 2.0, "the guard executes nothing")

    def fault() -> None:
        time.sleep(0.005)
        run.link.trigger("guard/stop")

    return run.after(fault)


def arms_after_cleanup(run: Course) -> Seen:
    """Stop, deactivate, cleanup, configure, activate, arm: a stop outlives the states of the node."""
    run.cruise()
    run.link.trigger("guard/stop")
    run.link.spin(1.0)
    for number in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
        run.link.transition("guard_node", number)
    run.configure("guard_node")
    run.patiently(lambda: run.activate("guard_node"))
    seen = run.refusal(run.link.arm)
    run.patiently(lambda: run.link.trigger("guard/reset"))
    return seen


def towards_limit(delay: float) -> Act:
    """States come late while the joints go towards a position limit."""

    def act(run: Course) -> Seen:
        run.begin()
        run.fault(f"state_delay:={delay}")
        run.link.spin(2.5)
        low, high = run.subject.home - 0.5, run.subject.home + 0.5
        run.fault()
        run.link.spin(0.2)
        position = wire.column(run.link.states[max(run.link.states)], "position", run.subject.robot.joint_names)[0]
        beyond = float(np.maximum(low - position, position - high).max())
        seen = run.judge(0.0)
        seen.brake = seen.still = seen.allowed = NAN
        seen.note = (
            f"comes to rest {1000 * beyond:.0f} mrad beyond the limit" if beyond > 0 else f"{-1000 * beyond:.0f} mrad short of the limit"
        )
        if beyond > SAG:
            seen.outcome += ", beyond"
        return told_beyond(run, seen, low, high)

    return act


def driver_returns(run: Course) -> Seen:
    """The driver dies in motion and starts anew 6 s later, with the arm elsewhere."""
    run.cruise()
    run.link.spin(0.3)  # so that home is 0.3 rad away and more
    run.kill("sim_node")
    run.link.spin(6.0)
    stopped = run.link.status.get("rung") == "stop"
    run.restart("sim_node")
    run.link.until(lambda: len(run.witness.events) > 0, 30, "the driver does not come back")
    run.witness.clear()
    run.link.spin(4.0)
    _, velocities = run.witness.motion()
    fastest = float(np.abs(velocities).max()) if len(velocities) else 0.0
    armed = run.link.status.get("armed") == "true"
    note = f"{len(run.witness.received)} commands, {fastest:.2f} rad/s after its return"
    right = stopped and not armed and not run.witness.received
    return Seen("S, disarmed, no command" if right else "commands go on", run.link.status.get("cause", ""), note=note)


def silence(run: Course) -> Seen:
    """The guard is armed and idle, and no states come for 10 s."""
    run.home()
    run.patiently(run.link.arm)
    run.link.spin(0.5)
    run.fault("silent:=true")
    run.link.spin(3.0)
    run.witness.clear()
    run.link.spin(7.0)
    count = len(run.witness.received)
    run.fault()
    return Seen("silent" if not count else f"{count} commands", run.link.status.get("cause", ""))


def slowed(run: Course) -> Seen:
    """The policy asks for its usual speed, and is stopped; everything on the wire keeps a tenth of the limits."""
    run.begin()
    run.link.spin(1.5)
    seen = run.after(lambda: run.link.trigger("guard/stop"))
    seen.brake = seen.still = seen.allowed = NAN
    # What comes a twentieth of a period early is judged for a whole one, and changes of set-points that nobody interpolates tell nothing.
    forward = run.setting.transport.startswith("forward")
    kept = seen.velocity <= 1.1 * SLOW if forward else max(seen.velocity, seen.acceleration) <= 1.05 * SLOW
    seen.outcome = "counts" if kept else "does not count"
    return seen


def another_driver(run: Course) -> Seen:
    """A gripper publishes its own joint states on the arm's topic."""
    profile = run.subject.robot.ros
    topic = f"/{profile.state_topic}" if profile else "/joint_states"
    quality = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    run.cruise()
    with run.witness.publisher(JointState, topic, quality) as gripper:

        def speak() -> None:
            for _ in range(70):
                message = JointState(name=["gripper_joint"], position=[0.4], velocity=[0.0])
                message.header.stamp = run.witness.now()
                gripper.publish(message)
                run.link.spin(0.02)

        return run.after(speak, 0.1)


@contextlib.contextmanager
def _efforts(run: Course) -> Iterator[Commander]:
    """Efforts that carry the arm's weight and swing one joint."""
    robot, joints = run.subject.robot, run.subject.robot.joint_names
    tree, contract = Kinematics(robot.urdf_path), cruising_contract(run.subject, run.setting)
    swung = np.array([joint == run.subject.middle for joint in joints])
    run.home()
    run.patiently(run.link.arm)
    run.witness.clear()

    def values(count: int) -> Array:
        newest = run.link.states[max(run.link.states)]
        position, velocity = (wire.column(newest, field, joints) for field in ("position", "velocity"))
        wanted = np.where(swung, 0.5 * np.sin(0.1 * count), 0.0)
        return tree.gravity(joints, position)[0] + 20 * (wanted - velocity[0])

    with Commander(run.domain, contract, values) as commander:
        run.link.spin(2.0)
        yield commander


def effort_without_states(run: Course) -> Seen:
    """No states come any more: what is left of the last effort, and whether the driver was asked to hold."""
    with _efforts(run):
        seen = run.after(lambda: run.fault("silent:=true"), 3.0, foreign=True)
    last = float(np.abs(run.witness.received[-1][1]).max()) if run.witness.received else NAN
    seen.note = f"last command {last:.1f} N·m"
    run.fault()
    return seen


def effort_after_stop(run: Course) -> Seen:
    """`guard/stop`, and a look at the arm five seconds later."""
    with _efforts(run):
        seen = run.after(lambda: run.link.trigger("guard/stop"), 1.5, foreign=True)
    joints = run.subject.robot.joint_names
    before = wire.column(run.link.states[max(run.link.states)], "position", joints)
    run.link.spin(5.0)
    drift = float(np.abs(wire.column(run.link.states[max(run.link.states)], "position", joints) - before).max())
    seen.note = f"it sank by {1000 * drift:.0f} mrad in 5 s"
    seen.outcome = "holds" if seen.outcome == "S" and drift < 0.1 else f"{seen.outcome}, falls"
    return seen
