import dataclasses
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_contract import PENDULUM, UR5E

from isthmus import Box, Command, LimitGuard, Measurement
from isthmus.guard import CLAMP, HOLD, PASS, STOP
from isthmus.kinematics import Kinematics
from isthmus.records import Told
from isthmus.robot import Hold
from isthmus.rungs import demanding, passing
from isthmus.testing import FakePlant
from isthmus.timing import Timing

ROWS, TICKS, BOX_TICKS = 2000, 50, 16
EXAMPLES = int(os.environ.get("ISTHMUS_EXAMPLES", "9"))  # draws of limits and periods, with ROWS sequences each
DT = 0.05
HOME = UR5E.home[None]


def lagging(robot, lag):
    return dataclasses.replace(robot, monitors=dataclasses.replace(robot.monitors, tracking_lag=lag))


def measure(robot, position, velocity=None, stamp=0.0):
    position = np.atleast_2d(position)
    velocity = np.zeros_like(position) if velocity is None else np.atleast_2d(velocity)
    return Measurement(np.full(len(position), stamp), robot.joint_names, position, velocity)


def command(robot, mode, values):
    return Command(mode, robot.joint_names, np.atleast_2d(np.asarray(values, dtype=float)))


def drive(guard, plant, asked, ticks, state=None):
    """Run the guard on a plant with a constant command; all decisions and the last state."""
    state = guard.initial(plant.batch, armed=True) if state is None else state
    decisions = []
    for _ in range(ticks):
        decision, state = guard.check(state, asked, plant.read(), plant.period)
        if decision.command is not None:
            plant.write(decision.command)
        plant.advance()
        decisions.append(decision)
    return decisions, state


def hostile(generator, tick, scale, shape):
    """Commands that no policy should give: one habit per row."""
    rows, joints = shape
    habit = np.arange(rows) % 5
    values = generator.uniform(-2, 2, shape) * scale
    push = np.where(np.arange(rows) % 2, 1.0, -1.0)[:, None] * np.ones(joints)
    values = np.where((habit == 1)[:, None], 1e6 * push, values)
    values = np.where((habit == 2)[:, None], scale * push * (-1) ** tick, values)
    values = np.where((habit == 3)[:, None], scale * push, values)
    wild = generator.choice([np.nan, np.inf, -np.inf, 1e308, -1e308, 0.0], shape)
    return np.where((habit == 4)[:, None] & (generator.random(shape) < 0.03), wild, values)


def tell(record_property, what, periods, **counts):
    """What `benchmarks/guard.py` records."""
    for name, value in {"what": what, "periods": periods, **counts}.items():
        record_property(name, value)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_no_random_command_sequence_gets_beyond_a_limit(mode, record_property):
    counts = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(
        seed=st.integers(0, 2**32),
        dt=st.sampled_from([0.002, 0.02, 0.05, 0.1]),
        lag=st.sampled_from([0.0, 0.06]),
        acceleration=st.floats(2, 15),
        braking=st.floats(2, 15),
        reach=st.floats(0.5, 3),
        rate_scale=st.floats(0.2, 1),
    )
    def run(seed, dt, lag, acceleration, braking, reach, rate_scale):
        robot = lagging(UR5E, lag)
        six = (1.0,) * 6
        limits = dataclasses.replace(
            robot.limits(),
            position_low=tuple(-reach * x for x in six),
            position_high=tuple(reach * x for x in six),
            acceleration=tuple(acceleration * x for x in six),
            stop_acceleration=tuple(braking * x for x in six),
        )
        generator = np.random.default_rng(seed)
        guard = LimitGuard(robot, limits, mode, rate_scale)
        fastest = np.array(limits.velocity) * rate_scale
        position = generator.uniform(-reach, reach, (ROWS, 6))
        rate = generator.uniform(-1, 1, (ROWS, 6)) * fastest * (generator.random((ROWS, 1)) < 0.2)
        set_point = position + lag * rate if mode == "velocity" else position
        stopped = set_point + rate * np.abs(rate) / (2 * rate_scale * braking)
        fair = (np.abs(stopped) <= reach).all(axis=1)
        counts["sequences"] += ROWS
        counts["excluded"] += int((~fair).sum())

        plant = FakePlant(robot, mode, dt, ROWS, lag=lag)
        plant.reset(state={"position": position, "velocity": rate})
        state = guard.initial(ROWS, armed=True)
        executed = position if mode == "position" else rate
        state = dataclasses.replace(state, executed=executed, rate=rate, started=np.ones(ROWS, dtype=bool))
        scale = fastest if mode == "velocity" else np.full(6, reach)
        for tick in range(TICKS):
            asked = command(robot, mode, hostile(generator, tick, scale, (ROWS, 6)))
            decision, state = guard.check(state, asked, plant.read(), dt)
            values = decision.command.values
            assert np.isfinite(values).all()
            before, rate = rate, values if mode == "velocity" else (values - executed) / dt
            assert (np.abs(rate) <= fastest + 1e-9).all()
            assert (np.abs(rate - before) <= 15.0 * rate_scale * dt + 1e-9).all()  # the robot's own
            executed = values
            if mode == "position":
                assert (np.abs(values[fair]) <= reach).all()
            plant.write(decision.command)
            plant.written.clear()
            plant.advance()
            assert (np.abs(plant.truth().position[fair]) <= reach + 1e-9).all()
            counts["stopped"] += int(tick == TICKS - 1) * int((decision.rung == STOP).sum())

    run()
    tell(record_property, f"ur5e, {mode}", TICKS, sequences=counts["sequences"], excluded=counts["excluded"])
    assert counts["sequences"] == EXAMPLES * ROWS
    assert 0 < counts["excluded"] < 0.2 * counts["sequences"]
    assert counts["stopped"] < 0.5 * counts["sequences"]  # most sequences are judged by the limits, not by the latch


