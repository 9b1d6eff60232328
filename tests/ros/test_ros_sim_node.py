import numpy as np
import pytest

pytest.importorskip("rclpy")

import time

from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from sim_bench import pan, sim_bench
from std_msgs.msg import Bool, Float64, Float64MultiArray

from isthmus.robot import load_robot
from isthmus_ros.common import wire

pytestmark = pytest.mark.ros

ROBOT = load_robot("ur5e")
ELBOW, PAN = "elbow_joint", "shoulder_pan_joint"


@pytest.fixture(scope="module")
def shared_arm():
    with sim_bench() as arm:
        yield arm


@pytest.fixture
def arm(shared_arm):
    """A velocity-controlled arm at home, without faults."""
    assert shared_arm.fault() == ""
    assert shared_arm.trigger("sim_node/reset").success
    shared_arm.fresh()
    return shared_arm


def moving(arm, speed=0.4):
    """Command a speed until it is there."""
    arm.wait(lambda: abs(arm.speed() - speed) < 0.05, "motion", every=lambda: arm.command(pan(speed)))


def standing(arm, joint=PAN, every=lambda: None):
    arm.wait(lambda: abs(arm.speed(joint)) < 0.01, "standstill", every=every)


def test_states_are_made_wrong_while_the_robot_runs(arm):
    assert arm.fault("reorder:=true", "extra_joint:=gripper_joint", f"missing_joint:={PAN}", f"nan_position:={ELBOW}") == ""
    arm.wait(lambda: "gripper_joint" in arm.fresh().name, "the fault")
    message = arm.fresh()
    assert message.name == [*[name for name in reversed(ROBOT.joint_names) if name != PAN], "gripper_joint"]
    assert np.isnan(wire.column(message, "position", (ELBOW,))).all()
    assert arm.fault("empty_velocity:=true") == ""
    arm.wait(lambda: not len(arm.fresh().velocity), "an empty field")
    assert arm.fresh().name == list(ROBOT.joint_names)


def test_faults_that_cannot_be_are_refused_and_change_nothing(arm):
    assert arm.fault("empty_velocity:=true") == ""
    assert "unknown fault 'frozen'" in arm.fault("frozen:=true")
    assert "unknown joint 'elbow'; did you mean 'elbow_joint'" in arm.fault("dead_motor:=elbow")
    assert not len(arm.fresh().velocity)


def test_silent_robot_says_nothing_until_it_speaks_again(arm):
    assert arm.fault("silent:=true") == ""
    arm.spin(0.3)
    arm.forget()
    arm.spin(0.3)
    assert not arm.states
    assert arm.fault() == ""
    arm.fresh()


def test_late_states_keep_their_stamps_and_their_order(arm):
    assert arm.fault("state_delay:=0.4", "state_jitter:=0.2") == ""
    arm.spin(0.8)
    arm.forget()
    ages = []
    for _ in range(20):
        count = len(arm.states)
        arm.wait(lambda count=count: len(arm.states) > count, "a joint state")
        ages.append(time.time() - wire.seconds_of(arm.states[-1].header.stamp))
    assert min(ages) >= 0.38
    stamps = [wire.nanoseconds_of(message.header.stamp) for message in arm.states]
    assert stamps == sorted(stamps)


def test_stamps_stand_and_go_on(arm):
    assert arm.fault("stamp_rate:=0") == ""
    arm.wait(lambda: len({str(arm.fresh().header.stamp) for _ in range(3)}) == 1, "stamps that stand")
    assert arm.fault() == ""
    assert len({str(arm.fresh().header.stamp) for _ in range(3)}) == 3


def test_clock_steps_and_stands_while_the_states_go_on(arm):
    clock = []
    arm.node.create_subscription(Clock, "/clock", clock.append, wire.CLOCK)
    seconds = lambda: wire.seconds_of(clock[-1].clock) - wire.seconds_of(arm.fresh().header.stamp)  # noqa: E731
    arm.wait(lambda: clock and abs(seconds()) < 1, "the clock")
    assert arm.fault("clock_offset:=-10") == ""
    arm.wait(lambda: abs(seconds() + 10) < 1, "a step")
    assert arm.fault("clock_rate:=0") == ""
    arm.spin(0.2)
    del clock[:-1]
    arm.wait(lambda: len(clock) > 5, "the clock")
    assert len({wire.nanoseconds_of(message.clock) for message in clock}) == 1


def test_velocity_ends_after_the_time_out_of_the_driver(arm):
    moving(arm)
    standing(arm)


