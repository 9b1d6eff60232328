"""Time as the guard understands it: what one period of a regular loop stands for, looks between commands, holds, and samples that are late.

Lines 8 and 11 of issue 14; each test of a late sample, of a hold and of a period that is no number fails on commit 0188891.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_contract import PENDULUM, UR5E

from isthmus import Box, Command, LimitGuard, Measurement
from isthmus.guard import CLAMP, HOLD, PASS, STOP, Timing
from isthmus.kinematics import Kinematics
from isthmus.testing import FakePlant

PERIOD, NAMES = 0.05, UR5E.joint_names
QUICK = settings(deadline=None, derandomize=True, database=None)
HOME = UR5E.home[None]
BAD = [0.0, -0.05, math.nan, math.inf, -math.inf]


def sample(position=HOME, velocity=None, stamp=0.0):
    position = np.atleast_2d(position)
    velocity = np.zeros_like(position) if velocity is None else np.atleast_2d(velocity)
    return Measurement(np.full(len(position), stamp), NAMES, position, velocity)


def asked(values, mode="velocity", rows=1):
    return Command(mode, NAMES, np.broadcast_to(np.asarray(values, dtype=float), (rows, 6)).copy())


@pytest.mark.parametrize("period", BAD)
@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_period_that_is_no_period_is_refused_and_nothing_is_spoiled(period, mode):
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    rest = asked(HOME if mode == "position" else 0.0, mode)
    _, state = guard.check(guard.initial(1, armed=True), rest, sample(), PERIOD)
    with pytest.raises(ValueError, match=rf"^control period must be finite and > 0 s, got {period} s$"):
        guard.check(state, rest, sample(stamp=PERIOD), period)
    with pytest.raises(ValueError, match="control period must be finite"):
        guard.watch(state, sample(stamp=PERIOD), period)
    decision, _ = guard.check(state, rest, sample(stamp=PERIOD), PERIOD)
    assert decision.rung[0] == PASS
    np.testing.assert_array_equal(decision.command.values, rest.values)


@pytest.mark.parametrize("name", ["since", "looked"])
@pytest.mark.parametrize("value", BAD[1:])
def test_a_span_of_time_is_a_number(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be finite and >= 0 s, got {value} s$"):
        dataclasses.replace(Timing.of(PERIOD), **{name: value})
    assert getattr(dataclasses.replace(Timing.of(PERIOD), **{name: 0.0}), name) == 0


@pytest.mark.parametrize("delay", [math.nan, math.inf, np.array([0.0, math.nan])])
def test_a_delay_is_a_number(delay):
    with pytest.raises(ValueError, match=r"^delay must be finite, got .* s$"):
        Timing(PERIOD, PERIOD, PERIOD, delay)


def test_a_number_is_the_timing_of_a_regular_loop():
    regular = Timing.of(PERIOD)
    assert regular == Timing(PERIOD, PERIOD, PERIOD)
    assert Timing.of(regular) is regular
    assert [Timing(1, 1, 1, delay).late for delay in (0.0, -0.01, 0.01)] == [False, False, True]
    assert [Timing(1, 1, 1, np.array(delay)).late for delay in ([0, -1.0], [0, 0.01])] == [False, True]


@settings(QUICK, max_examples=60)
@given(
    mode=st.sampled_from(["velocity", "position"]),
    since=st.one_of(st.floats(0, PERIOD), st.floats(PERIOD, 3 * PERIOD)),
    braking=st.booleans(),
    speed=st.floats(-3, 3),
    wanted=st.floats(-9, 9),
)
def test_speed_changes_by_what_the_time_since_the_last_command_allows_and_lost_time_is_not_made_up(mode, since, braking, speed, wanted):
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    state = guard.initial(1, armed=True)
    _, state = guard.check(state, asked(HOME if mode == "position" else 0.0, mode), sample(), PERIOD)
    state = dataclasses.replace(
        state, rate=np.full((1, 6), speed), executed=state.executed if mode == "position" else np.full((1, 6), speed)
    )
    state = guard.stop(state, "test") if braking else state
    began = state.executed - state.rate * max(PERIOD - since, 0.0) if mode == "position" else None
    values = began + wanted * PERIOD if mode == "position" else wanted
    decision, after = guard.check(state, asked(values, mode), sample(stamp=since), Timing(PERIOD, since, since))
    step = 15.0 * min(since, PERIOD)
    goal = 0.0 if braking else min(max(wanted, -math.pi), math.pi)
    np.testing.assert_allclose(after.rate, speed + np.clip(goal - speed, -step, step), atol=1e-9)
    if mode == "position":  # it goes on from where the set-point has come by now, for one whole period
        np.testing.assert_allclose(decision.command.values, began + after.rate * PERIOD, atol=1e-12)


@pytest.mark.parametrize("spacing", [0.01, 0.02, 0.05, 0.08, 0.1])
def test_a_hold_becomes_a_stop_after_half_a_second_however_often_it_is_judged(spacing):
    """Bad commands every 80 ms at 20 Hz took 0.8 s."""
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state, bad = guard.initial(1, armed=True), asked(np.nan)
    _, state = guard.check(state, bad, sample(), PERIOD)
    assert state.rung[0] == HOLD
    time = 0.0
    while state.rung[0] == HOLD and time < 2:
        time += spacing
        _, state = guard.check(state, bad, sample(stamp=time), Timing(PERIOD, spacing, spacing))
    assert state.rung[0] == STOP
    assert 0.5 - 1e-6 <= time < 0.5 + spacing


@settings(QUICK, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_looks_neither_shorten_nor_lengthen_a_hold_and_are_no_good_commands(seed):
    generator, guard = np.random.default_rng(seed), LimitGuard(UR5E, UR5E.limits(), "velocity")
    state, time, acted = guard.hold(guard.initial(1, armed=True), "test"), 0.0, 0.0
    commands = 0
    while state.rung[0] == HOLD and time < 2:
        looked = float(generator.uniform(0, 0.02))
        time += looked
        if time - acted >= PERIOD and commands < 4:  # four good commands do not release it
            _, state = guard.check(state, asked(0.0), sample(stamp=time), Timing(PERIOD, time - acted, looked))
            acted, commands = time, commands + 1
        else:
            state = guard.watch(state, sample(stamp=time), Timing(PERIOD, time - acted, looked))
        assert state.good[0] == commands
    assert commands == 4
    assert state.cause == ("hold lasted 0.5 s: test",)
    assert 0.5 - 1e-6 <= time <= 0.52


@settings(QUICK, max_examples=25)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(["velocity", "position"]), rate=st.sampled_from([100, 250, 500]))
def test_what_is_looked_at_between_two_commands_is_counted_once(seed, mode, rate):
    """A loop that looks at every sample, and one that looks at every tenth, remember the same motion."""
    generator, guard = np.random.default_rng(seed), LimitGuard(UR5E, UR5E.limits(), mode)
    often = seldom = guard.initial(1, armed=True)
    looked, count = 1 / rate, round(PERIOD * rate)
    plant, time = FakePlant(UR5E, mode, looked, lag=0.06), 0.0
    values = HOME if mode == "position" else np.zeros((1, 6))
    for _ in range(30):
        rates = generator.uniform(-1, 1, (1, 6))
        values = values + rates * PERIOD if mode == "position" else rates
        regular = Timing.of(PERIOD)
        decision, often = guard.check(often, asked(values, mode), plant.read(), dataclasses.replace(regular, looked=looked))
        other, seldom = guard.check(seldom, asked(values, mode), plant.read(), regular)
        np.testing.assert_array_equal(decision.command.values, other.command.values)
        assert decision.rung[0] == other.rung[0] <= CLAMP
        begun = often.executed - often.rate * PERIOD
        for tick in range(1, count + 1):  # the set-point goes its way within the period
            plant.write(Command(mode, NAMES, begun + often.rate * tick * looked if mode == "position" else decision.command.values))
            plant.advance()
            time += looked
            if tick < count:
                often = guard.watch(often, plant.read(), Timing(PERIOD, tick * looked, looked))
            assert often.rung[0] == PASS
    last = Timing(PERIOD, PERIOD, looked)
    often, seldom = guard.watch(often, plant.read(), last), guard.watch(seldom, plant.read(), PERIOD)
    for name in ("stamp", "age", "position", "travel", "waited"):
        np.testing.assert_array_equal(getattr(often.monitors, name), getattr(seldom.monitors, name), err_msg=name)
    tolerance = 0.03 if mode == "velocity" else 1e-9  # forgetting is not quite the same
    np.testing.assert_allclose(often.monitors.lead, seldom.monitors.lead, atol=tolerance)
    np.testing.assert_allclose(often.monitors.away, 0, atol=0.1)


def test_the_same_look_twice_changes_nothing():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", PERIOD, lag=0.06)
    state = guard.initial(1, armed=True)
    for _ in range(5):
        decision, state = guard.check(state, asked(1.0), plant.read(), PERIOD)
        plant.write(decision.command)
        plant.advance()
    seen = guard.watch(state, plant.read(), PERIOD)
    again = guard.watch(seen, plant.read(), Timing(PERIOD, PERIOD, 0.0))
    for field in dataclasses.fields(seen.monitors):
        if field.name not in ("lead", "ordered"):
            np.testing.assert_array_equal(getattr(again.monitors, field.name), getattr(seen.monitors, field.name), err_msg=field.name)
    np.testing.assert_allclose(again.monitors.lead, seen.monitors.lead, rtol=0.06)
    assert (seen.executed == state.executed).all()
    assert (seen.rate == state.rate).all()


def watched(guard, state, samples, looked=0.01, since=PERIOD):
    for one in samples:
        state = guard.watch(state, one, Timing(PERIOD, since, looked))
    return state


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_an_idle_robot_is_watched_as_a_moving_one_is(mode):
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    armed, blind = guard.initial(1, armed=True), HOME.copy()
    blind[0, 2] = np.nan
    ticks = range(1, 80)
    cases = {
        PASS: [sample(stamp=tick * 0.01) for tick in ticks],
        "joint state is stale": [sample(stamp=0.0) for _ in ticks],
        "hold lasted 0.5 s: joint position of elbow_joint is not finite": [sample(blind, stamp=tick * 0.01) for tick in ticks],
        "measured position of shoulder_pan_joint jumped": [sample(HOME + (1.0 if tick > 9 else 0), stamp=tick * 0.01) for tick in ticks],
        "shoulder_pan_joint runs away from its command": [sample(HOME + 0.01 * tick, stamp=tick * 0.01) for tick in ticks],
    }
    for started in (False, True):
        rest = asked(HOME if mode == "position" else 0.0, mode)
        state = guard.check(armed, rest, sample(), PERIOD)[1] if started else armed
        for cause, samples in cases.items():
            found = watched(guard, state, samples)
            if cause == PASS:
                assert (found.rung[0], found.runaway[0]) == (PASS, False)
                continue
            assert found.rung[0] == STOP
            if "runs away" not in cause or not started:
                assert cause in found.cause[0]
            assert found.runaway[0] == ("runs away" in cause)
        quiet = watched(guard, guard.disarm(state), cases["measured position of shoulder_pan_joint jumped"])
        assert quiet.rung[0] == PASS


def test_a_frozen_sensor_is_found_between_commands_but_an_answer_has_a_period_of_time():
    guard, looked = LimitGuard(UR5E, UR5E.limits(), "velocity"), 0.002
    state = guard.initial(1, armed=True)
    found, time = None, 0.0
    for tick in range(10):
        _, state = guard.check(state, asked(1.5), sample(stamp=time), Timing(PERIOD, PERIOD, looked if tick else PERIOD))
        for step in range(1, 25):
            time += looked
            state = guard.watch(state, sample(stamp=time), Timing(PERIOD, step * looked, looked))
            if found is None and state.rung[0] == STOP:
                found = time, state.cause[0]
        time += looked
    moment, cause = found
    assert cause == "shoulder_pan_joint does not follow its command: its measured position is frozen"
    assert 0.03 / 0.75 + PERIOD - 0.005 < moment < 0.15  # 0.03 rad at 0.75 rad/s, and one period


class Late:
    """Samples of a plant as they were some time ago, for each row another time."""

    def __init__(self, plant, delay):
        self.plant, self.delay, self.past = plant, delay, []

    def read(self):
        self.past.append(self.plant.read())
        steps = np.minimum(np.round(self.delay / self.plant.period).astype(int), len(self.past) - 1)
        picked = [self.past[-1 - back] for back in steps]
        rows = range(len(steps))
        pick = [np.stack([getattr(one, name)[row] for one, row in zip(picked, rows, strict=True)]) for name in ("position", "velocity")]
        return Measurement(np.array([one.stamp[row] for one, row in zip(picked, rows, strict=True)]), NAMES, *pick)

    def sense(self):
        one = self.read()
        return one, self.plant.read().stamp - one.stamp


def drive_late(guard, robot, lag, delays, wanted, *, period=PERIOD, fine=0.01, ticks=80, start=None):
    """Positions at every fine step `[T, B, J]` while a late robot is pushed at full speed, and the worst rung."""
    rows = len(delays)
    plant = FakePlant(robot, "velocity", fine, rows, lag=lag)
    plant.reset(state={} if start is None else {"position": start})
    late, state, places, worst = Late(plant, np.array(delays)), guard.initial(rows, armed=True), [], np.zeros(rows, dtype=int)
    steps, looked = round(period / fine), fine
    for tick in range(ticks):
        one, delay = late.sense()
        decision, state = guard.check(
            state, Command("velocity", NAMES, wanted(tick, rows)), one, Timing(period, period, looked if tick else period, delay)
        )
        worst = np.maximum(worst, decision.rung)
        plant.write(decision.command)
        for step in range(1, steps + 1):
            plant.advance()
            places.append(plant.truth().position)
            if step < steps:
                one, delay = late.sense()
                state = guard.watch(state, one, Timing(period, step * fine, looked, delay))
    return np.stack(places), worst, state


@pytest.mark.parametrize("lag", [0.0, 0.06])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("period", [0.05, 0.02])
def test_late_states_do_not_carry_a_joint_beyond_its_limit(lag, sign, period):
    """At full speed towards a limit: 30 ms late went 33 mrad beyond it, and 80 ms 184 mrad."""
    robot = dataclasses.replace(UR5E, monitors=dataclasses.replace(UR5E.monitors, tracking_lag=lag, tracking_tolerance=9.0))
    limits = dataclasses.replace(robot.limits(), position_low=(-2.4,) * 6, position_high=(2.4,) * 6)
    delays = [0.0, 0.01, 0.03, 0.04] if period < 0.05 else [0.0, 0.03, 0.05, 0.08]
    guard = LimitGuard(robot, limits, "velocity")
    places, worst, _ = drive_late(
        guard,
        robot,
        lag,
        delays,
        lambda tick, rows: np.full((rows, 6), 9.0 * sign),
        period=period,
        start=np.zeros((4, 6)),
        ticks=round(4 / period),
    )
    assert (np.abs(places) <= 2.4 + 1e-3).all()
    assert (worst[:3] <= CLAMP).all()
    assert (np.abs(places[-1, :3]) > 2.39).all()  # and the limit is reached


@settings(QUICK, max_examples=15)
@given(seed=st.integers(0, 2**32), lag=st.sampled_from([0.0, 0.06]), period=st.sampled_from([0.05, 0.02, 0.01]))
def test_no_late_state_carries_any_motion_beyond_a_limit(seed, lag, period):
    generator = np.random.default_rng(seed)
    robot = dataclasses.replace(UR5E, monitors=dataclasses.replace(UR5E.monitors, tracking_lag=lag, tracking_tolerance=9.0))
    limits = dataclasses.replace(robot.limits(), position_low=(-0.8,) * 6, position_high=(0.8,) * 6)
    guard, delays = LimitGuard(robot, limits, "velocity"), generator.choice([0.0, 0.01, 0.02, 0.03], 20)

    def wanted(tick, rows):
        del tick
        return generator.choice([-9.0, 9.0, 9.0, 0.0, 1.0], (rows, 6))

    places, _, _ = drive_late(guard, robot, lag, delays, wanted, period=period, start=np.zeros((20, 6)), ticks=60)
    assert np.abs(places).max() <= 0.8 + 1e-3


def test_late_states_do_not_carry_the_tool_out_of_its_box():
    """The tool of an arm that turns about its base at full speed towards a face of the box."""
    box = Box((-2.0, -2.0, -2.0), (0.4, 2.0, 2.0))
    robot = dataclasses.replace(UR5E, monitors=dataclasses.replace(UR5E.monitors, tracking_tolerance=9.0))
    guard = LimitGuard(robot, dataclasses.replace(robot.limits(), workspace=box), "velocity")
    stretched = np.tile([[0.0, -1.57, 0.0, 0.0, 0.0, 0.0]], (3, 1)) + np.array([[1.6, 1.5, 0, 0, 0, 0]])
    turning = np.zeros((3, 6))
    turning[:, 0] = -9.0
    places, worst, _ = drive_late(guard, robot, 0.06, [0.0, 0.03, 0.08], lambda tick, rows: turning, start=stretched, ticks=60)
    kinematics, ahead = Kinematics(robot.urdf_path), []
    for place in places:
        poses = kinematics.positions(NAMES, place, robot.workspace_points)
        ahead.append(np.max([points[:, 0] for points in poses.values()], axis=0))
    assert (np.max(ahead, axis=0) <= 0.4 + 1e-3).all()
    assert (np.max(ahead, axis=0)[:2] > 0.3).all()
    assert (worst[:2] == CLAMP).all()


def test_a_state_that_is_later_than_the_time_out_stops():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = guard.initial(2, armed=True)
    decision, _ = guard.check(
        state, asked(0.5, rows=2), sample(np.vstack([HOME, HOME])), Timing(PERIOD, PERIOD, PERIOD, np.array([0.084, 0.086]))
    )
    assert decision.rung.tolist() == [PASS, STOP]
    assert decision.cause == ("", "joint state is stale")


def test_late_rows_of_a_batch_equal_single_checks_bit_for_bit_and_begin_anew_alone():
    generator, guard = np.random.default_rng(5), LimitGuard(UR5E, UR5E.limits(), "velocity")
    near = np.array(UR5E.limits().position_high) - 0.4
    batch, singles = guard.initial(4, armed=True), [guard.initial(1, armed=True) for _ in range(4)]
    for tick in range(25):
        delay, values = generator.uniform(-0.01, 0.08, 4), generator.uniform(-3, 3, (4, 6))
        position, velocity = near + generator.uniform(-0.1, 0.1, (4, 6)), generator.uniform(-1, 1, (4, 6))
        since = float(generator.choice([0.05, 0.03, 0.06]))
        if tick == 12:
            before, batch = batch.trail, guard.reset(batch, np.arange(4) == 2, armed=True)
            singles[2] = guard.reset(singles[2], armed=True)
            assert len(batch.trail) == len(before) > 0
            for (lasted, rates), (old, kept) in zip(batch.trail, before, strict=True):
                np.testing.assert_array_equal(rates, np.where(np.arange(4)[:, None] == 2, 0.0, kept))
                assert lasted is old
        decision, batch = guard.check(
            batch, asked(values, rows=4), sample(position, velocity, tick * PERIOD), Timing(PERIOD, since, since, delay)
        )
        for row in range(4):
            timing = Timing(PERIOD, since, since, delay[row : row + 1])
            single, singles[row] = guard.check(
                singles[row], asked(values[row]), sample(position[row], velocity[row], tick * PERIOD), timing
            )
            np.testing.assert_array_equal(decision.command.values[row], single.command.values[0])
            assert (decision.rung[row], decision.cause[row]) == (single.rung[0], single.cause[0])
    assert guard.check(batch, None, sample(position), PERIOD)[1].trail == ()  # only kept while samples are late


@pytest.mark.parametrize("rows", [np.array([1]), [0, 1], np.ones(3), np.ones((3, 1), dtype=bool), np.array([True, False])])
def test_rows_are_a_mask_and_nothing_else(rows):
    """`hold` took a mask and `reset` took indices, so that a mask given to `reset` mixed up causes."""
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = guard.initial(3, armed=True)
    for call in (lambda: guard.reset(state, rows), lambda: guard.hold(state, "test", rows)):
        with pytest.raises(ValueError, match=r"^rows must be a boolean mask of shape \[3\], got \w+ of shape \[.*\]$"):
            call()


def test_a_mask_resets_its_rows_with_their_causes():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    mask = np.array([True, False, True])
    state = guard.hold(guard.initial(3, armed=True), "mine", mask)
    state = guard.stop(state, "all")
    fresh = guard.reset(state, mask, armed=True)
    assert fresh.cause == ("", "all", "")
    assert fresh.rung.tolist() == [PASS, STOP, PASS]


def test_an_effort_is_not_watched_for_tracking_but_for_speed():
    guard = LimitGuard(PENDULUM, PENDULUM.limits(), "effort")
    state = guard.initial(1, armed=True)
    for tick in range(40):  # at 21 rad/s, where 20 are allowed and 22 count
        one = Measurement(np.full(1, tick * 0.01), ("hinge",), np.full((1, 1), 0.21 * tick), np.full((1, 1), 21.0))
        state = guard.watch(state, one, Timing(0.05, 0.05, 0.01))
    assert (state.rung[0], state.runaway[0]) == (PASS, False)
    for tick in range(40, 50):
        place = 0.21 * 39 + 0.25 * (tick - 39)
        one = Measurement(np.full(1, tick * 0.01), ("hinge",), np.full((1, 1), place), np.full((1, 1), 25.0))
        state = guard.watch(state, one, Timing(0.05, 0.05, 0.01))
    assert (state.rung[0], state.runaway[0]) == (STOP, True)
    assert state.cause == ("hinge runs away from its command",)


@pytest.mark.parametrize("delay", [0.0, 0.03])
def test_a_velocity_that_is_judged_again_is_remembered_as_long_as_samples_are_late(delay):
    limits = dataclasses.replace(UR5E.limits(), position_high=tuple(UR5E.home + 0.03))
    guard = LimitGuard(UR5E, limits, "velocity")
    one, fast = sample(np.vstack([HOME, HOME])), np.full((2, 6), 0.6)
    state = guard.watch(guard.initial(2, armed=True), one, PERIOD)
    state = dataclasses.replace(state, executed=fast, rate=fast, armed=np.array([True, False]))
    timing = Timing(PERIOD, 0.02, 0.0, delay)
    command, after = guard.again(state, one, timing)
    assert (command.mode, command.joints) == ("velocity", NAMES)
    assert (command.values[0] < 0.6).all()
    assert np.isnan(command.values[1]).all()
    np.testing.assert_array_equal(after.executed, [command.values[0], np.full(6, 0.6)])
    np.testing.assert_array_equal(after.rate, after.executed)
    assert [(lasted, rates.tolist()) for lasted, rates in after.trail] == ([(0.02, state.rate.tolist())] if delay else [])


def test_a_velocity_whose_answer_is_unknown_is_judged_again_all_the_same():
    limits = dataclasses.replace(UR5E.limits(), position_high=tuple(UR5E.home + 0.03))
    guard, fast = LimitGuard(UR5E, limits, "velocity"), np.full((1, 6), 0.6)
    one = sample(HOME)
    state = dataclasses.replace(guard.watch(guard.initial(1, armed=True), one, PERIOD), executed=fast, rate=fast)
    command, _ = guard.again(state, dataclasses.replace(one, velocity=np.full((1, 6), np.nan)), Timing(PERIOD, 0.02, 0.0))
    assert (command.values < 0.6).all()