def test_no_random_command_sequence_leaves_the_workspace_box(record_property):
    counts = Counter()
    kinematics, box = Kinematics(UR5E.urdf_path), Box((-0.7, -0.7, -0.3), (0.7, 0.7, 0.9))
    low, high = np.array(box.low), np.array(box.high)

    def outside(position):
        points = np.stack([pose.position for pose in kinematics.poses(UR5E.joint_names, position, UR5E.workspace_points).values()])
        return np.maximum(low - points, points - high).max(axis=(0, 2))

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(
        seed=st.integers(0, 2**32), dt=st.sampled_from([0.02, 0.05, 0.1]), lag=st.sampled_from([0.0, 0.06]), rate_scale=st.floats(0.2, 1)
    )
    def run(seed, dt, lag, rate_scale):
        generator = np.random.default_rng(seed)
        position = generator.uniform(-3, 3, (2 * ROWS, 6))
        position = position[outside(position) < 0][:ROWS]
        rows = len(position)
        guard = LimitGuard(lagging(UR5E, lag), dataclasses.replace(UR5E.limits(), workspace=box), "velocity", rate_scale)
        plant = FakePlant(UR5E, "velocity", dt, rows, lag=lag)
        plant.reset(state={"position": position})
        state = guard.initial(rows, armed=True)
        scale = np.array(UR5E.limits().velocity) * rate_scale
        for tick in range(BOX_TICKS):
            asked = command(UR5E, "velocity", hostile(generator, tick, scale, (rows, 6)))
            decision, state = guard.check(state, asked, plant.read(), dt)
            plant.write(decision.command)
            plant.written.clear()
            plant.advance()
            counts["clamped"] += int((decision.rung == CLAMP).sum())
            if tick % 3 == 0:
                worst = outside(plant.truth().position).max()
                counts["worst, 0.1 mm"] = max(counts["worst, 0.1 mm"], int(np.ceil(worst * 1e4)))
                assert worst < 0.01  # joints that brake at different times leave the checked path by millimetres
        counts["sequences"] += rows

    run()
    tell(
        record_property,
        "ur5e, velocity, in a workspace box",
        BOX_TICKS,
        sequences=counts["sequences"],
        outside_mm=counts["worst, 0.1 mm"] / 10,
    )
    assert counts["worst, 0.1 mm"] > 0  # the box was reached


