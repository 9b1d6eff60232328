import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus_ros.robot_sim.faults import FAULTS, Faults, parse_faults
from isthmus_ros.robot_sim.motion_faults import FaultyMotion
from isthmus_ros.robot_sim.state_faults import FaultyClock, FaultyStates, LateQueue, StateSample

JOINTS = ("a", "b", "c")
SAMPLE = StateSample(5_000_000_000, JOINTS, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), (7.0, 8.0, 9.0))


def said(*entries, sample=SAMPLE, states=None):
    return (states or FaultyStates()).apply(sample, parse_faults(entries, JOINTS))


def at(stamp, position=SAMPLE.position):
    return StateSample(stamp, JOINTS, position, SAMPLE.velocity, SAMPLE.effort)


def rows(sample):
    return dict(zip(sample.names, zip(sample.position, sample.velocity, sample.effort, strict=True), strict=True))


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("state_dely:=1", r"unknown fault 'state_dely'; did you mean 'state_delay'"),
        ("state_delay", r"fault must be a list of name:=value, got 'state_delay'"),
        ("state_delay:=-1", r"fault state_delay must be a number from 0 to 60, got '-1'"),
        ("state_drop:=nan", r"fault state_drop must be a number from 0 to 1, got 'nan'"),
        ("state_drop:=0_1", r"fault state_drop must be a number from 0 to 1, got '0_1'"),
        ("silent:=maybe", r"fault silent must be true or false, got 'maybe'"),
        ("dead_motor:=d", r"fault dead_motor: unknown joint 'd'"),
        ("dead_motor:=a=1", r"fault dead_motor takes joints without a number, got 'a=1'"),
        ("runaway:=a=fast", r"fault runaway must be a number, got 'fast'"),
    ],
)
def test_faults_that_cannot_be_are_refused(entry, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_faults([entry], JOINTS)


def test_a_fault_given_twice_is_refused():
    with pytest.raises(ValueError, match="fault silent is given twice"):
        parse_faults(["silent:=true", "silent:=false"], JOINTS)


def test_faults_of_motion_are_of_commanded_joints_and_others_of_reported_ones():
    faults = parse_faults(["dead_motor:=all", "nan_position:=all"], ("vx", "wz"), ("left", "right"))
    assert (list(faults.joints("dead_motor")), list(faults.joints("nan_position"))) == (["vx", "wz"], ["left", "right"])
    with pytest.raises(ValueError, match="fault missing_joint: unknown joint 'vx'"):
        parse_faults(["missing_joint:=vx"], ("vx", "wz"), ("left", "right"))


def test_no_fault_changes_nothing():
    faults = parse_faults([""], JOINTS)
    assert not any(faults.on(name) for name in FAULTS)
    assert rows(FaultyStates().apply(SAMPLE, faults)) == rows(SAMPLE)
    values = np.array([1.0, 2.0, 3.0])
    assert FaultyMotion(JOINTS, "velocity").apply(values, np.zeros(3), 0.0, faults) is values


def test_joints_are_reordered_with_their_values_and_a_stranger_is_added():
    found = said("reorder:=true", "extra_joint:=gripper")
    assert found.names == ["c", "b", "a", "gripper"]
    assert rows(found) == {**rows(SAMPLE), "gripper": (0.7, 0.0, 0.0)}


def test_missing_joints_and_fields():
    found = said("missing_joint:=a,c", "empty_velocity:=true", "empty_effort:=true")
    assert (found.names, found.position, found.velocity, found.effort) == (["b"], [0.2], [], [])


def test_wrong_values_concern_the_joints_that_are_named():
    found = said("nan_position:=a", "nan_velocity:=all", "position_offset:=b=0.5")
    assert math.isnan(found.position[0])
    assert found.position[1:] == [0.7, 0.3]
    assert all(map(math.isnan, found.velocity))
    assert said("position_offset:=1").position == [1.1, 1.2, 1.3]
    assert said("degrees:=true").position == [math.degrees(value) for value in SAMPLE.position]


def test_frozen_values_keep_those_of_the_moment_and_thaw():
    states = FaultyStates()
    assert said("freeze_values:=b", states=states).position == [0.1, 0.2, 0.3]
    later = at(6_000_000_000, (1.0, 2.0, 3.0))
    frozen = said("freeze_values:=b", sample=later, states=states)
    assert (frozen.position, frozen.stamp) == ([1.0, 0.2, 3.0], later.stamp)
    assert said(sample=later, states=states).position == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("rate", "expected"), [("0", 5), ("0.5", 6), ("-1", 3)])
