"""The rows of the fault table: what is done to which processes, and what must come of it.

Letters: N no effect, C clamped, R refused and nothing commanded, H braked and held, S braked and latched, X as S and the driver's stop services
called.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fault_course import CRUISE, PERIOD, PUSH, ROBOT, Course, Seen, cruising, cruising_contract
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_bench import Commander
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from isthmus.limits import Box
from isthmus_ros import wire
from isthmus_ros.processes import RosError
from isthmus_ros.transports import transport_of
from isthmus_sim.tasks import get_task

__all__ = ["NOTES", "NOT_PRODUCED", "ROWS", "Row", "Setting"]

Act = Callable[[Course], Seen]


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One arrangement of processes; rows that share it share the processes.

    Attributes:
        mode: command mode of the policy.
        transport: how commands reach the robot.
        policy: which of the policies of `write_policy`.
        options: further arguments of `course`.
    """

    mode: str
    transport: str
    policy: str = "cruise"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """As the table shows it."""
        guard = ", guard inline" if ("inline", True) in self.options else ""
        return f"{self.mode}, {self.transport}{guard}"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Attributes:
        number: of the row in the table.
        fault: in words.
        expected: outcomes that are right.
        act: brings it about and tells what was seen.
        settings: arrangements in which it is tried.
        fresh: it needs new processes each time.
        timed: the bounds of time apply.
    """

    number: str
    fault: str
    expected: tuple[str, ...]
    act: Act
    settings: tuple[Setting, ...]
    fresh: bool = False
    timed: bool = True


def write_policy(kind: str, mode: str, folder: Path) -> Path:
    """The policy file of a setting."""
    path = folder / f"{kind}-{mode}.isthmus"
    contract = cruising_contract(mode)
    if kind == "chunks":
        contract = cruising_contract(mode, horizon=10)
    elif kind == "ramp":
        contract = cruising_contract(mode, start=0.4)
    elif kind == "far":
        contract = cruising_contract(mode, start=0.7)
    elif kind == "wall":  # a position limit in the way
        low, high = (ROBOT.home - 0.5).tolist(), (ROBOT.home + 0.5).tolist()
        contract = cruising_contract(mode, limits=dataclasses.replace(contract.limits, position_low=tuple(low), position_high=tuple(high)))
    elif kind == "box":  # the tool's way leads out of it
        contract = cruising_contract(mode, limits=dataclasses.replace(contract.limits, workspace=_box()))
    elif kind == "goal":
        contract = dataclasses.replace(contract, observation=(*contract.observation, get_task("reach").contract.signal("goal")))
    cruising(contract).save(path)
    if kind == "corrupt":
        data = bytearray(path.read_bytes())
        at = data.find(b"previous_action", data.find(b"policy.onnx"))
        data[at] ^= 1
        path.write_bytes(data)
    return path


def _box() -> Box:
    from isthmus.kinematics import Kinematics

    tree, names = Kinematics(ROBOT.urdf_path), ROBOT.joint_names
    way = ROBOT.home + np.linspace(0, 0.35, 8)[:, None] * PUSH
    points = np.concatenate([tree.positions(names, way, [link])[link] for link in ROBOT.workspace_points])
    return Box(tuple((points.min(axis=0) - 0.01).tolist()), tuple((points.max(axis=0) + 0.01).tolist()))


SAG = 0.020  # rad by which the simulated servo sags below its set-point under the arm's weight


# --- what happens to processes


def killed(*names: str) -> Act:
    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: [_kill(run, name) for name in names])

    return act


def killed_in_ramp(run: Course) -> Seen:
    run.begin()
    run.link.until(lambda: run.link.status.get("policy") == "ramp" and run.witness.speed() > 0.1, 10, "no ramp")
    return run.after(lambda: _kill(run, "policy_node"))


def _kill(run: Course, name: str) -> None:
    run.killed.append(name)
    if run.nodes[name] in run._watched:
        run._watched.remove(run.nodes[name])
    run.nodes[name].send(signal.SIGKILL)


def frozen(name: str, seconds: float, look: float = 1.4) -> Act:
    """SIGSTOP, and SIGCONT after a while."""

    def act(run: Course) -> Seen:
        run.cruise()
        began, before = time.monotonic(), len(run.witness.statuses)
        run.nodes[name].send(signal.SIGSTOP)
        run.link.spin(seconds)
        run.nodes[name].send(signal.SIGCONT)
        run.link.spin(look)
        return run.judge(began, before)

    return act


def signalled(name: str) -> Act:
    """SIGUSR1: the policy does what `faulty_policy` was told."""

    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.nodes[name].send(signal.SIGUSR1), 2.0)

    return act


def guard_restarts(run: Course) -> Seen:
    """The new one is unarmed and commands nothing; what the dead one has left in the graph refuses everything for up to 20 s."""
    run.cruise()
    _kill(run, "guard_node")
    died = time.monotonic()
    run.link.spin(1.0)
    run.reset(-1)  # the policy has ended external control
    folder = run.nodes["guard_node"]._folder.name
    command = [sys.executable, "-m", "isthmus_ros.guard_node", "--ros-args", "--params-file", f"{folder}/parameters.yaml"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run.witness.clear()
        for number in (1, 3):
            run._patiently(lambda number=number: _transition(run, "guard_node", number), 60.0)
        ready = time.monotonic() - died
        run.link.spin(1.0)
        commands = len(run.witness.received)
        run._patiently(run.link.arm, 40.0)
        note = f"its services answer {ready:.0f} s after the kill, it is armed after {time.monotonic() - died:.0f} s"
        return Seen("unarmed" if not commands else f"{commands} commands before arming", note=note)
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()


def _transition(run: Course, node: str, number: int) -> None:
    if not run.link.transition(node, number):
        raise RosError(f"{node} refused transition {number}")


def interrupted(*names: str) -> Act:
    """SIGINT twice; all of the processes must end with code 0, after the robot stands."""

    def act(run: Course) -> Seen:
        run.cruise()

        def twice() -> None:
            for name in names:
                if run.nodes[name] in run._watched:
                    run._watched.remove(run.nodes[name])
                run.killed.append(name)
            for _ in range(2):
                for name in names:
                    run.nodes[name].interrupt()
                time.sleep(0.02)

        seen = run.after(twice, 3.0)
        end = time.monotonic() + 12
        while any(run.nodes[name].exit_code is None for name in names) and time.monotonic() < end:
            run.link.spin(0.1)
        codes = [run.nodes[name].exit_code for name in names]
        speed = run.witness.speed() if "sim_node" not in names else 0.0
        times, speeds = run.witness.commanded()
        last = float(np.abs(speeds[-1]).max()) if len(times) else float("nan")
        seen.note = f"exit codes {', '.join(map(str, codes))}; last command {last:.3f} rad/s"
        seen.outcome = "braked, exit 0" if set(codes) == {0} and speed < 0.02 and last < 1e-6 else "not at rest, or another exit code"
        return seen

    return act


def starved(run: Course) -> Seen:
    """Ten seconds in which twelve busy processes share the processors with the nodes; here the robot stands still, and afterwards moves."""
    run.cruise()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(12)]
    try:
        return run.after(lambda: None, 10.0)
    finally:
        for child in busy:
            child.kill()
            child.wait()


# --- what the robot says


def says(*faults: str, seconds: float = 1.4) -> Act:
    """A fault of the simulated robot, in motion."""

    def act(run: Course) -> Seen:
        run.cruise()
        return run.after(lambda: run.fault(*faults), seconds)

    return act


def says_at_start(*faults: str) -> Act:
    """The same before arming."""

    def act(run: Course) -> Seen:
        run.home()
        run.fault(*faults)
        run.link.spin(0.4)

        def begin() -> None:
            run.link.arm()
            run.link.trigger("policy/start")

        seen = run.refusal(begin)
        run.fault()
        return seen

    return act


def resumes(run: Course) -> Seen:
    """A protective stop is over: nothing is commanded."""
    run.cruise()
    run.fault("protective_stop:=true")
    run.link.spin(1.2)
    run.witness.clear()
    run.fault()
    run.link.spin(1.0)
    return Seen("no command" if not run.witness.received else f"{len(run.witness.received)} commands", run.link.status.get("cause", ""))


# --- what somebody else says


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
    def change(message: JointState) -> JointState:
        for name, value in fields.items():
            setattr(message, name, value(message))
        return message

    return change


def foreign(message: JointState) -> JointState:
    message.header.frame_id = "0123456789ab:7"
    return message


def repeated(run: Course) -> Seen:
    """Every command twice, and old ones in between."""
    with _commander(run) as commander:
        before = _dropped(run)

        def again(message: JointState) -> JointState:
            commander._publisher.publish(message)
            if commander.sequence % 3 == 0:
                number = wire.frame_id(commander.contract.digest(), 0)
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
    from isthmus.kinematics import Kinematics

    run.begin()
    run.link.spin(2.0)
    tree, box = Kinematics(ROBOT.urdf_path), _box()
    newest = run.link.states[max(run.link.states)]
    position = wire.column(newest, "position", ROBOT.joint_names)
    points = np.concatenate([tree.positions(ROBOT.joint_names, position, [link])[link] for link in ROBOT.workspace_points])
    outside = float(np.maximum(np.array(box.low) - points, points - np.array(box.high)).max())
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
    run.cruise()
    found: list[Any] = []
    seen = run.after(lambda: found.append(_intruder(run)), 2.0, foreign=True)
    run.link._node.destroy_publisher(found[0])
    run.link.spin(0.6)
    return seen


def service(name: str) -> Act:
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


# --- what is refused


def corrupt(run: Course) -> Seen:
    return run.refusal(lambda: run.bring_up())


def other_robot(run: Course) -> Seen:
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
    run.cruise()
    try:
        run.link.arm()
    except RosError as error:
        return Seen("R", str(error))
    return Seen("N", "not refused")


def start_refused(run: Course) -> Seen:
    """`policy/start`, too far from the start pose or without an input."""
    run.home()
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


VT = Setting("velocity", "trajectory")
VF = Setting("velocity", "forward_velocity")
PF = Setting("position", "forward_position")
VI = Setting("velocity", "forward_velocity", options=(("inline", True),))
BOTH = (VT, PF)


def _as(*settings: Setting, **options: Any) -> tuple[Setting, ...]:
    policy = options.pop("policy", "cruise")
    return tuple(dataclasses.replace(setting, policy=policy, options=(*setting.options, *options.items())) for setting in settings)


ALONE = _as(*BOTH, alone=True)
_NAN = with_fields(position=lambda m: [float("nan")] * len(m.position), velocity=lambda m: [float("nan")] * len(m.velocity))

ROWS = (
    Row("1", "policy SIGKILL in motion", ("H→S",), killed("policy_node"), (*BOTH, VF), fresh=True),
    Row("2", "policy SIGKILL in the middle of a chunk", ("H→S",), killed("policy_node"), _as(*BOTH, policy="chunks"), fresh=True),
    Row("3", "policy SIGKILL in the ramp", ("H→S",), killed_in_ramp, _as(*BOTH, policy="ramp"), fresh=True),
    Row("4", "policy SIGSTOP, SIGCONT after 0.15 s", ("H",), frozen("policy_node", 0.15), BOTH),
    Row("5", "policy SIGSTOP, SIGCONT after 1 s", ("H→S",), frozen("policy_node", 1.0), BOTH, fresh=True),
    Row("6", "one decision 0.12 s late", ("H",), signalled("policy_node"), _as(*BOTH, spoiled="late"), fresh=True),
    Row("7", "inference hangs", ("H→S",), signalled("policy_node"), _as(*BOTH, spoiled="hang"), fresh=True),
    Row("8", "exception in `act`", ("H→S",), signalled("policy_node"), _as(*BOTH, spoiled="raise"), fresh=True),
    Row("9", "action is NaN", ("H→S",), signalled("policy_node"), _as(*BOTH, spoiled="nan"), fresh=True),
    Row("9", "NaN on `guard/command`", ("H→S",), commanded(_NAN), ALONE),
    Row("10", "observation is NaN", ("H→S",), says("nan_velocity:=elbow_joint"), BOTH),
    Row("11", "command with an unknown joint", ("S",), commanded(with_fields(name=lambda m: ["elbow", *m.name[1:]])), ALONE),
    Row(
        "11",
        "command without a joint",
        ("S",),
        commanded(with_fields(name=lambda m: m.name[1:], position=lambda m: m.position[1:], velocity=lambda m: m.velocity[1:])),
        ALONE,
    ),
    Row("12", "command in the wrong field", ("S",), commanded(with_fields(effort=lambda m: [0.0] * len(m.name))), ALONE),
    Row("13", "command with the digest of another contract", ("S",), commanded(foreign), ALONE),
    Row("14", "command over velocity and acceleration", ("C",), beyond, ALONE, timed=False),
    Row("15", "command towards a position limit", ("C",), walled, _as(*BOTH, policy="wall"), timed=False),
    Row("15", "command towards the workspace box", ("C",), boxed, _as(*BOTH, policy="box"), timed=False),
    Row("16", "repeated and old sequence numbers", ("N",), repeated, ALONE, timed=False),
    Row("17", "commands at twice the rate", ("S",), too_fast, ALONE, timed=False),
    Row("18", "corrupt artifact", ("R",), corrupt, _as(VT, policy="corrupt"), fresh=True, timed=False),
    Row("19", "contract of another robot", ("R",), other_robot, _as(VT, robot="pendulum"), fresh=True, timed=False),
    Row("20", "/joint_states stops", ("S",), says("silent:=true"), BOTH),
    Row("22", "values frozen with fresh stamps", ("S",), says("freeze_values:=all"), BOTH, timed=False),
    Row("23", "stamps frozen", ("S",), says("stamp_rate:=0"), BOTH),
    Row("24", "stamps run backwards", ("H→S",), says("stamp_rate:=-1"), BOTH),
    Row("25", "stamps 0.2 s ahead, in motion", ("H→S",), says("stamp_offset:=0.2"), BOTH),
    Row("25", "stamps 0.2 s ahead, at start", ("R",), says_at_start("stamp_offset:=0.2"), BOTH, timed=False),
    Row("26", "states 30 ms late", ("N",), says("state_delay:=0.03"), BOTH),
    Row("27", "states 0.2 s late, in motion", ("S",), says("state_delay:=0.2"), BOTH),
    Row("27", "states 0.2 s late, at start", ("R",), says_at_start("state_delay:=0.2"), BOTH, timed=False),
    Row("28", "states up to half a period late, at random", ("N",), says("state_jitter:=0.025"), BOTH),
    Row("29", "30 % of the states lost", ("N",), says("state_drop:=0.3"), BOTH),
    Row("30", "all states of three periods lost", ("S",), says("state_drop_next:=15"), BOTH),
    Row("31", "joints reordered", ("N",), says("reorder:=true"), BOTH),
    Row("32", "a joint too many", ("N",), says("extra_joint:=gripper_joint"), BOTH),
    Row("33", "a joint missing, in motion", ("H→S",), says("missing_joint:=elbow_joint"), BOTH),
    Row("33", "a joint missing, at start", ("R",), says_at_start("missing_joint:=elbow_joint"), BOTH, timed=False),
    Row("34", "NaN in a position", ("H→S",), says("nan_position:=elbow_joint"), BOTH),
    Row("35", "no velocities, at start", ("R",), says_at_start("empty_velocity:=true"), BOTH, timed=False),
    Row("36", "degrees, at start", ("R",), says_at_start("degrees:=true"), BOTH, timed=False),
    Row("37", "a position jumps by 1 rad", ("S",), says("position_offset:=elbow_joint=1.0"), BOTH),
    Row("38", "dead motor", ("S",), says("dead_motor:=elbow_joint"), BOTH, timed=False),
    Row("39", "runaway at 1.5 rad/s", ("X",), says("runaway:=elbow_joint=1.5", seconds=2.5), BOTH, timed=False),
    Row(
        "40",
        "limit cycle of a wrist, commands swing by 8 rad/s at 9.5 Hz",
        ("S", "X"),
        says("limit_cycle:=wrist_1_joint=8", "limit_cycle_frequency:=9.5", seconds=3.0),
        BOTH,
        timed=False,
    ),
    Row("41", "protective stop, in motion", ("S",), says("protective_stop:=true"), BOTH),
    Row("41", "protective stop, at start", ("R",), says_at_start("protective_stop:=true"), BOTH, timed=False),
    Row("42", "speed scaling 50 %, in motion", ("S",), says("speed_scaling:=0.5"), BOTH),
    Row("42", "speed scaling 50 %, at start", ("R",), says_at_start("speed_scaling:=0.5"), BOTH, timed=False),
    Row("43", "the program resumes", ("no command",), resumes, BOTH, timed=False),
    Row("44", "nobody listens to commands, at start", ("R",), says_at_start("no_subscriber:=true"), BOTH, timed=False),
    Row("44", "nobody listens to commands, in motion", ("S",), says("no_subscriber:=true", seconds=2.0), BOTH, timed=False),
    Row("44", "nobody listens to commands, in motion", ("S",), says("no_subscriber:=true", seconds=2.0), (VI,), timed=False),
    Row("45", "QoS of the command topic does not match, at start", ("R",), says_at_start("command_qos:=true"), BOTH, timed=False),
    Row("45", "QoS of the command topic does not match, in motion", ("S",), says("command_qos:=true", seconds=2.0), BOTH, timed=False),
    Row("46", "guard SIGKILL, trajectory", ("stands",), lambda run: _alone(run, "guard_node"), (VT,), fresh=True),
    Row("47", "guard SIGKILL, forward_position", ("stands",), lambda run: _alone(run, "guard_node"), (PF,), fresh=True, timed=False),
    Row("48", "guard SIGKILL, forward_velocity", ("stop services",), lambda run: _alone(run, "guard_node"), (VF,), fresh=True, timed=False),
    Row("49", "guard SIGSTOP, SIGCONT after 1 s", ("S", "X"), frozen("guard_node", 1.0), (VT, PF, VF), fresh=True, timed=False),
    Row("50", "guard and policy SIGKILL, trajectory", ("stands",), lambda run: _alone(run, "guard_node", "policy_node"), (VT,), fresh=True),
    Row(
        "50",
        "guard and policy SIGKILL, forward_position",
        ("stands",),
        lambda run: _alone(run, "guard_node", "policy_node"),
        (PF,),
        fresh=True,
        timed=False,
    ),
    Row(
        "50",
        "guard and policy SIGKILL, forward_velocity",
        ("moves on",),
        lambda run: _alone(run, "guard_node", "policy_node"),
        (VF,),
        fresh=True,
        timed=False,
    ),
    Row("51", "guard restarts", ("unarmed",), guard_restarts, (VT,), fresh=True, timed=False),
    Row("52", "policy streams while unarmed", ("nothing published",), unarmed, ALONE, timed=False),
    Row("53", "second publisher before arming", ("R",), intruder_before, BOTH, timed=False),
    Row("54", "second publisher in motion", ("X",), intruder_in_motion, BOTH),
    Row("55", "`guard/stop`", ("S",), service("guard/stop"), BOTH),
    Row("56", "`emergency_stop` true", ("S",), emergency, BOTH),
    Row("58", "reset with the cause present", ("R",), reset_too_early, BOTH, timed=False),
    Row("59", "arm while moving", ("R",), arm_in_motion, BOTH, timed=False),
    Row("60", "start 0.7 rad from the start pose", ("R",), start_refused, _as(*BOTH, policy="far"), timed=False),
    Row("61", "input missing", ("R",), start_refused, _as(*BOTH, policy="goal"), timed=False),
    Row("61", "input out of range, in another frame", ("R",), bad_input, _as(*BOTH, policy="goal"), timed=False),
    Row("70", "SIGINT twice to the policy", ("braked, exit 0",), interrupted("policy_node"), BOTH, fresh=True, timed=False),
    Row("70", "SIGINT twice to the guard", ("braked, exit 0",), interrupted("guard_node"), BOTH, fresh=True, timed=False),
    Row(
        "71",
        "SIGINT twice to all processes",
        ("braked, exit 0",),
        interrupted("policy_node", "guard_node", "sim_node"),
        BOTH,
        fresh=True,
        timed=False,
    ),
    Row("72", "processors starved for 10 s", ("N", "H", "S", "H→S"), starved, BOTH, timed=False),
    Row("73", "a limit parameter is changed at run time", ("R",), runtime_limit, (VT,), timed=False),
)


def _alone(run: Course, *names: str) -> Seen:
    """What the robot does when nobody guards it any more."""
    run.cruise()
    seen = run.after(lambda: [_kill(run, name) for name in names], 2.5)
    ended = any(name == "stop_service" for _, name in run.witness.events)
    if not np.isfinite(seen.still):
        seen.outcome = "moves on"
    else:
        seen.outcome = "stop services" if ended and run.transport == "forward_velocity" else "stands"
    seen.note = "the policy called the stop services" if ended else ""
    if run.transport == "trajectory":
        seen.allowed = float("nan")  # no command brakes: the tail of the last one does
    return seen


NOTES = {
    "40": "the monitors sample at the control rate, 20 Hz, and a limit cycle just below half of it can hide between the samples",
    "44": "a guard inside the policy's node looks for a listener before arming only",
    "65": "a step forward that clock and stamps make together is not seen as one; with `stamp_check:=relative` the offset is measured at activation, "
    "and a later step of the robot's clock is a fault",
    "72": "the policy counts three answers of the guard that do not come in time, and then ends external control",
}
NOT_PRODUCED = {
    "62–64": "a camera that freezes, falls silent or shows something else is tested (`tests/ros/test_ros_cameras.py`), but not measured here yet",
    "68–69": "a recorder that dies or runs out of disk is tested (`tests/ros/test_ros_record.py`), but not measured here yet",
}