def test_no_random_effort_gets_beyond_a_limit(record_property):
    counts = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**32), dt=st.sampled_from([0.005, 0.05, 0.1]), share=st.floats(0.1, 1), kp=st.floats(0, 50))
    def run(seed, dt, share, kp):
        robot = dataclasses.replace(PENDULUM, hold=Hold((kp,), (1.0,), True))
        limits = dataclasses.replace(robot.limits(), effort=(2.0 * share,))
        generator = np.random.default_rng(seed)
        guard, plant = LimitGuard(robot, limits, "effort"), FakePlant(robot, "effort", dt, ROWS, gravity=True)
        plant.reset(state={"position": generator.uniform(-9, 9, (ROWS, 1)), "velocity": generator.uniform(-30, 30, (ROWS, 1))})
        state = guard.initial(ROWS, armed=True)
        for tick in range(TICKS):
            sample = plant.read()
            blind = generator.random((ROWS, 1)) < 0.01
            sample.position, sample.velocity = np.where(blind, np.nan, sample.position), np.where(blind, np.nan, sample.velocity)
            decision, state = guard.check(state, command(robot, "effort", hostile(generator, tick, 2.0, (ROWS, 1))), sample, dt)
            values = decision.command.values
            assert np.isfinite(values).all()
            assert (np.abs(values) <= 2.0 * share).all()
            assert not (values * np.sign(sample.velocity) > 0)[np.abs(sample.velocity) > 20].any()
            plant.write(decision.command)
            plant.written.clear()
            plant.advance()
        counts["sequences"] += ROWS

    run()
    tell(record_property, "pendulum, effort", TICKS, sequences=counts["sequences"])
    assert counts["sequences"] == EXAMPLES * ROWS  # no start is excluded: this mode has no position limits


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), case=st.sampled_from([("velocity", UR5E), ("position", UR5E), ("effort", PENDULUM)]), box=st.booleans())
def test_a_second_pass_changes_nothing(seed, case, box):
    mode, robot = case
    generator = np.random.default_rng(seed)
    limits = robot.limits()
    if box and mode != "effort":
        limits = dataclasses.replace(limits, workspace=Box((-0.6, -0.6, 0.0), (0.6, 0.6, 0.9)))
    guard, plant = LimitGuard(robot, limits, mode), FakePlant(robot, mode, DT, 20, lag=robot.monitors.tracking_lag)
    state = guard.initial(20, armed=True)
    for tick in range(25):
        asked = hostile(generator, tick, 3.0, (20, len(robot.joints)))
        first, following = guard.check(state, command(robot, mode, asked), plant.read(), DT)
        second, _ = guard.check(state, first.command, plant.read(), DT)
        np.testing.assert_array_equal(first.command.values, second.command.values)
        state = following
        plant.write(first.command)
        plant.advance()


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_rows_of_a_batch_equal_single_checks_bit_for_bit(mode):
    generator = np.random.default_rng(3)
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    position = HOME + generator.uniform(-4.6, 4.6, (8, 6)) * [1, 1, 0.3, 1, 1, 1]
    batch = guard.initial(8, armed=True)
    singles = [guard.initial(1, armed=True) for _ in range(8)]
    for tick in range(20):
        asked = hostile(generator, tick, 3.0, (8, 6))
        sample = measure(UR5E, position, generator.normal(0, 0.3, (8, 6)), tick * DT)
        decision, batch = guard.check(batch, command(UR5E, mode, asked), sample, DT)
        for row in range(8):
            alone = measure(UR5E, sample.position[row], sample.velocity[row], tick * DT)
            single, singles[row] = guard.check(singles[row], command(UR5E, mode, asked[row]), alone, DT)
            np.testing.assert_array_equal(decision.command.values[row], single.command.values[0])
            assert (decision.rung[row], decision.cause[row]) == (single.rung[0], single.cause[0])


def test_a_stop_latches_until_reset_and_arm_does_not_release_it():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    asked = command(UR5E, "velocity", np.full(6, 0.5))
    _, state = drive(guard, plant, asked, 10)
    decisions, state = drive(guard, plant, asked, 100, guard.stop(state, "asked to"))
    assert all(decision.rung[0] == STOP and decision.cause[0] == "asked to" for decision in decisions)
    assert (decisions[-1].command.values == 0).all()
    assert not guard.arm(guard.disarm(state)).armed.any()
    decisions, _ = drive(guard, plant, asked, 1, guard.arm(guard.disarm(state)))
    assert decisions[0].rung[0] == STOP
    decisions, state = drive(guard, plant, asked, 5, guard.reset(state))
    assert decisions[-1].command is None
    assert decisions[-1].cause == ("not armed",)
    decisions, _ = drive(guard, plant, asked, 1, guard.arm(state))
    assert decisions[0].rung[0] == PASS


@pytest.mark.parametrize("dt", [0.01, 0.05, 0.1])
def test_a_hold_clears_after_five_good_commands_within_half_a_second(dt):
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", dt)
    good = command(UR5E, "velocity", np.full(6, 0.1))
    _, state = drive(guard, plant, good, 3)
    decisions, state = drive(guard, plant, None, 1, state)
    assert decisions[0].cause == ("no command",)
    decisions, state = drive(guard, plant, good, 6, state)
    assert [decision.rung[0] for decision in decisions] == [HOLD] * 4 + [PASS] * 2


def test_a_hold_that_does_not_clear_becomes_a_stop_that_names_its_cause():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    good, bad = command(UR5E, "velocity", np.full(6, 0.1)), command(UR5E, "velocity", [0, 0, np.nan, 0, 0, 0])
    _, state = drive(guard, plant, good, 3)
    rungs = []
    for tick in range(11):
        decisions, state = drive(guard, plant, bad if tick % 4 == 0 else good, 1, state)
        rungs.append(decisions[0].rung[0])
    assert rungs == [HOLD] * 10 + [STOP]  # held for 0.5 s, never five good commands in a row
    assert decisions[0].cause == ("hold lasted 0.5 s: command of elbow_joint is not finite",)


