import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from isthmus_ros.course import commands_in_force
from isthmus_ros.processes import RosError

pytestmark = pytest.mark.ros

BEGAN, PERIOD = 7_500_000_000, 50_000_000  # ns


def executed(*missing, count=100):
    messages = {}
    for number in set(range(count)) - set(missing):
        messages[number] = JointState(velocity=[float(number)])
        seconds, rest = divmod(BEGAN + number * PERIOD, 10**9)
        messages[number].header.stamp = Time(sec=seconds, nanosec=rest)
    return messages


def test_a_dropped_command_leaves_the_one_before_in_force():
    commands, times = commands_in_force(executed(5, 6), 0, 99, PERIOD, 0.05)
    assert [command.velocity[0] for command in commands[4:8]] == [4, 4, 4, 7]
    assert times == [BEGAN + number * PERIOD for number in range(100)]


@pytest.mark.parametrize(("missing", "found"), [((0,), "1 of 100"), ((99, 3, 4, 5, 6, 7), "6 of 100")])
def test_an_episode_without_its_first_command_or_with_many_missing_is_not_scored(missing, found):
    with pytest.raises(RosError, match=f"{found} commands were dropped by the guard, or lost on guard/executed"):
        commands_in_force(executed(*missing), 0, 99, PERIOD, 0.05)


def test_in_stepped_time_none_may_be_missing():
    assert len(commands_in_force(executed(), 0, 99, PERIOD, 0.0)[0]) == 100
    with pytest.raises(RosError, match="1 of 100 commands were dropped"):
        commands_in_force(executed(50), 0, 99, PERIOD, 0.0)


def test_the_last_command_may_be_missing():
    commands, times = commands_in_force(executed(99), 0, 99, PERIOD, 0.05)
    assert (len(commands), times[-1]) == (100, BEGAN + 99 * PERIOD)
