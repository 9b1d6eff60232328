"""The first hour on a robot (docs/how-to/deploy.md), command by command as the page has them, with `sim_node` as the driver."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from bags import messages_of
from first_hour import LIMITS, ONLY_THERE, REST, ROBOT, ROOT, Operator, refusals, steps
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_bench import fastest, in_time
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from isthmus_ros.common import wire
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
STEPS = steps()
WIRE = ROBOT.ros.transports["trajectory"]
TURN = 1.005  # what isthmus.trajectory may be faster while it turns to a braking tail
WINDOW = 0.25  # s over which a joint's speed is measured
LATE = 1.15  # what a joint may be faster over a window in which a message came late


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A folder with the policy, and the domain in which the robot says its state and listens."""
    folder = tmp_path_factory.mktemp("first_hour")
    resolved_rate(CONTRACT).save(folder / "policy.isthmus")
    domain = free_domain()
    with isolated(domain) as environment:
        robot = NodeProcess("sim_node", {"task": "reach", "transport": "trajectory"}, environment)
        yield folder, domain
        code, log = robot.end(), robot.log
        robot.clean_up()
    assert code == 0, log


@pytest.fixture
def begin(driver, tmp_path_factory, monkeypatch):
    """Begins an hour with the robot at home, in a folder of its own."""
    folder, domain = driver

    @contextlib.contextmanager
    def operator():
        place = tmp_path_factory.mktemp("place")
        shutil.copy(folder / "policy.isthmus", place)
        (place / "core").symlink_to(ROOT / "core")
        monkeypatch.chdir(place)
        with Operator(domain) as found:
            fault(found, "")
            found.link.trigger("sim_node/reset")
            yield found

    return operator


def fault(operator, *entries):
    """Switch exactly these faults of the robot on."""
    value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=list(entries))
    request = SetParameters.Request(parameters=[Parameter(name="fault", value=value)])
    (result,) = operator.link.call(SetParameters, "sim_node/set_parameters", request).results
    assert result.successful, result.reason


def step(number):
    """The commands of a step."""
    (found,) = [commands for title, commands in STEPS.items() if title.startswith(number)]
    assert found, number
    return found


def beginning():
    """What is typed in the second terminal until the arm moves."""
    first, *commands = step("3.")
    assert first[1] == "launch"
    return commands[: 1 + [words[3] for words in commands].index("/policy/start")]


def newest_bag():
    return max(file.parent for file in Path("first").glob("*/metadata.yaml"))


def slow_enough(bag, scale):
    """Every word on the wire within the scaled limit, every joint too over a quarter of a second, and the arm has come near to it.

    A single sample may be faster: the controller begins a trajectory when it arrives, so one that is late by d s is a step of speed times d.
    """
    limit = scale * max(LIMITS)
    wired = [max(map(abs, point.velocities)) for sent in messages_of(bag, WIRE) for point in sent.points]
    assert max(wired) <= TURN * limit + 1e-6
    states = messages_of(bag, "joint_states")
    times = np.array([wire.nanoseconds_of(state.header.stamp) for state in states]) / 1e9
    positions = np.array([state.position for state in states])
    later = np.searchsorted(times, times[times < times[-1] - WINDOW] + WINDOW)
    ways = np.abs(positions[later] - positions[: len(later)]).max(axis=1)
    assert (ways / (times[later] - times[: len(later)])).max() <= LATE * limit
    assert max(map(fastest, states)) > 0.4 * limit


def test_every_command_of_the_page_has_something_that_stands_for_it():
    with isolated(free_domain()) as environment, Operator(int(environment["ROS_DOMAIN_ID"])) as operator:
        for commands in STEPS.values():
            for words in commands:
                operator.action(words)
        with pytest.raises(AssertionError, match="the page says ros2 bag play x, and nothing here stands for that"):
            operator.do(["ros2", "bag", "play", "x"])
    said = [" ".join(words) for commands in STEPS.values() for words in commands]
    assert [command for command in ONLY_THERE if not any(line.startswith(command) for line in said)] == []


@pytest.mark.ros
def test_at_the_desk_nothing_is_wrong_and_a_profile_of_ones_own_is_found(begin):
    with begin() as operator:
        operator.do(*step("0."), *step("A profile of your own"))


@pytest.mark.ros
def test_the_robot_is_there_and_nobody_commands_it(begin):
    with begin() as operator:
        operator.do(*step("1."))


@pytest.mark.ros
def test_a_shadow_has_opinions_and_commands_nothing(begin):
    with begin() as operator:
        operator.do(*step("2."))
        operator.wait(lambda: int(operator.link.status["opinions.pass"]) + int(operator.link.status["opinions.clamp"]) > 20, "opinions")
        topics = {*ROBOT.ros.command_topics.values(), *ROBOT.ros.transports.values()}
        assert {topic: operator.link._node.count_publishers(f"/{topic}") for topic in topics} == dict.fromkeys(topics, 0)
        status = dict(operator.link.status)
        operator.rests()
        operator.interrupt()
    in_time(status["opinion_cause"])
    assert (status["opinions.stop"], status["opinions.hold"]) == ("0", "0"), status
    bag = newest_bag()
    assert len(messages_of(bag, "policy/shadow")) > 20
    assert messages_of(bag, WIRE) == []
    assert max(fastest(state) for state in messages_of(bag, "joint_states")) < REST