def test_a_repeated_demand_to_hold_starts_the_count_of_good_commands_again():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    good = command(UR5E, "velocity", np.zeros(6))
    _, state = drive(guard, plant, good, 1)
    for _ in range(12):
        decisions, state = drive(guard, plant, good, 1, guard.hold(state, "camera is late"))
    assert decisions[0].rung[0] == STOP
    assert decisions[0].cause == ("hold lasted 0.5 s: camera is late",)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_hold_brakes_from_the_last_executed_command_and_then_keeps_one_set_point(mode):
    guard, plant = LimitGuard(UR5E, UR5E.limits(), mode), FakePlant(UR5E, mode, 0.01, lag=0.06)
    target = HOME + 2.0 if mode == "position" else np.full((1, 6), 1.5)
    decisions, state = drive(guard, plant, command(UR5E, mode, target), 20)
    executed, speed = decisions[-1].command.values, state.rate
    assert (speed > 1).all()
    decisions, state = drive(guard, plant, None, 60, guard.stop(state, "test"))
    emitted = np.concatenate([decision.command.values for decision in decisions])
    rates = emitted if mode == "velocity" else np.diff(np.concatenate([executed, emitted]), axis=0) / 0.01
    np.testing.assert_allclose(rates, np.maximum(speed - 15.0 * 0.01 * np.arange(1, 61)[:, None], 0), atol=1e-9)
    assert (emitted[30:] == emitted[-1]).all()
    assert guard.at_rest(state, plant.read()).all()


def test_a_held_arm_does_not_creep_in_position_mode():
    guard = LimitGuard(UR5E, UR5E.limits(), "position")
    state = guard.initial(1, armed=True)
    position = HOME.copy()
    set_points = []
    for tick in range(200):  # a soft servo sags under gravity by a share of the distance each period
        decision, state = guard.check(guard.stop(state, "test"), None, measure(UR5E, position, stamp=tick * DT), DT)
        set_points.append(decision.command.values[0])
        position = decision.command.values - 0.03
    np.testing.assert_array_equal(set_points, np.repeat(HOME, 200, axis=0))


def test_a_held_arm_does_not_creep_in_effort_mode():
    """One row is stopped, the other gets no command any more."""
    robot = dataclasses.replace(UR5E, command_modes=("effort",), hold=Hold((40.0,) * 6, (15.0,) * 6, True), ros=None)
    guard, plant = LimitGuard(robot, robot.limits(), "effort"), FakePlant(robot, "effort", 0.002, 2, gravity=True)
    lift = Kinematics(robot.urdf_path)
    state = guard.initial(2, armed=True)
    for _ in range(250):  # move away from where the guard was armed
        sample = plant.read()
        push = lift.gravity(robot.joint_names, sample.position) + 3.0
        decision, state = guard.check(state, command(robot, "effort", push), sample, 0.002)
        plant.write(decision.command)
        plant.advance()
    begun = plant.read()
    stopping = begun.position + begun.velocity**2 / 30
    _, state = drive(guard, plant, None, 1200, demanding(state, STOP, "test", np.array([True, False])))
    np.testing.assert_allclose(plant.read().position, stopping, atol=1e-3)
    _, state = drive(guard, plant, None, 600, state)
    np.testing.assert_allclose(plant.read().position, stopping, atol=1e-3)


def test_an_effort_on_stale_states_is_gravity_alone_and_fades_within_a_second():
    """Issue 14, line 7: the position term acted on a stale position for ever, and the joint sped up to 14.5 rad/s."""
    robot = dataclasses.replace(UR5E, command_modes=("effort",), hold=Hold((400.0,) * 6, (15.0,) * 6, True), ros=None)
    guard, dt = LimitGuard(robot, robot.limits(), "effort"), 0.01
    gravity = Kinematics(robot.urdf_path).gravity(robot.joint_names, HOME)
    state = guard.initial(1, armed=True)
    _, state = guard.check(state, command(robot, "effort", gravity), measure(robot, HOME, np.full(6, 0.5)), dt)
    efforts = []
    for _ in range(120):  # the stamps stop
        decision, state = guard.check(state, None, measure(robot, HOME, np.full(6, 0.5)), dt)
        efforts.append(decision.command.values)
    efforts, unseen = np.concatenate(efforts), np.arange(1, 121)[:, None] * dt - 0.03  # 30 ms are allowed
    assert (np.abs(efforts[0] - gravity) > 1).all()  # held, while the state is young enough
    np.testing.assert_allclose(efforts[3:], (np.clip(1 - unseen, 0, 1) * gravity)[3:], atol=1e-9)
    assert (efforts[-10:] == 0).all()
    assert state.rung[0] == STOP


def test_an_effort_on_a_position_that_is_no_number_fades_for_that_joint_alone():
    robot = dataclasses.replace(UR5E, command_modes=("effort",), hold=Hold((40.0,) * 6, (15.0,) * 6, True), ros=None)
    guard, dt = LimitGuard(robot, robot.limits(), "effort"), 0.01
    gravity = Kinematics(robot.urdf_path).gravity(robot.joint_names, HOME)
    state = guard.stop(guard.initial(1, armed=True), "test")
    _, state = guard.check(state, None, measure(robot, HOME), dt)
    blind = HOME - 0.01
    blind[0, 2] = np.nan
    for tick in range(1, 54):
        decision, state = guard.check(state, None, measure(robot, blind, stamp=tick * dt), dt)
    lift = Kinematics(robot.urdf_path).gravity(robot.joint_names, np.where(np.isnan(blind), HOME, blind))
    wanted = lift + 40 * 0.01
    wanted[0, 2] = lift[0, 2] * 0.5
    np.testing.assert_allclose(decision.command.values, wanted, atol=1e-9)
    assert (gravity != 0).any()