def test_dead_motor_does_not_follow_and_a_runaway_is_not_led(arm):
    assert arm.fault(f"dead_motor:={PAN}", f"runaway:={ELBOW}=-0.3") == ""
    arm.wait(lambda: abs(arm.speed(ELBOW) + 0.3) < 0.05, "the runaway", every=lambda: arm.command(np.full(6, 0.2)))
    assert abs(arm.speed(PAN)) < 0.01
    assert arm.speed("wrist_1_joint") == pytest.approx(0.2, abs=0.05)


def test_limit_cycle_reverses_the_joint(arm):
    assert arm.fault(f"limit_cycle:={ELBOW}=2", "limit_cycle_frequency:=4") == ""
    arm.forget()
    arm.wait(lambda: len(arm.states) > 100, "a second of motion", every=lambda: arm.command(np.zeros(6)))
    speed = np.array([wire.column(message, "velocity", (ELBOW,))[0, 0] for message in arm.states])
    assert np.abs(speed).max() > 0.3
    assert np.count_nonzero(np.diff(np.sign(speed[np.abs(speed) > 0.1]))) >= 5


def test_robot_in_a_protective_stop_stands_and_waits_for_a_new_command_afterwards(arm):
    running = []
    arm.node.create_subscription(Bool, f"/{ROBOT.ros.program_running}", lambda message: running.append(message.data), wire.LATCHED)
    moving(arm)
    assert arm.fault("protective_stop:=true") == ""
    standing(arm, every=lambda: arm.command(pan(0.4)))
    assert running == [True, False]
    assert arm.fault() == ""
    arm.wait(lambda: running == [True, False, True], "the program")
    assert abs(arm.speed()) < 0.01
    moving(arm)


def test_speed_scaling_slows_the_robot(arm):
    scaling = []
    arm.node.create_subscription(Float64, f"/{ROBOT.ros.speed_scaling.topic}", lambda message: scaling.append(message.data), 10)
    arm.wait(lambda: scaling and scaling[-1] == 100.0, "full speed in percent")
    assert arm.fault("speed_scaling:=0.5") == ""
    arm.wait(lambda: scaling[-1] == 50.0, "half speed in percent")
    arm.wait(lambda: abs(arm.speed() - 0.2) < 0.03, "half speed", every=lambda: arm.command(pan(0.4)))


def test_stop_service_ends_external_control_of_a_runaway_until_it_is_given_again(arm):
    assert arm.fault(f"runaway:={PAN}=0.4") == ""
    arm.wait(lambda: arm.speed() > 0.35, "the runaway")
    assert arm.trigger(ROBOT.ros.stop_services[0]).success
    standing(arm, every=lambda: arm.command(pan(0.4)))
    assert arm.fault() == ""
    arm.command(pan(0.4))
    assert abs(arm.speed()) < 0.01
    assert arm.trigger("sim_node/resume").success
    moving(arm)


def test_ignored_commands_move_nothing(arm):
    assert arm.fault("ignore_commands:=true") == ""
    for _ in range(5):
        arm.command(pan(0.4))
    assert abs(arm.speed()) < 0.01


@pytest.mark.parametrize("fault", ["no_subscriber", "command_qos"])
def test_command_topic_that_nobody_can_hear(arm, fault):
    publisher = arm.connected(Float64MultiArray, "/forward_velocity_controller/commands")
    assert arm.fault(f"{fault}:=true") == ""
    arm.wait(lambda: publisher.get_subscription_count() == 0, "nobody")
    assert arm.fault() == ""
    arm.wait(lambda: publisher.get_subscription_count() == 1, "somebody")
    moving(arm)


def test_evidence_tells_the_truth_on_the_steady_clock_whatever_the_joint_states_say(arm):
    truth, received, events = [], [], []
    arm.node.create_subscription(JointState, "/sim_node/truth", truth.append, 100)
    arm.node.create_subscription(JointState, "/sim_node/received", received.append, 100)
    arm.node.create_subscription(DiagnosticArray, "/sim_node/events", events.append, wire.LATCHED)
    before = time.monotonic()
    assert arm.fault("freeze_values:=all", "stamp_rate:=0") == ""
    arm.wait(lambda: truth and truth[-1].velocity[0] > 0.35, "motion", every=lambda: arm.command(pan(0.4)))
    assert arm.speed() == pytest.approx(0.0, abs=1e-3)
    arm.wait(lambda: received and events, "evidence")
    values = {pair.key: pair.value for pair in events[-1].status[0].values}
    assert (events[-1].status[0].name, values["stamp_rate"]) == ("fault", "0")
    assert list(received[-1].velocity) == list(pan(0.4))
    for message in (events[-1], truth[-1], received[-1]):
        assert before <= wire.seconds_of(message.header.stamp) <= time.monotonic()