@pytest.mark.ros
def test_a_tenth_of_the_speed_ends_in_every_way_at_rest(begin):
    with begin() as operator:
        *commands, third = step("3.")
        operator.do(*commands)
        fault(operator, "protective_stop:=true")  # the robot's own emergency stop, which is no command
        operator.latched()
        fault(operator, "")
        operator.do(*commands[-3:])
        assert [words[3] for words in commands[-3:]] == ["/guard/reset", "/guard/arm", "/policy/start"]
        operator.interrupt()
        slow_enough(newest_bag(), 0.1)
        operator.do(third, *beginning())
        operator.interrupt()
        slow_enough(newest_bag(), 0.3)


@pytest.mark.ros
def test_full_speed_is_recorded_and_told(begin):
    with begin() as operator:
        operator.do(*step("4."), *beginning())
        operator.wait(lambda: {"steps", "missed"} <= operator.link.cadence.keys() and operator.link.number("sequence") > 10, "/diagnostics")
        status = dict(operator.link.status)
        operator.interrupt()
    assert {"rung", "cause", "armed", "phase"} <= status.keys()
    bag = newest_bag()
    slow_enough(bag, 1.0)
    asked, executed = ([wire.sequence_of(message) for message in messages_of(bag, f"guard/{name}")] for name in ("command", "executed"))
    assert len(set(asked) & set(executed)) > 5


ELSEWHERE = {
    "DDS uses shared memory, …": "test_ros_network.py",
    "the robot's program does not run (…)": "test_preconditions.py",
    "messages on … were lost: …": "test_ros_emergency.py",
    "… is at … outside its limits …": "test_joint_states.py",
    "… is at … outside the workspace box …": "test_joint_states.py",
    "… was not heard since messages on emergency_stop were lost, …": "test_emergency.py",
    "emergency_stop is required from …, and 2 publishers there have this name": "test_emergency.py",
    "… publishes … on …, where std_msgs/msg/Bool belongs": "test_ros_emergency.py",
    "commands are coming in on guard/command already": "test_ros_guard_node.py",
    "nobody watches the specification …": "test_ros_watched.py",
    "input … refused: its frame must be …": "test_ros_faults.py",
    "… rad from the start pose; at most 0.5 rad are ramped": "test_ros_transports.py",
    "the policy commands velocity, and a robot behind a forward controller … keeps its last velocity": "test_ros_guard_node.py",
}
"""Rows of the table about refusals that another file provokes."""


@contextlib.contextmanager
def faulty(operator, *entries):
    fault(operator, *entries)
    yield
    fault(operator, "")


@contextlib.contextmanager
def another(operator, kind, topic, message=None):
    """Somebody else who publishes on a topic, and says this ten times a second."""
    node = operator.link._node
    publisher = node.create_publisher(kind, topic, wire.COMMAND)
    timer = node.create_timer(0.1, lambda: message and publisher.publish(message))
    yield
    timer.cancel()
    operator.link.spin(0.2)  # the timer may be about to be called
    node.destroy_timer(timer)
    node.destroy_publisher(publisher)


@contextlib.contextmanager
def pressed(operator, words):
    """A button that says it once and goes, or stays."""
    operator.do(words)
    yield
    operator.do([word.replace("true", "false") for word in words])
    operator.insist(lambda: operator.link.trigger("guard/reset"))


@contextlib.contextmanager
def stopped(operator):
    operator.link.trigger("guard/stop")
    yield
    operator.insist(lambda: operator.link.trigger("guard/reset"))


@contextlib.contextmanager
def held(operator):
    """A button that is pressed and stays."""
    node = operator.link._node
    button = node.create_publisher(Bool, "/emergency_stop", wire.LATCHED)
    button.publish(Bool(data=True))
    yield
    button.publish(Bool(data=False))
    operator.insist(lambda: operator.link.trigger("guard/reset"))
    node.destroy_publisher(button)


def disarmed(operator):
    """Take an arming back that came before what forbids it, and the stop if that was found in between."""
    for back in (lambda: operator.link.arm(False), lambda: operator.link.trigger("guard/reset")):
        with contextlib.suppress(RosError):
            back()


def of_arming(operator):
    """Row of the table → what provokes it while the guard is active and not armed."""
    (press,) = [words for words in step("3.") if words[-1] == "{data: true}" and "/emergency_stop" in words]
    twin = JointState(name=["elbow_joint"], position=[0.0], velocity=[0.0])
    return {
        "… also publishes …; a process that was killed stays listed for 20 s": another(operator, JointTrajectory, f"/{WIRE}"),
        "nobody subscribes … with a matching QoS; is the robot's controller … running?": faulty(operator, "no_subscriber:=true"),
        "… both publish joint … on /joint_states": another(operator, JointState, "/joint_states", twin),
        "emergency_stop is true, says …": held(operator),
        "emergency_stop is true, said … before it went": pressed(operator, press),
        "the joint state … is … s old": faulty(operator, "state_delay:=0.5"),
        "the guard is stopped (…)": stopped(operator),
    }


@pytest.mark.ros
def test_it_refuses_with_the_sentences_of_the_table(begin):
    rows = refusals()
    with begin() as operator:
        launch, *commands = step("3.")
        arming = [words[3] for words in commands].index("/guard/arm")
        operator.do(launch)
        with pytest.raises(RosError, match="the node is not active"):
            operator.link.arm()
        operator.do(*commands[:arming])
        provoked = of_arming(operator)
        for row, provocation in provoked.items():
            with provocation:
                operator.refused(operator.link.arm, rows[row], undo=lambda: disarmed(operator))
        operator.interrupt()
    assert {*provoked, *ELSEWHERE} == set(rows)