def test_hold_and_stop_brake_as_hard_as_the_robot_can_whatever_the_file_says():
    """Issue 14, line 9: a stop_acceleration of 0.01 in a policy file made a stop take 32 s."""
    careful = dataclasses.replace(UR5E.limits(), stop_acceleration=(8.0,) * 6)
    guard, plant = LimitGuard(UR5E, careful, "velocity"), FakePlant(UR5E, "velocity", DT)
    decisions, state = drive(guard, plant, command(UR5E, "velocity", np.full(6, 1.5)), 5)
    decisions, state = drive(guard, plant, None, 3, guard.stop(state, "test"))
    np.testing.assert_allclose([decision.command.values[0, 0] for decision in decisions], [0.75, 0, 0], atol=1e-12)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_file_that_brakes_gently_looks_further_ahead(mode):
    rooms = []
    for braking in (15.0, 8.0):
        limits = dataclasses.replace(UR5E.limits(), position_high=(2.0,) * 6, stop_acceleration=(braking,) * 6)
        guard, plant = LimitGuard(UR5E, limits, mode), FakePlant(UR5E, mode, 0.01)
        plant.reset(state={"position": np.zeros((1, 6))})
        state, speed = guard.initial(1, armed=True), 0.0
        while state.rate[0, 0] >= speed:
            speed = state.rate[0, 0]
            _, state = drive(guard, plant, command(UR5E, mode, np.full(6, 9.0)), 1, state)
        rooms.append(2.0 - plant.truth().position[0, 0])
    lag = UR5E.monitors.tracking_lag * np.pi if mode == "velocity" else 0.0
    assert rooms[0] == pytest.approx(np.pi**2 / 30 + lag, abs=0.07)
    assert rooms[1] == pytest.approx(np.pi**2 / 16 + lag, abs=0.07)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_an_unarmed_guard_emits_nothing_and_remembers_no_hold(mode):
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    state = guard.initial(1)
    for tick in range(40):
        decision, state = guard.check(state, None, measure(UR5E, HOME, stamp=tick * DT), DT)
        assert decision.command is None
    rest = HOME if mode == "position" else 0 * HOME
    decision, _ = guard.check(guard.arm(state), command(UR5E, mode, rest), measure(UR5E, HOME, stamp=2.0), DT)
    assert decision.rung[0] == PASS


def test_position_commands_need_a_known_position_to_begin_with():
    guard = LimitGuard(UR5E, UR5E.limits(), "position")
    blind = HOME.copy()
    blind[0, 2] = np.nan
    with pytest.raises(ValueError, match="position of elbow_joint is unknown and nothing was executed since arming"):
        guard.check(guard.initial(1, armed=True), command(UR5E, "position", HOME), measure(UR5E, blind), DT)
    decision, state = guard.check(guard.initial(1), command(UR5E, "position", HOME), measure(UR5E, blind), DT)
    assert decision.command is None
    assert np.isfinite(state.executed).all()


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_the_workspace_box_is_not_left(mode):
    lag = UR5E.monitors.tracking_lag
    box = Box((-0.6, -0.6, 0.05), (0.6, 0.6, 0.9))
    limits = dataclasses.replace(UR5E.limits(), workspace=box)
    guard, plant = LimitGuard(UR5E, limits, mode), FakePlant(UR5E, mode, DT, 64, lag=lag)
    kinematics = Kinematics(UR5E.urdf_path)
    generator = np.random.default_rng(1)
    push = generator.choice([-3.0, 3.0], (64, 6)) * (generator.random((64, 6)) < 0.5)
    state = guard.initial(64, armed=True)
    worst, clamped = 0.0, np.zeros(64, dtype=bool)
    for _ in range(80):
        asked = push if mode == "velocity" else state.executed + push * DT
        decision, state = guard.check(state, command(UR5E, mode, asked), plant.read(), DT)
        clamped |= decision.rung == CLAMP
        plant.write(decision.command)
        plant.advance()
        poses = kinematics.poses(UR5E.joint_names, plant.truth().position, UR5E.workspace_points)
        worst = max(
            worst, *(float(np.maximum(np.array(box.low) - p.position, p.position - np.array(box.high)).max()) for p in poses.values())
        )
    assert clamped.mean() > 0.9
    assert worst < 0.01  # joints that brake at different times leave the checked path by millimetres


