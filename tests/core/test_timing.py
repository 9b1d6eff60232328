"""Times of a check: finite, positive, and told apart."""

import dataclasses
import time

import numpy as np
import pytest
from sample_contract import UR5E

from isthmus.guard import LimitGuard
from isthmus.records import Command, Measurement
from isthmus.timing import Timing, steady


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_no_time_since_the_last_command_is_no_speed_and_never_no_number(mode):
    """An infinite acceleration for 0 s was NaN."""
    joints = tuple(dataclasses.replace(joint, acceleration=np.inf) for joint in UR5E.joints)
    robot = dataclasses.replace(UR5E, joints=joints, command_modes=("velocity", "position"))
    guard, place = LimitGuard(robot, robot.limits(), mode), robot.home[None]
    sample = Measurement(np.zeros(1), robot.joint_names, place, np.zeros((1, 6)))
    command = Command(mode, robot.joint_names, place if mode == "position" else np.full((1, 6), 0.01))
    _, state = guard.check(guard.initial(1, armed=True), command, sample, 0.05)
    decision, _ = guard.check(state, command, sample, Timing(0.05, since=0.0, looked=0.01))
    assert np.isfinite(decision.command.values).all()


@pytest.mark.parametrize("period", [0.0, -0.1, np.nan, np.inf])
def test_a_control_period_is_finite_and_positive(period):
    with pytest.raises(ValueError, match="control period must be finite and > 0 s"):
        Timing(period, 0.05, 0.05)
    with pytest.raises(ValueError, match="control period must be finite and > 0 s"):
        Timing.of(period)


@pytest.mark.parametrize("name", ["since", "looked"])
@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf])
def test_spans_are_finite_and_not_negative(name, value):
    with pytest.raises(ValueError, match=f"{name} must be finite and >= 0 s"):
        Timing(**{"period": 0.05, "since": 0.05, "looked": 0.05, name: value})


@pytest.mark.parametrize("delay", [np.nan, np.array([0.0, np.inf])])
def test_delays_are_finite(delay):
    with pytest.raises(ValueError, match="delay must be finite"):
        Timing(0.05, 0.05, 0.05, delay)


def test_a_number_is_a_regular_loop():
    assert Timing.of(0.05) == Timing(0.05, 0.05, 0.05)
    given = Timing(0.05, 0.01, 0.005, 0.03)
    assert Timing.of(given) is given


@pytest.mark.parametrize(("delay", "late"), [(0.0, False), (0.01, True), (np.array([0.0, 0.0]), False), (np.array([0.0, 0.01]), True)])
def test_late_is_any_sample_with_a_delay(delay, late):
    assert Timing(0.05, 0.05, 0.05, delay).late is late


def test_the_steady_clock_counts_the_time_in_which_a_computer_sleeps(monkeypatch):
    """CLOCK_MONOTONIC stands still then: on fcddd72 an arm could go on after a night under a closed lid as if nothing had happened."""
    monkeypatch.setattr("isthmus.timing.time.clock_gettime", lambda clock: {time.CLOCK_BOOTTIME: 7.0}[clock])
    assert steady() == 7.0
