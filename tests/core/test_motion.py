"""Figures of a motion: against motions whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_contract import make_contract

from isthmus.motion import Motion, motion_of, pooled
from isthmus.rungs import CLAMP, HOLD, PASS, STOP

CONTRACT = make_contract()
PERIOD, COUNT = CONTRACT.control_period, len(CONTRACT.action.elements)
REACH = np.subtract(CONTRACT.action.high, CONTRACT.action.low)


def all_joints(values):
    """Every element does the same, `[T, A]`."""
    return np.repeat(np.asarray(values, dtype=float)[:, None], COUNT, axis=1)


@given(st.floats(0.01, 0.4), st.integers(3, 60))
def test_chatter_at_the_control_rate_reverses_in_every_period_but_two(size, periods):
    found = motion_of(CONTRACT, all_joints(size * (-1.0) ** np.arange(periods)))
    assert found.command_change_rms == pytest.approx(2 * size)
    assert found.reversals_per_second == pytest.approx((periods - 2) / (periods * PERIOD))
    assert found.reversals_per_second <= 1 / PERIOD


def test_a_sine_reverses_twice_per_cycle():
    time = np.arange(4000) * PERIOD
    found = motion_of(CONTRACT, all_joints(0.4 * REACH.min() * np.sin(2 * np.pi * 0.25 * time)))
    assert found.reversals_per_second == pytest.approx(0.5, abs=0.01)


def test_standing_still_moving_on_and_rounding_are_no_reversals():
    noise = 1e-6 * REACH.min() * np.random.default_rng(0).normal(size=(50, COUNT))
    for commands in (np.zeros((50, COUNT)), all_joints(np.linspace(0, 1, 50)), noise, all_joints([0, 1, 1, 1, 2])):
        assert motion_of(CONTRACT, commands).reversals_per_second == 0
    assert motion_of(CONTRACT, all_joints([0, 1, 1, 1, 0])).reversals_per_second == pytest.approx(1 / (5 * PERIOD))


def test_shares_of_control_periods():
    found = motion_of(CONTRACT, np.zeros((10, COUNT)), rungs=np.array([PASS] * 4 + [CLAMP] * 3 + [HOLD] * 2 + [STOP]))
    assert (found.clamped, found.held, found.stopped) == (0.3, 0.2, 0.1)
    assert motion_of(CONTRACT, np.zeros((10, COUNT))).clamped is None


def test_peaks_are_of_the_joint_that_is_nearest_to_its_limit():
    limits = replace(CONTRACT.limits, velocity=tuple(np.arange(1.0, COUNT + 1)), acceleration=(np.inf,) * (COUNT - 1) + (4.0,))
    contract = replace(CONTRACT, limits=limits)
    velocity = np.zeros((5, COUNT))
    velocity[2, 0], velocity[3, -1] = -0.5, 0.2
    found = motion_of(contract, np.zeros((4, COUNT)), velocity=velocity)
    assert found.peak_speed == 0.5
    assert found.peak_acceleration == pytest.approx(0.2 / PERIOD / 4)
    free = replace(contract, limits=replace(limits, acceleration=(np.inf,) * COUNT))
    assert motion_of(free, np.zeros((4, COUNT)), velocity=velocity).peak_acceleration is None
    velocity[1, 0] = np.nan
    assert motion_of(contract, np.zeros((4, COUNT)), velocity=velocity).peak_speed is None


@pytest.mark.parametrize("periods", [0, 1])
def test_an_episode_that_is_over_at_once_says_little(periods):
    found = motion_of(CONTRACT, np.zeros((periods, COUNT)), rungs=np.zeros(periods), velocity=np.zeros((periods + 1, COUNT)))
    assert (found.command_change_rms, found.reversals_per_second) == (None, None)
    assert found.clamped == (0.0 if periods else None)


def test_together_episodes_count_by_their_control_periods_and_peaks_are_the_largest():
    long, short = Motion(90, 0.5, 0.1, 0.0, 0.3, 2.0, 0.4, None), Motion(10, 1.0, 0.0, 0.1, 0.1, 12.0, 0.9, None)
    found = pooled([long, short, Motion(0)])
    assert found["periods"] == 100
    assert (found["clamped"], found["held"], found["stopped"]) == pytest.approx((0.55, 0.09, 0.01))
    assert found["command_change_rms"] == pytest.approx(np.sqrt(0.9 * 0.09 + 0.1 * 0.01))
    assert found["reversals_per_second"] == pytest.approx(3.0)
    assert (found["peak_speed"], found["peak_acceleration"]) == (0.9, None)
    assert pooled([Motion(0)])["clamped"] is None