def test_wrong_commands_stop():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = guard.initial(1, armed=True)
    names = UR5E.joint_names
    wrong = {
        "command is position, the guard expects velocity": Command("position", names, HOME),
        "command names other joints than the guard: elbow, elbow_joint": Command("velocity", (*names[:2], "elbow", *names[3:]), HOME),
        "command names other joints than the guard: wrist_3_joint": Command("velocity", names[:5], HOME[:, :5]),
        "command names other joints than the guard: a joint twice": Command("velocity", (*names, names[0]), np.zeros((1, 7))),
        "command has shape [6], the guard expects [1, 6]": Command("velocity", names, HOME[0]),
    }
    for cause, asked in wrong.items():
        decision, _ = guard.check(state, asked, measure(UR5E, HOME), DT)
        assert (decision.rung[0], decision.cause[0]) == (STOP, cause)


def test_joints_are_bound_by_name():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    values = np.linspace(0.1, 0.6, 6)[None]
    order = [3, 0, 5, 1, 4, 2]
    names = tuple(UR5E.joint_names[index] for index in order)
    shuffled = Measurement(np.zeros(1), names, HOME[:, order], 0 * HOME)
    decision, _ = guard.check(guard.initial(1, armed=True), Command("velocity", names, values[:, order]), shuffled, DT)
    np.testing.assert_array_equal(decision.command.values, values)


@pytest.mark.parametrize(("fault", "cause"), [("nan_position", "joint position of elbow_joint"), ("missing_joint", "of elbow_joint")])
def test_a_measurement_that_is_not_finite_holds_and_names_the_joint(fault, cause):
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    asked = command(UR5E, "velocity", np.full(6, 1.0))
    _, state = drive(guard, plant, asked, 5)
    plant.fault(fault, "elbow_joint")
    decisions, state = drive(guard, plant, asked, 11, state)
    assert decisions[0].rung[0] == HOLD
    assert cause in decisions[0].cause[0]
    assert decisions[-1].rung[0] == STOP
    assert (decisions[-1].command.values == 0).all()


def test_a_lost_sample_is_no_fault_and_stale_samples_stop():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    asked = command(UR5E, "velocity", np.full(6, -3.0))
    _, state = drive(guard, plant, asked, 8)
    plant.fault("frozen_stamps")
    lost, state = drive(guard, plant, asked, 1, state)
    plant.heal()
    found, state = drive(guard, plant, asked, 3, state)
    assert all(decision.rung[0] == PASS for decision in (*lost, *found))
    plant.fault("frozen_stamps")
    decisions, _ = drive(guard, plant, asked, 3, state)
    assert decisions[-1].rung[0] == STOP
    assert decisions[-1].cause[0] == "joint state is stale"


def test_a_state_without_its_hold_keeps_its_set_point_and_its_arming():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT)
    _, state = drive(guard, plant, command(UR5E, "velocity", np.full(6, 0.5)), 3)
    _, held = drive(guard, plant, None, 2, guard.hold(state, "test"))
    _, held = drive(guard, plant, command(UR5E, "velocity", np.zeros(6)), 3, held)
    free = passing(held)
    assert (held.good[0], free.good[0]) == (3, 0)
    assert (free.rung[0], free.cause[0], free.held[0], free.armed[0]) == (PASS, "", 0, True)
    np.testing.assert_array_equal(free.executed, held.executed)


def test_one_step_back_of_the_clock_holds_and_recovers():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state, rungs, causes = guard.initial(1, armed=True), [], []
    for tick in range(12):
        stamp = tick * DT - (10.0 if tick >= 3 else 0.0)
        decision, state = guard.check(state, command(UR5E, "velocity", np.zeros(6)), measure(UR5E, HOME, stamp=stamp), DT)
        rungs.append(int(decision.rung[0]))
        causes.append(decision.cause[0])
    assert rungs == [PASS] * 3 + [HOLD] * 5 + [PASS] * 4
    assert causes[3] == "stamps of the joint state go backwards"


@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("fault", ["dead_motor", "frozen", "runaway", "jump"])
def test_motion_faults_stop_within_300_ms(mode, fault):
    dt = 0.01
    guard, plant = LimitGuard(UR5E, UR5E.limits(), mode), FakePlant(UR5E, mode, dt, lag=0.06)
    speed = -2.0
    state = guard.initial(1, armed=True)

    def push(state, ticks):
        for _ in range(ticks):
            executed = state.executed if state.started.all() else HOME
            asked = executed + speed * dt if mode == "position" else np.full((1, 6), speed)
            decisions, state = drive(guard, plant, command(UR5E, mode, asked), 1, state)
        return decisions[0], state

    decision, state = push(state, 40)
    assert decision.rung[0] == PASS
    plant.fault(fault, "elbow_joint")
    decision, state = push(state, 30)
    assert decision.rung[0] == STOP
    assert "elbow_joint" in decision.cause[0]
    assert ("jumped" if fault == "jump" else "does not follow its command") in decision.cause[0]


