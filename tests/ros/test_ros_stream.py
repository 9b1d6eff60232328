from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from isthmus import stream as module
from isthmus.guard import LimitGuard
from isthmus.records import Command, Measurement
from isthmus.robot import load_robot
from isthmus.stream import Asked, GuardedStream
from isthmus_ros.common import wire

pytestmark = pytest.mark.ros

ROBOT, PERIOD, TICK = load_robot("ur5e"), 0.05, 0.005
JOINTS, COUNT = ROBOT.joint_names, len(ROBOT.joint_names)


class Arm:
    """A robot in simulated time that moves as it is told."""

    realtime, state_topic = True, "/joint_states"

    def __init__(self, mode="velocity"):
        self.mode, self.now, self.seen = mode, 100.0, 100.0
        self.position, self.velocity = ROBOT.home[None].copy(), np.zeros((1, COUNT))
        self.sent, self.silent, self.trouble = [], False, ""

    @property
    def age(self):
        return self.now - self.seen

    @property
    def stamp(self):
        return round(self.seen * 1e9)

    def read(self):
        return Measurement(np.array([self.seen]), JOINTS, self.position.copy(), self.velocity.copy())

    def fault(self):
        return self.trouble

    def begin(self):
        pass

    def send(self, command, sequence, *, braking):
        self.sent.append((self.now, sequence, command.values[0]))
        if self.mode == "velocity":
            self.velocity = command.values.copy()
        elif self.mode == "position":
            self.velocity, self.position = (command.values - self.position) / PERIOD, command.values.copy()

    def pass_time(self):
        self.now += TICK
        if self.mode == "velocity":
            self.position = self.position + self.velocity * TICK
        elif self.sent and self.now - self.sent[-1][0] >= PERIOD:
            self.velocity = np.zeros((1, COUNT))
        if not self.silent:
            self.seen = self.now


