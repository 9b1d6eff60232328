import contextlib
import dataclasses
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import Commander, Late, bench
from ros_policies import resolved_rate, still
from std_msgs.msg import Bool

from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

SPEED = 0.3
JOINTS = len(load_robot("ur5e").joints)


@pytest.fixture(scope="module")
def contract():
    return get_task("reach").contract


@pytest.fixture(scope="module")
def policy_file(contract, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(contract).save(path)
    return path


def rest(count):
    return np.zeros(JOINTS)


def swing(count):
    """A speed that grows from rest and swings, so that no limit is near."""
    return np.full(JOINTS, SPEED * np.sin(count / 8))


@contextlib.contextmanager
def guarded(policy_file, contract, speed=swing, period=None, **parameters):
    """An armed guard in wall time, and somebody who is ready to command."""
    with bench(policy_file, clock="wall", simulator={}, alone=True, **parameters) as nodes:
        assert nodes.configure()
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, contract, speed, period) as commander:
            yield nodes, commander


def moving(nodes):
    nodes.wait(lambda: any(max(map(abs, message.velocity)) > 0.1 for message in nodes.link.executed.values()), "motion")


def stopped(nodes, punctually=True):
    """The cause of the guard's stop, once it has braked to standstill and disarmed."""
    nodes.wait(lambda: nodes.link.status.get("rung") == "stop" and nodes.link.status["armed"] == "false", "the stop at standstill")
    np.testing.assert_array_equal(nodes.link.executed[max(nodes.link.executed)].velocity, 0.0)
    if punctually:
        nodes.punctual()
    return nodes.link.status["cause"]


def test_guard_node_imports_no_model_code():
    unwanted = {
        "onnx",
        "onnxruntime",
        "torch",
        "mujoco",
        "pybullet",
        "isthmus.artifact",
        "isthmus.kinds",
        "isthmus_sim",
        "isthmus_policies",
    }
    code = f"import isthmus_ros.guard.guard_node, sys; print(sorted({unwanted!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_nothing_is_published_before_arming_and_rest_afterwards(policy_file, contract):
    with bench(policy_file, clock="wall", simulator={}, alone=True) as nodes:
        assert nodes.configure()
        nodes.activate()
        with Commander(nodes.domain, contract, swing) as commander:
            nodes.wait(lambda: int(nodes.link.status.get("dropped.unarmed", "0")) > 3, "commands that come too early")
            assert not nodes.link.executed
            with pytest.raises(RosError, match="commands are coming in on guard/command already"):
                nodes.arm(0.3)
            commander.pause()
            nodes.arm()
            nodes.wait(lambda: nodes.link.executed, "the robot's rest")
            np.testing.assert_array_equal(nodes.link.executed[-1].velocity, 0.0)
        assert (nodes.link.status["rung"], nodes.link.status["armed"]) == ("pass", "true")


def test_commands_pass_once_each_and_silence_in_motion_brakes_then_stops(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        commander.pause()
        assert "no command came within 0.085 s" in stopped(nodes)
        executed = nodes.link.executed
        passed = [number for number in executed if 0 <= number < commander.sequence]
        if len(passed) < commander.sequence:
            raise Late
        for number in passed:
            np.testing.assert_array_equal(executed[number].velocity, swing(number))
        nodes.link.forget()
        commander.resume()
        nodes.link.spin(0.3)
        assert not nodes.link.executed
        with pytest.raises(RosError, match="call guard/reset first"):
            nodes.link.arm()


def test_one_late_command_holds_and_recovers(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        commander.pause()
        nodes.wait(lambda: nodes.link.status["rung"] == "hold", "the hold")
        commander.resume()
        nodes.wait(lambda: nodes.link.status["rung"] != "hold", "the end of the hold")
        if nodes.link.status["rung"] == "stop":
            raise Late
        assert nodes.link.status["armed"] == "true"


def test_silence_at_rest_ends_the_motion_without_a_fault(policy_file, contract):
    with guarded(policy_file, contract, speed=lambda count: swing(count) if count < 20 else rest(count)) as (nodes, commander):
        nodes.wait(lambda: commander.sequence > 30, "rest")
        commander.pause()
        nodes.link.spin(0.8)
        assert (nodes.link.status["rung"], nodes.link.status["armed"]) == ("pass", "true")


def spoiled(**fields):
    def spoil(message):
        for name, value in fields.items():
            setattr(message, name, value(message))
        return message

    return spoil


def marked(message):
    message.header.frame_id = "0123456789ab:7"
    return message


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (marked, "a command must be marked"),
        (spoiled(name=lambda message: ["elbow", *message.name[1:]]), "names joint 'elbow' that is not commanded"),
        (spoiled(name=lambda message: message.name[1:], velocity=lambda message: message.velocity[1:]), "lacks joint 'shoulder_pan_joint'"),
        (spoiled(position=lambda message: message.velocity), "must have 0 values of position, got 6"),
        (spoiled(velocity=lambda message: []), "must have 6 values of velocity, got 0"),
    ],
    ids=["digest", "unknown joint", "missing joint", "wrong field", "no field"],
)
def test_command_that_is_not_of_the_contract_stops(policy_file, contract, change, cause):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        commander.change = change
        assert cause in stopped(nodes)