def test_a_limit_cycle_stops():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = guard.initial(1, armed=True)
    rungs = []
    for tick in range(200):
        sign = 1 if tick % 4 < 2 else -1  # 25 reversals per second of 1 cm amplitude
        sample = measure(UR5E, HOME + 0.01 * sign, np.full(6, 0.5 * sign), tick * 0.02)
        decision, state = guard.check(state, command(UR5E, "velocity", np.zeros(6)), sample, 0.02)
        rungs.append(decision.rung[0])
    assert rungs[10] == PASS
    assert rungs[-1] == STOP
    assert "oscillates" in decision.cause[0]


def test_rate_scale_scales_velocity_and_acceleration_braking_too():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity", rate_scale=0.1), FakePlant(UR5E, "velocity", DT)
    decisions, state = drive(guard, plant, command(UR5E, "velocity", np.full(6, 9.0)), 10)
    np.testing.assert_allclose(decisions[0].command.values, 15.0 * 0.1 * DT)
    np.testing.assert_allclose(decisions[-1].command.values, np.pi * 0.1)
    decisions, _ = drive(guard, plant, None, 1, state)
    np.testing.assert_allclose(decisions[0].command.values, np.pi * 0.1 - 15.0 * 0.1 * DT)


def test_reset_by_rows_leaves_other_rows_alone():
    guard, plant = LimitGuard(UR5E, UR5E.limits(), "velocity"), FakePlant(UR5E, "velocity", DT, 3)
    _, state = drive(guard, plant, command(UR5E, "velocity", np.full((3, 6), 0.5)), 5)
    state = guard.reset(guard.stop(state, "test"), np.arange(3) == 1, armed=True)
    assert state.rung.tolist() == [STOP, PASS, STOP]
    assert state.executed[:, 0].tolist() == [0.5, 0.0, 0.5]


def test_refusals_name_the_reason():
    limits = UR5E.limits()
    with pytest.raises(ValueError, match=r"no command mode 'twist'; it has: velocity, position, effort"):
        LimitGuard(UR5E, limits, "twist")
    with pytest.raises(ValueError, match=r"rate_scale must be in \(0, 1\], got 0"):
        LimitGuard(UR5E, limits, "velocity", rate_scale=0)
    with pytest.raises(ValueError, match=r"looser than those of robot 'ur5e': velocity of shoulder_pan_joint is 4, allowed is 3.14159"):
        LimitGuard(UR5E, dataclasses.replace(limits, velocity=(4.0, *limits.velocity[1:])), "velocity")
    boxed = dataclasses.replace(UR5E, workspace=Box((-1, -1, 0), (1, 1, 1)))
    with pytest.raises(ValueError, match="there is no workspace box"):
        LimitGuard(boxed, limits, "velocity")
    with pytest.raises(ValueError, match="limits name joint 'hinge', which robot 'ur5e' does not have"):
        LimitGuard(UR5E, PENDULUM.limits(), "velocity")
    with pytest.raises(ValueError, match="its profile needs hold"):
        LimitGuard(dataclasses.replace(PENDULUM, hold=None), PENDULUM.limits(), "effort")


def test_where_a_robot_is_told_to_be_counts_and_not_what_single_commands_would_have_done():
    guard, asked = LimitGuard(UR5E, UR5E.limits(), "velocity"), command(UR5E, "velocity", np.full(6, 0.5))
    elbow = np.eye(6)[UR5E.joint_names.index("elbow_joint")]

    def checked(now, then):
        return guard.check(guard.initial(1, armed=True), asked, measure(UR5E, HOME), DT, Told(HOME + now * elbow, HOME + then * elbow))[0]

    assert (checked(0.0, 0.0).rung[0], checked(0.0, 0.0).command.values[0].tolist()) == (PASS, [0.5] * 6)
    assert checked(0.0, 1.0).cause == ("elbow_joint does not follow its command",)
    room = np.array(UR5E.limits().position_high) - HOME[0]
    near = checked(float(room @ elbow) - 1e-4, 0.0)  # though the sample of before is far from the limit
    assert near.rung[0] == CLAMP
    assert near.command.values[0] @ elbow < 0.01


def test_a_bad_look_between_good_commands_makes_a_hold_begin_to_count_anew():
    guard, good = LimitGuard(UR5E, UR5E.limits(), "velocity"), command(UR5E, "velocity", np.zeros(6))
    state, rungs = guard.hold(guard.initial(1, armed=True), "told to"), []
    lost = HOME.copy()
    lost[0, 2] = np.nan
    for count in range(9):
        decision, state = guard.check(state, good, measure(UR5E, HOME, stamp=count * 0.02), 0.02)
        if count == 2:
            state = guard.watch(state, measure(UR5E, lost, stamp=count * 0.02 + 0.01), 0.01)
        rungs.append(int(decision.rung[0]))
    assert rungs == [HOLD] * 7 + [PASS] * 2


