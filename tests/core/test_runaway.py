"""A joint that does not do what it is told is told apart from one that lags, sags, swings or brakes: the first is no matter for a stop alone.

The joint here is a second-order servo that is followed in small steps, and the guard looks at it as often as a real one would.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_contract import UR5E

from isthmus import Command, LimitGuard, Measurement
from isthmus.guard import HOLD, STOP, Timing
from isthmus.monitors import Monitors
from isthmus.robot import Thresholds
from isthmus.testing import FakePlant

QUICK = settings(deadline=None, derandomize=True, database=None)
PERIOD, LOOK, FASTEST = 0.05, 0.01, 3.0
NEVER = {"tracking_tolerance": np.inf, "frozen_travel": np.inf, "oscillation": np.inf}


def runaways(places, rates, **thresholds):
    """Looks at which a joint counts as run away, for positions and commanded velocities at each of them, one look apart."""
    monitors = Monitors(Thresholds(**NEVER, **thresholds), "velocity", ("hinge",), np.full(1, FASTEST))
    state, found, still = monitors.initial(1), [], np.zeros((1, 1))
    for tick, (place, rate) in enumerate(zip(places, rates, strict=True)):
        told, where = np.full((1, 1), rate), np.full((1, 1), place)
        state, alarms = monitors.update(state, np.array([tick * LOOK]), told, told, where, still, Timing(PERIOD, PERIOD, LOOK))
        if any(alarm.runaway for alarm in alarms):
            found.append(tick)
    return found


def followed(rates, lag, *, damping=1.0, sag=0.0):
    """Positions of a joint whose drive follows commanded velocities with a time constant, and overshoots with a low damping."""
    place, speed, push, places = 0.0, 0.0, 0.0, []
    steps = 20
    for rate in rates:
        places.append(place - sag)
        for _ in range(steps):
            dt = LOOK / steps
            push += dt * ((rate - speed) / lag - 2 * damping * push) / lag
            speed += dt * push
            place += dt * speed
    return places


def ramped(targets, braking):
    """Commanded velocities at every look that go to one target after the other, each held for a second, at most that steep."""
    rates, rate = [], 0.0
    for target in targets:
        for _ in range(round(1 / LOOK)):
            rate += np.clip(target - rate, -braking * LOOK, braking * LOOK)
            rates.append(rate)
    return rates


@settings(QUICK, max_examples=60)
@given(
    targets=st.lists(st.sampled_from([0.0, 3.0, -3.0, 1.0, -0.2]), min_size=1, max_size=6),
    lag=st.floats(0.01, 0.06),
    damping=st.sampled_from([0.7, 1.0, 1.5]),
    braking=st.floats(2, 15),
    sag=st.floats(0, 0.1),
    ripple=st.floats(0, 2e-3),
)
def test_lag_overshoot_sag_noise_and_braking_are_no_runaway(targets, lag, damping, braking, sag, ripple):
    rates = ramped([*targets, 0.0], braking)
    places = np.array(followed(rates, lag, damping=damping)) - sag * np.minimum(np.arange(len(rates)) / 20, 1)
    noise = np.random.default_rng(0).normal(0, ripple, len(rates))
    assert runaways(places + noise, rates) == []


@settings(QUICK, max_examples=40)
@given(width=st.floats(0.01, 0.14), frequency=st.floats(0.2, 20), rate=st.sampled_from([0.0, 0.5, -0.5]))
def test_an_oscillation_within_the_bound_is_no_runaway_however_long(width, frequency, rate):
    ticks = np.arange(2000) * LOOK
    assert runaways(rate * ticks + width * np.sin(2 * np.pi * frequency * ticks), np.full(2000, rate)) == []


@settings(QUICK, max_examples=60)
@given(
    rate=st.sampled_from([0.0, 0.5, 2.0, -1.0, 1e-3]),
    speed=st.floats(0.2, 3.0),
    sign=st.sampled_from([-1, 1]),
    travel=st.sampled_from([0.1, 0.3]),
    obeyed=st.integers(0, 100),
)
def test_a_joint_that_moves_against_its_command_or_at_rest_is_one_after_the_travel_of_the_profile(rate, speed, sign, travel, obeyed):
    sign = -np.sign(rate) if rate else sign
    ticks = np.arange(300)
    places = np.where(ticks < obeyed, rate * ticks * LOOK, rate * obeyed * LOOK + sign * speed * (ticks - obeyed) * LOOK)
    found = runaways(places, np.full(300, rate), runaway_travel=travel)
    gone = (found[0] - obeyed) * LOOK * speed
    assert travel < gone + 1e-9
    assert gone < travel + 2.1 * speed * LOOK + abs(rate) * LOOK


def test_a_joint_that_is_told_to_move_along_but_is_faster_than_it_may_be_is_one():
    ticks = np.arange(200)
    assert runaways(1.09 * FASTEST * LOOK * ticks, np.full(200, FASTEST)) == []
    assert runaways(1.11 * FASTEST * LOOK * ticks, np.full(200, FASTEST))[0] == 91  # 0.3 rad at 0.33 rad/s


def test_inf_is_no_bound():
    assert runaways(np.arange(300) * LOOK, np.zeros(300), runaway_travel=np.inf) == []


def test_samples_that_come_seldom_or_not_at_all_are_no_runaway():
    """Looks without a new sample see no motion, and the next sample that of all of them."""
    monitors = Monitors(Thresholds(**NEVER), "velocity", ("hinge",), np.full(1, FASTEST))
    state, told, still = monitors.initial(1), np.full((1, 1), 2.0), np.zeros((1, 1))
    for tick in range(500):
        new = tick - tick % 5  # a sample every fifth look
        where = np.full((1, 1), np.nan if tick % 50 == 10 else 2.0 * new * LOOK)
        state, alarms = monitors.update(state, np.array([new * LOOK]), told, told, where, still, Timing(PERIOD, PERIOD, LOOK))
        assert not any(alarm.runaway for alarm in alarms)
    assert abs(state.away[0, 0]) == 0


@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("idle", [False, True])
def test_a_runaway_stops_is_told_until_it_is_armed_anew_and_concerns_no_other_row(mode, idle):
    guard, plant = LimitGuard(UR5E, UR5E.limits(), mode), FakePlant(UR5E, mode, LOOK, 2, lag=0.06)
    state, values = guard.initial(2, armed=True), np.stack([UR5E.home] * 2) if mode == "position" else np.zeros((2, 6))
    for tick in range(200):
        if tick == 100:
            plant.fault("runaway", "elbow_joint", np.array([1]))
        if tick % 5 == 0:
            rates = 0.0 if idle else -1.0
            values = values + rates * PERIOD if mode == "position" else np.full((2, 6), rates)
            timing = Timing(PERIOD, PERIOD, LOOK)
            decision, state = guard.check(state, Command(mode, UR5E.joint_names, values), plant.read(), timing)
            plant.write(decision.command)
        else:
            state = guard.watch(state, plant.read(), Timing(PERIOD, tick % 5 * LOOK, LOOK))
        if tick < 100:
            assert (state.rung < HOLD).all()
        if state.runaway.any():
            break
        plant.advance()
    assert state.runaway.tolist() == [False, True]
    assert (tick - 100) * LOOK < 0.5
    assert state.rung[1] == STOP
    assert not guard.reset(state, np.array([False, True])).runaway.any()
    again = guard.watch(state, plant.read(), LOOK)
    assert again.runaway.tolist() == [False, True]


def test_a_jump_of_a_sensor_is_no_runaway():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", PERIOD)
    state = guard.watch(guard.initial(1, armed=True), plant.read(), PERIOD)
    plant.advance()
    plant.fault("jump")
    for _ in range(5):
        state = guard.watch(state, plant.read(), PERIOD)
        plant.advance()
    assert (state.rung[0], state.runaway[0]) == (STOP, False)


def test_an_unarmed_robot_may_be_moved_by_hand():
    guard, home = LimitGuard(UR5E, UR5E.limits(), "velocity"), UR5E.home[None]
    state = guard.initial(1)
    for tick in range(100):
        one = Measurement(np.full(1, tick * LOOK), UR5E.joint_names, home + 0.02 * tick, np.full((1, 6), 2.0))
        state = guard.watch(state, one, Timing(PERIOD, PERIOD, LOOK))
    assert (state.rung[0], state.runaway[0]) == (0, False)
    assert not guard.arm(state).runaway.any()