def test_value_that_is_not_finite_holds_then_stops(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        commander.change = spoiled(velocity=lambda message: [np.nan] * JOINTS)
        cause = stopped(nodes)
        if "no command" in cause:
            raise Late
        assert "hold lasted 0.5 s: command of shoulder_pan_joint is not finite" in cause


def test_repeated_and_old_commands_are_dropped_and_counted(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        for _ in range(3):
            commander.send(0, np.full(JOINTS, 3.0))
            nodes.link.spin(0.02)
        nodes.wait(lambda: int(nodes.link.status.get("dropped.out of sequence", "0")) >= 2, "the count of repetitions")
        commander.send(commander.sequence + 1, np.full(JOINTS, 3.0), age=0.5)
        nodes.wait(lambda: "dropped.old" in nodes.link.status or "dropped.out of sequence" in nodes.link.status, "the count of old ones")
        assert max(max(map(abs, message.velocity)) for message in nodes.link.executed.values()) <= SPEED


def test_commands_at_twice_the_rate_stop_after_a_second(policy_file, contract):
    with guarded(policy_file, contract, period=contract.control_period / 2) as (nodes, _):
        began = time.monotonic()
        assert "commands come faster than every 0.05 s" in stopped(nodes)
        assert time.monotonic() - began > 0.8
        assert int(nodes.link.status["dropped.surplus"]) > 10


def test_command_beyond_the_limits_is_clamped(policy_file, contract):
    with guarded(policy_file, contract, speed=lambda count: np.full(JOINTS, 99.0 if count < 4 else 0.0)) as (nodes, _):
        nodes.wait(lambda: 3 in nodes.link.executed, "clamped commands")
        speeds = np.array([nodes.link.executed[number].velocity for number in sorted(nodes.link.executed) if 0 <= number < 4])
        assert 0 < speeds.max() <= min(contract.limits.velocity)
        bound = np.array(contract.limits.acceleration) * contract.control_period
        assert (np.abs(np.diff(speeds, axis=0)) <= bound + 1e-9).all()


@pytest.mark.parametrize("service", ["guard/stop", "emergency_stop"])
def test_stop_brakes_latches_and_needs_reset_and_arm(policy_file, contract, service):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        with pytest.raises(RosError, match="guard/reset refused: the robot moves"):
            nodes.link.trigger("guard/reset")
        if service == "guard/stop":
            nodes.link.trigger(service)
        else:
            alarm = nodes.link._node.create_publisher(Bool, "emergency_stop", wire.LATCHED)
            alarm.publish(Bool(data=True))
        assert service in stopped(nodes)
        commander.pause()
        nodes.link.spin(0.2)
        if service == "emergency_stop":
            with pytest.raises(RosError, match="the cause is still there: emergency_stop is true"):
                nodes.link.trigger("guard/reset")
            alarm.publish(Bool(data=False))
            nodes.link.spin(0.3)
            with pytest.raises(RosError, match="guard/arm refused: the guard is stopped"):
                nodes.link.arm()
        nodes.link.trigger("guard/reset")
        nodes.arm()


def test_silent_robot_is_braked_for_from_the_last_executed_command(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, _):
        moving(nodes)
        nodes.simulator.send(signal.SIGSTOP)
        try:
            nodes.wait(lambda: nodes.link.status["rung"] == "stop", "the stop")
            assert "joint state" in nodes.link.status["cause"]
            nodes.wait(lambda: max(map(abs, nodes.link.executed[max(nodes.link.executed)].velocity)) == 0, "the end of braking")
        finally:
            nodes.simulator.send(signal.SIGCONT)


def test_guard_that_was_frozen_stops_without_a_burst(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, commander):
        moving(nodes)
        nodes.guard.send(signal.SIGSTOP)
        nodes.link.spin(0.6)
        nodes.link.forget()
        nodes.guard.send(signal.SIGCONT)
        # whichever the executor hands over first: the clock, or a joint state that waited meanwhile
        assert re.search("the guard itself did not run for|joint state on /joint_states is .* s old", stopped(nodes, punctually=False))
        speeds = [max(map(abs, message.velocity)) for message in nodes.link.executed.values()]
        assert max(speeds) <= SPEED
        commander.pause()


@pytest.mark.parametrize("transport", ["forward_position", "trajectory"])
def test_positions_are_braked_for_and_held_at_one_set_point(contract, tmp_path, transport):
    robot = load_robot("ur5e")
    limits, names = robot.limits(), robot.joint_names
    action = Signal("action", "joint_position", names, "rad", limits.position_low, limits.position_high)
    positions = dataclasses.replace(contract, action=action, observation=contract.observation[:1], limits=limits)
    still(positions).save(tmp_path / "policy.isthmus")
    simulator, guard = {"transport": transport}, {"transport": transport, "accept_no_deadman": False}
    with bench(tmp_path / "policy.isthmus", clock="wall", simulator=simulator, guarding=guard, alone=True) as nodes:
        assert nodes.configure(), nodes.guard.complaint
        nodes.activate()
        nodes.arm()
        nodes.wait(lambda: nodes.link.executed, "the set-point of the robot at rest")
        began = np.array(nodes.link.executed[-1].position)
        with Commander(nodes.domain, positions, lambda count: began + 0.3 * (1 - np.cos(count / 10))) as commander:
            nodes.wait(lambda: commander.sequence > 12, "motion")
            if nodes.link.status["armed"] == "false":
                raise Late("commands came too late, and the guard has stopped before the pause")
            commander.pause()
            nodes.wait(lambda: nodes.link.status["rung"] == "stop" and nodes.link.status["armed"] == "false", "the stop at standstill")
        asked = began + 0.3 * (1 - np.cos(commander.sequence / 10))
        held = np.array(nodes.link.executed[max(nodes.link.executed)].position)
        assert (held > began + 0.05).all()
        assert (np.abs(held - asked) < 0.2).all()
        nodes.wait(lambda: nodes.link.states, "joint states")
        assert np.abs(wire.column(nodes.link.states[max(nodes.link.states)], "position", names)[0] - held).max() < 0.02


def test_base_is_guarded_through_twists(tmp_path):
    contract = get_task("navigate").contract
    still(contract).save(tmp_path / "policy.isthmus")
    simulator, guard = {"task": "navigate"}, {"transport": "", "accept_no_deadman": False}
    with bench(tmp_path / "policy.isthmus", clock="wall", simulator=simulator, guarding=guard, alone=True) as nodes:
        assert nodes.configure(), nodes.guard.complaint
        nodes.activate()
        nodes.arm()
        with Commander(nodes.domain, contract, lambda count: (0.2, 0.0)) as commander:
            nodes.wait(lambda: nodes.link.states and min(nodes.link.states[max(nodes.link.states)].velocity) > 2.0, "motion")
            commander.pause()
            assert "no command came" in stopped(nodes)


def test_interrupts_in_motion_end_at_rest(policy_file, contract):
    with guarded(policy_file, contract) as (nodes, _):
        moving(nodes)
        for _ in range(2):
            nodes.guard.interrupt()
            time.sleep(0.02)
        end = time.monotonic() + 8
        while nodes.guard.exit_code is None and time.monotonic() < end:
            nodes.link.spin(0.05)
        assert nodes.guard.exit_code == 0, nodes.guard.log
        nodes.link.spin(0.2)
        np.testing.assert_array_equal(nodes.link.executed[max(nodes.link.executed)].velocity, 0.0)