def run(arm, monkeypatch, arrivals, ticks, values=lambda number: np.full(COUNT, 0.3 * np.sin(number / 8))):
    """An armed stream after so many ticks; `arrivals` are the times of commands, s after arming."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: arm.now))
    stream = GuardedStream(arm, LimitGuard(ROBOT, ROBOT.limits(), arm.mode), PERIOD, tick=TICK)
    stream.arm()
    pending = sorted(arrivals)
    began, number = arm.now, 0
    for _ in range(ticks):
        arm.pass_time()
        while pending and began + pending[0] <= arm.now:
            pending.pop(0)
            stream.accept(Asked("0a1b2c3d", number, 0, 0.0, Command(arm.mode, JOINTS, values(number)[None])))
            number += 1
        stream.watch()
    return stream


@settings(max_examples=20, deadline=None)
@given(jitter=st.lists(st.floats(-0.19, 0.19), min_size=60, max_size=60))
def test_jitter_of_a_fifth_of_a_period_lets_every_command_through_once(jitter):
    with pytest.MonkeyPatch.context() as patch:
        arm = Arm()
        stream = run(arm, patch, [PERIOD * (1 + count + shift) for count, shift in enumerate(jitter)], 605)
        assert not stream.counts
        assert [number for _, number, _ in arm.sent if number >= 0] == list(range(60))
        assert stream.armed
        assert stream.rung == 0


def test_twice_the_rate_is_halved_and_stops_after_a_second(monkeypatch):
    arm = Arm()
    stream = run(arm, monkeypatch, np.arange(1, 200) * PERIOD / 2, 150)
    assert stream.rung == 0
    assert 12 <= stream.counts["surplus"] <= 18
    stream = run(arm, monkeypatch, np.arange(1, 200) * PERIOD / 2, 400)
    assert "faster than every 0.05 s" in stream.cause
    assert not stream.armed


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_silence_in_motion_brakes_within_the_limits_and_is_latched_at_rest(monkeypatch, mode):
    arm = Arm(mode)
    values = (lambda number: np.full(COUNT, 0.5)) if mode == "velocity" else (lambda number: ROBOT.home + 0.01 * (number + 1))
    stream = run(arm, monkeypatch, np.arange(1, 21) * PERIOD, 500, values)
    assert not stream.armed
    assert "no command came within 0.085 s" in stream.cause
    moments = np.array([moment for moment, _, _ in arm.sent])
    sent = np.array([command for _, _, command in arm.sent])
    speed = sent if mode == "velocity" else np.diff(sent, axis=0) / PERIOD
    stop = np.array(ROBOT.limits().stop_acceleration) * PERIOD
    assert (np.abs(np.diff(speed, axis=0)) <= stop + 1e-9).all()
    np.testing.assert_allclose(speed[-1], 0.0, atol=1e-9)
    last = 100.0 + 20 * PERIOD
    assert moments[moments > last + 1e-6][0] - last <= 0.085 + 2 * TICK
    assert np.diff(moments[moments > last + 0.08]).max() <= PERIOD + TICK


def test_silence_at_rest_keeps_the_guard_armed(monkeypatch):
    arm = Arm()
    stream = run(arm, monkeypatch, np.arange(1, 40) * PERIOD, 1000, lambda number: np.full(COUNT, 0.2 * (number < 10)))
    assert (stream.armed, stream.moving, stream.rung) == (True, False, 0)


def test_robot_that_falls_silent_is_braked_for_at_once(monkeypatch):
    arm = Arm()
    arrivals = np.arange(1, 400) * PERIOD
    values = lambda number: np.full(COUNT, 0.5)  # noqa: E731
    stream = run(arm, monkeypatch, arrivals[:20], 200, values)
    arm.silent, began, number = True, arm.now, 20
    while arm.now < began + 0.5:
        arm.pass_time()
        if (arm.now - began) % PERIOD < TICK:
            stream.accept(Asked("0a1b2c3d", number, 0, 0.0, Command("velocity", JOINTS, values(number)[None])))
            number += 1
        stream.watch()
    assert "the joint state on /joint_states is" in stream.cause
    np.testing.assert_allclose(arm.sent[-1][2], 0.0, atol=1e-9)


@pytest.mark.parametrize("wait", [1, 4, 7])
def test_stop_brakes_at_the_next_look_and_no_harder_than_its_share_of_the_period(monkeypatch, wait):
    arm = Arm()
    stream = run(arm, monkeypatch, np.arange(1, 21) * PERIOD, 200, lambda number: np.full(COUNT, 0.5))
    for _ in range(wait):
        arm.pass_time()
        stream.watch()
    last = arm.sent[-1]
    stream.stop("told to")
    arm.pass_time()
    stream.watch()
    moment, _, values = arm.sent[-1]
    assert moment == arm.now > last[0]
    allowed = np.array(ROBOT.limits().stop_acceleration) * min(moment - last[0], PERIOD)
    np.testing.assert_allclose(last[2] - values, np.minimum(allowed, 0.5), atol=1e-9)


@pytest.mark.parametrize(("obeys", "found"), [(True, False), (False, True)])
def test_robot_that_moves_long_after_it_was_told_to_rest_is_found_out(monkeypatch, obeys, found):
    arm = Arm()
    stream = run(arm, monkeypatch, np.arange(1, 21) * PERIOD, 200, lambda number: np.full(COUNT, 0.5))
    stream.stop("told to")
    arm.mode = "velocity" if obeys else "runaway"  # keeps its velocity, whatever it is told
    for _ in range(300):
        arm.pass_time()
        if not obeys:
            arm.position = arm.position + arm.velocity * TICK
        stream.watch()
    assert stream.disobeyed is found
    assert stream.armed is found  # it is braked for as long as it moves


def test_effort_is_never_held_constant_at_rest(monkeypatch):
    arm = Arm("effort")
    stream = run(arm, monkeypatch, [], 100)
    assert stream.armed
    assert stream.rung == 0
    assert len(arm.sent) >= 9


@given(order=st.permutations(list(JOINTS)), number=st.integers(0, 2**40))
def test_commands_are_read_by_name(order, number):
    message = JointState(name=order, velocity=[float(JOINTS.index(joint)) for joint in order])
    message.header.frame_id = wire.frame_id("0123456789abcdef", "0a1b2c3d", number)
    epoch, sequence, command = wire.asked(message, "0123456789abcdef", "velocity", JOINTS)
    assert (epoch, sequence) == ("0a1b2c3d", number)
    assert dict(zip(command.joints, command.values[0], strict=True)) == {joint: float(index) for index, joint in enumerate(JOINTS)}