@pytest.mark.parametrize(("known", "leaves"), [(0.0, True), (np.nan, True), (1.0, False)])
def test_a_joint_of_unknown_velocity_counts_as_at_rest_where_the_box_ends(known, leaves):
    """A servo that lags may still be on its way inwards, which only a measured velocity says."""
    turning, box = np.eye(6)[0], Box((-1, -0.4925, -1), (1, 1, 1))  # the tool is at y = -0.4919 m
    guard = LimitGuard(lagging(UR5E, 0.2), dataclasses.replace(UR5E.limits(), workspace=box), "velocity")
    sample = measure(UR5E, HOME, np.where(turning, known, 0.0))
    decision, _ = guard.check(guard.initial(1, armed=True), command(UR5E, "velocity", -0.3 * turning), sample, DT)
    assert decision.halts == leaves


def lead_of(guard, lead, timing, *, told=None, **state):
    """The cause that a guard finds when it looks at an arm at home that was commanded `lead` rad further by now; rates are those of all joints."""
    fresh = guard.initial(1, armed=True)
    monitors = dataclasses.replace(fresh.monitors, lead=np.full((1, 6), lead))
    given = {name: np.full((1, 6), value) if name == "rate" else value for name, value in state.items()}
    before = dataclasses.replace(fresh, monitors=monitors, executed=HOME + lead, started=np.ones(1, dtype=bool), **given)
    return guard.watch(before, measure(UR5E, HOME), timing, told).cause[0]


LEAST = UR5E.monitors.tracking_tolerance - 0.02  # rad, a lead that may just be


def test_a_late_sample_does_not_show_what_was_commanded_since():
    guard, late = LimitGuard(UR5E, UR5E.limits(), "velocity"), Timing(DT, DT, 0.0, 0.08)
    assert lead_of(guard, LEAST + 0.08, late, rate=1.0) == ""
    assert lead_of(guard, LEAST + 0.08, Timing(DT, DT, 0.0), rate=1.0) == f"{UR5E.joint_names[0]} does not follow its command"
    told = Told(HOME, HOME + LEAST)  # whoever says where the arm was told to be when the sample was taken has counted it
    assert lead_of(guard, 0.0, late, rate=-1.0, told=told) == ""


@pytest.mark.parametrize("before", [3.0, -3.0])
def test_a_set_point_that_was_reached_moves_nothing_until_the_next_one(before):
    """70 ms ago it began its way of 50 ms, and rests since; the 10 ms before are those of the set-point before."""
    guard, late = LimitGuard(UR5E, UR5E.limits(), "position"), Timing(DT, 0.07, 0.0, 0.08)
    come, trail = 3.0 * DT + before * 0.01, ((DT, np.full((1, 6), before)),)
    for lead, fine in [(come + LEAST, True), (come + LEAST + 0.04, False), (come - LEAST, True), (come - LEAST - 0.04, False)]:
        assert (lead_of(guard, lead, late, rate=3.0, trail=trail) == "") == fine


def test_in_a_batch_rows_that_have_not_begun_are_not_behind_and_others_are():
    guard = LimitGuard(UR5E, UR5E.limits(), "position")
    state = dataclasses.replace(guard.initial(2, armed=True), executed=np.repeat(HOME, 2, axis=0) + 1.0, started=np.array([True, False]))
    cause = f"{UR5E.joint_names[0]} does not follow its command"
    assert guard.watch(state, measure(UR5E, np.repeat(HOME, 2, axis=0)), DT).cause == (cause, "")


def test_what_is_looked_at_ahead_brakes_as_the_robot_does_whatever_the_file_says():
    """What is sent as a motion brakes by `wire_limits`."""
    careful = dataclasses.replace(UR5E.limits(), stop_acceleration=(8.0,) * 6)
    assert LimitGuard(UR5E, careful, "velocity", 0.5).wire_limits == UR5E.limits().scaled(0.5)


def test_rows_that_are_held_run_away_one_by_one():
    robot = dataclasses.replace(UR5E, hold=Hold((40.0,) * 6, (4.0,) * 6, True))
    guard, three, elbow = LimitGuard(robot, robot.limits(), "effort"), np.repeat(HOME, 3, axis=0), np.eye(6)[2]
    fresh = guard.initial(3, armed=True)
    before = dataclasses.replace(
        fresh,
        armed=np.array([True, True, False]),
        braking=np.ones(3, dtype=bool),
        anchor=three,
        monitors=dataclasses.replace(fresh.monitors, position=three),
    )
    torn = np.array([[1.0], [0.0], [1.0]]) * elbow
    after = guard.watch(before, measure(robot, three + 0.5 * torn, torn), DT)
    assert (after.runaway.tolist(), after.cause[:2]) == ([True, False, False], ("elbow_joint runs away from where it is held", ""))
    assert after.rung[:2].tolist() == [STOP, PASS]