def test_stamps_advance_at_another_rate_from_the_moment_on(rate, expected):
    states = FaultyStates()
    assert said(f"stamp_rate:={rate}", states=states).stamp == 5 * 10**9
    assert said(f"stamp_rate:={rate}", sample=at(7 * 10**9), states=states).stamp == expected * 10**9
    assert said(sample=at(8 * 10**9), states=states).stamp == 8 * 10**9


def test_stamps_and_clock_are_offset():
    assert said("stamp_offset:=-0.25").stamp == 4_750_000_000
    clock = FaultyClock("clock_offset", "clock_rate")
    assert clock.read(10**9, parse_faults(["clock_offset:=-10"], JOINTS)) == 0
    assert clock.read(10**9, parse_faults(["clock_offset:=10"], JOINTS)) == 11 * 10**9


def test_states_are_dropped_by_count_by_share_and_altogether():
    states = FaultyStates()
    assert [said("state_drop_next:=2", states=states) is None for _ in range(4)] == [True, True, False, False]
    assert said(states=states) is not None
    assert [said("state_drop_next:=1", states=states) is None for _ in range(2)] == [True, False]
    dropped = sum(said("state_drop:=0.3", states=states) is None for _ in range(1000))
    assert 230 < dropped < 370
    assert said("silent:=true", states=states) is None


@given(delay=st.floats(0, 1), jitter=st.floats(0, 1), count=st.integers(1, 20))
def test_late_messages_come_in_order_within_their_bounds(delay, jitter, count):
    faults = Faults({"state_delay": delay, "state_jitter": jitter})
    queue = LateQueue()
    for number in range(count):
        queue.put(number, number * 0.01, faults)
    seen, now = {}, 0.0
    while len(queue):
        for number in queue.due(now):
            seen[number] = now
        now += 0.01
    assert list(seen) == list(range(count))
    for number, came in seen.items():
        assert number * 0.01 + delay - 1e-9 <= came <= (count - 1) * 0.01 + delay + jitter + 0.011


def test_late_messages_come_at_once_when_the_fault_ends():
    queue = LateQueue()
    queue.put("late", 0.0, Faults({"state_delay": 60.0}))
    assert queue.due(1.0) == []
    queue.put("prompt", 1.0, Faults())
    assert queue.due(1.0) == ["late", "prompt"]


@pytest.mark.parametrize("mode", ["position", "velocity", "effort", "twist"])
def test_dead_motor_stays_and_runaway_goes(mode):
    motion, commands, position = FaultyMotion(JOINTS, mode), np.array([4.0, 5.0, 6.0]), np.array([0.1, 0.2, 0.3])
    faults = parse_faults(["dead_motor:=a", "runaway:=b=2.0"], JOINTS)
    motion.apply(commands, position, 10.0, faults)
    later = motion.apply(commands, position + 1, 10.5, faults)
    place = position if mode == "position" else np.zeros(3)
    np.testing.assert_allclose(later, [place[0], place[1] + 1.0 if mode == "position" else 2.0, 6.0])
    np.testing.assert_array_equal(motion.apply(commands, position, 11.0, Faults()), commands)
    again = motion.apply(commands, position + 1, 12.0, faults)
    assert again[0] == (1.1 if mode == "position" else 0.0)


def test_limit_cycle_has_the_velocity_amplitude_asked_for_in_both_modes():
    faults = parse_faults(["limit_cycle:=c=0.6", "limit_cycle_frequency:=8"], JOINTS)
    times = np.linspace(0, 1, 4001)
    for mode in ("position", "velocity"):
        motion = FaultyMotion(JOINTS, mode)
        added = np.array([motion.apply(np.zeros(3), np.zeros(3), now, faults) for now in times])
        speed = np.gradient(added[:, 2], times) if mode == "position" else added[:, 2]
        assert np.abs(speed).max() == pytest.approx(0.6, rel=1e-3)
        assert np.count_nonzero(np.diff(np.sign(speed[speed != 0]))) in (15, 16)
        assert not added[:, :2].any()


def test_every_fault_is_documented():
    text = (Path(__file__).parents[2] / "ros_ws/src/isthmus_ros/README.md").read_text(encoding="utf-8")
    for name, kind in FAULTS.items():
        assert re.search(rf"^\| `{name}` \| .* \| {re.escape(kind.description)} \|$", text, re.MULTILINE), name
