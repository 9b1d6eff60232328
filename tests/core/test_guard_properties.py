"""The ladder of the guard against a model of its rules, over sequences of anything that can be asked of it."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_contract import PENDULUM, UR5E

from isthmus import Command, LimitGuard, Measurement
from isthmus.guard import CLAMP, HOLD, PASS, RUNGS, STOP, Decision
from isthmus.robot import Hold

NAMES = UR5E.joint_names
QUICK = settings(deadline=None, derandomize=True, database=None)  # the same examples every time: a mutant is killed or it is not
CLAMPED = "command beyond velocity, acceleration, effort or position limits"


class Ladder:
    """Rules of one row, in plain numbers: pass, clamp, hold, stop; arm, disarm, reset."""

    def __init__(self, armed, home):
        self.home = home
        self.begin(armed)

    def begin(self, armed):
        self.armed, self.rung, self.good, self.held, self.cause, self.started = armed, PASS, 0, 0.0, "", False

    def demand(self, rung, cause):
        if self.rung < rung:
            self.rung, self.cause = rung, cause
        self.good = 0

    def settle(self, found, dt):
        """One check; `found` are (rung, cause) in the order in which they were found."""
        causes, demand = [], self.rung
        for rung, cause in found:
            if self.armed and self.rung < rung:
                demand = max(demand, rung)
                causes.append(cause)
        holding = self.armed and self.rung == demand == HOLD
        self.good = self.good + 1 if holding and not found else 0
        self.held = self.held + dt if holding else 0.0
        if holding and self.good >= 5:
            demand, self.good, self.held = PASS, 0, 0.0
        elif holding and self.held > 0.5 - 1e-9:
            demand, causes = STOP, [f"hold lasted 0.5 s: {self.cause}"]
        self.cause = "; ".join(dict.fromkeys(causes or [self.cause])) if demand >= HOLD else ""
        self.rung = demand
        self.started = self.started or self.armed


def events(generator, rows):
    """What happens before a check: (name, rows concerned)."""
    name = generator.choice(
        ["", "hold", "hold rows", "stop", "disarm", "arm", "reset", "reset armed"], p=[0.7, 0.05, 0.08, 0.02, 0.02, 0.07, 0.03, 0.03]
    )
    return str(name), generator.random(rows) < 0.5


def happen(guard, state, ladders, name, mask):
    """The state after an event, and the same in the model."""
    chosen = [ladder for ladder, one in zip(ladders, mask, strict=True) if one]
    if name == "hold":
        for ladder in ladders:
            if ladder.armed:
                ladder.demand(HOLD, "camera is late")
        return guard.hold(state, "camera is late")
    if name == "hold rows":
        for ladder in chosen:
            if ladder.armed:
                ladder.demand(HOLD, "signal is lost")
        return guard.hold(state, "signal is lost", mask)
    if name == "stop":
        for ladder in ladders:
            ladder.demand(STOP, "told to")
        return guard.stop(state, "told to")
    if name == "disarm":
        for ladder in ladders:
            ladder.armed = False
        return guard.disarm(state)
    if name == "arm":
        for ladder in ladders:
            if not ladder.armed and ladder.rung != STOP:
                ladder.begin(True)
        return guard.arm(state)
    for ladder in chosen:
        ladder.begin(name == "reset armed")
    return guard.reset(state, mask, armed=name == "reset armed")


@settings(QUICK, max_examples=40)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(["velocity", "position"]), dt=st.sampled_from([0.02, 0.05]), armed=st.booleans())
def test_the_ladder_is_climbed_as_the_rules_say(seed, mode, dt, armed):
    generator, rows = np.random.default_rng(seed), 7  # more rows than joints
    guard = LimitGuard(UR5E, UR5E.limits(), mode)
    braking = reach = 15.0 * dt
    state, ladders = guard.initial(rows, armed=armed), [Ladder(armed, UR5E.home) for _ in range(rows)]
    position = UR5E.home + generator.uniform(-0.1, 0.1, (rows, 6))
    rate, executed, stamp = np.zeros((rows, 6)), np.zeros((rows, 6)), 0.0
    for _ in range(40):
        name, mask = events(generator, rows)
        if name:
            state = happen(guard, state, ladders, name, mask)
            if name.startswith("reset") or name == "arm":
                fresh = np.array([not ladder.started for ladder in ladders])
                rate, executed = np.where(fresh[:, None], 0, rate), np.where(fresh[:, None], 0, executed)
        start = np.where([[ladder.started] for ladder in ladders], executed, position) if mode == "position" else executed
        rates = np.clip(generator.uniform(-1.0, 1.0, (rows, 6)), -1.2, 1.2)
        values = start + rates * dt if mode == "position" else rates
        kind = generator.choice(["good", "none", "nan", "wrong", "blind", "too fast"], p=[0.74, 0.05, 0.08, 0.01, 0.05, 0.07])
        bad = generator.random((rows, 6)) < 0.15
        found = [[] for _ in range(rows)]
        velocity = rate.copy()
        asked = Command(mode, NAMES, values)
        if kind == "none":
            asked, found = None, [[(HOLD, "no command")]] * rows
        elif kind == "wrong":
            asked = Command("effort", NAMES, values)
            found = [[(STOP, f"command is effort, the guard expects {mode}")]] * rows
        elif kind == "nan":
            asked = Command(mode, NAMES, np.where(bad, generator.choice([np.nan, np.inf, -np.inf], bad.shape), values))
            found = [[(HOLD, f"command of {NAMES[int(np.argmax(cells))]} is not finite")] if cells.any() else [] for cells in bad]
        elif kind == "blind":
            velocity = np.where(bad, generator.choice([np.nan, np.inf], bad.shape), velocity)
            found = [[(HOLD, f"joint velocity of {NAMES[int(np.argmax(cells))]} is not finite")] if cells.any() else [] for cells in bad]
        elif kind == "too fast":
            rates = rates + 40
            values = start + rates * dt if mode == "position" else rates
            asked = Command(mode, NAMES, values)
        stamp += dt
        decision, state = guard.check(state, asked, Measurement(np.full(rows, stamp), NAMES, position, velocity), dt)
        for row, ladder in enumerate(ladders):
            ladder.settle(found[row], dt)
            slower = rate[row] - np.clip(rate[row], -braking, braking)
            free = np.clip(rates[row], np.maximum(rate[row] - reach, -math.pi), np.minimum(rate[row] + reach, math.pi))
            chosen = slower if ladder.rung >= HOLD else free
            wanted = start[row] + chosen * dt if mode == "position" else chosen
            if not ladder.armed:
                wanted = start[row] if mode == "position" else np.zeros(6)
            np.testing.assert_allclose(state.executed[row], wanted, atol=1e-9)
            sent = np.full(6, np.nan) if decision.command is None else decision.command.values[row]
            np.testing.assert_array_equal(sent, state.executed[row] if ladder.armed else np.full(6, np.nan))
            changed = ladder.rung < HOLD and not np.array_equal(state.executed[row], values[row])
            rung = max(ladder.rung, CLAMP if changed else PASS) if ladder.armed else max(ladder.rung, HOLD)
            assert (RUNGS[decision.rung[row]], decision.armed[row]) == (RUNGS[rung], ladder.armed)
            cause = ladder.cause or ("" if rung == PASS else CLAMPED if ladder.armed else "not armed")
            assert decision.cause[row] == cause
            assert (state.rung[row], state.good[row], state.cause[row]) == (ladder.rung, ladder.good, ladder.cause)
            assert state.held[row] == pytest.approx(ladder.held)
            assert (state.armed[row], state.started[row], state.braking[row]) == (ladder.armed, ladder.started, ladder.rung >= HOLD)
        assert decision.rung.dtype == state.rung.dtype == np.int8
        assert state.good.dtype.kind == "i"
        assert (decision.command is None) == (not decision.armed.any())
        executed, before = state.executed, start
        rate = (executed - before) / dt if mode == "position" else executed
        np.testing.assert_allclose(state.rate, rate, atol=1e-9)
        np.testing.assert_array_equal(guard.resting(state), (state.rate == 0).all(axis=1))
        position = executed.copy() if mode == "position" else position + rate * dt


@settings(QUICK, max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_an_effort_controlled_robot_is_held_where_it_would_have_stopped(seed):
    generator, rows, dt = np.random.default_rng(seed), 3, 0.01
    robot = dataclasses.replace(UR5E, command_modes=("effort",), hold=Hold((30.0,) * 6, (4.0,) * 6, False), ros=None)
    guard = LimitGuard(robot, robot.limits(), "effort")
    state, position = guard.initial(rows, armed=True), UR5E.home + generator.uniform(-0.1, 0.1, (rows, 6))
    anchor, stamp = np.full((rows, 6), np.nan), 0.0
    for tick in range(20):
        velocity = generator.uniform(-1, 1, (rows, 6))
        position, stamp = position + velocity * dt, stamp + dt
        if tick in (3, 9, 15):
            state = guard.hold(state, "test", generator.random(rows) < 0.6)
        began = (state.rung >= HOLD) & ~state.braking
        stopping = position + np.sign(velocity) * velocity**2 / (2 * 15.0)
        anchor = np.where(began[:, None], stopping, anchor)
        zeros = np.zeros((rows, 6))
        decision, state = guard.check(
            state, Command("effort", NAMES, zeros), Measurement(np.full(rows, stamp), NAMES, position, velocity), dt
        )
        wanted = np.where(state.braking[:, None], 30 * (anchor - position) - 4 * velocity, 0.0)
        np.testing.assert_allclose(decision.command.values, wanted, atol=1e-9)
        still = Measurement(np.full(rows, stamp), NAMES, position, zeros)
        assert guard.still(still).all()
        assert not guard.at_rest(state, still).any()  # what is no longer held would fall
        assert guard.resting(state).dtype == bool


def test_pushing_against_something_is_no_tracking_fault_of_an_effort():
    guard, limits = LimitGuard(PENDULUM, PENDULUM.limits(), "effort"), PENDULUM.limits()
    assert (guard.limits, guard.joints, guard.mode) == (limits, limits.joints, "effort")
    state = guard.initial(1, armed=True)
    for tick in range(100):
        sample = Measurement(np.full(1, tick * 0.05), ("hinge",), np.zeros((1, 1)), np.zeros((1, 1)))
        decision, state = guard.check(state, Command("effort", ("hinge",), np.full((1, 1), 2.0)), sample, 0.05)
        assert decision.rung[0] == PASS


def test_at_rest_needs_both_the_command_and_the_robot_to_stand():
    order = [2, 0, 1, 5, 4, 3]
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = dataclasses.replace(guard.initial(4), rate=np.array([[0.0] * 6, [0.0] * 5 + [1e-9], [0.0] * 6, [0.0] * 6]))
    velocity = np.zeros((4, 6))
    velocity[2, 4], velocity[3, 1] = -0.02, 0.0199  # standstill is below 0.02 rad/s
    sample = Measurement(np.zeros(4), tuple(NAMES[index] for index in order), np.zeros((4, 6)), velocity)
    found = guard.at_rest(state, sample)
    assert found.tolist() == [True, False, False, True]


def test_at_rest_looks_at_the_commanded_joints_alone():
    own = UR5E.limits()
    fields = [field.name for field in dataclasses.fields(own) if field.name not in ("joints", "workspace")]
    limits = dataclasses.replace(own, joints=NAMES[:2], **{name: getattr(own, name)[:2] for name in fields})
    guard = LimitGuard(UR5E, limits, "velocity")
    velocity = np.array([[0.0, 0.0, 1.0, 0, 0, 0]])
    assert guard.at_rest(guard.initial(1), Measurement(np.zeros(1), NAMES, UR5E.home[None], velocity)).all()


@pytest.mark.parametrize("armed", [False, True])
def test_a_reset_of_all_rows_is_the_beginning(armed):
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    state = guard.stop(guard.initial(3, armed=True), "test")
    fresh = guard.reset(state, armed=armed)
    assert fresh.rung.tolist() == [PASS] * 3
    assert fresh.armed.tolist() == [armed] * 3
    assert not guard.reset(state).armed.any()
    assert guard.reset(state, np.arange(3) < 1, armed=True).rung.tolist() == [PASS, STOP, STOP]
    assert guard.reset(state, np.arange(3) < 1, armed=True).cause == ("", "test", "test")


def test_the_jump_monitor_uses_the_robots_own_speed_by_name():
    """Limits may be tighter and in another order than the robot's; how far a joint can have moved is the robot's affair."""
    own = UR5E.limits()
    joints = dataclasses.replace(
        UR5E, joints=tuple(dataclasses.replace(joint, velocity=0.5 + 0.5 * n) for n, joint in enumerate(UR5E.joints))
    )
    fields = [field.name for field in dataclasses.fields(own) if field.name not in ("joints", "workspace")]
    flipped = joints.limits()
    limits = dataclasses.replace(flipped, joints=NAMES[::-1], **{name: getattr(flipped, name)[::-1] for name in fields})
    limits = dataclasses.replace(limits, velocity=(0.1,) * 6)
    guard, dt = LimitGuard(joints, limits, "velocity"), 0.1
    for joint in range(6):
        for share, rung in ((0.99, PASS), (1.01, STOP)):
            state, asked = guard.initial(1, armed=True), Command("velocity", NAMES, np.zeros((1, 6)))
            _, state = guard.check(state, asked, Measurement(np.zeros(1), NAMES, UR5E.home[None], np.zeros((1, 6))), dt)
            moved = UR5E.home[None].copy()
            moved[0, joint] += share * 2 * (0.5 + 0.5 * joint) * dt
            robot = dataclasses.replace(joints.monitors, tracking_tolerance=9.0, runaway_travel=9.0)
            guard = LimitGuard(dataclasses.replace(joints, monitors=robot), limits, "velocity")
            decision, _ = guard.check(state, asked, Measurement(np.full(1, dt), NAMES, moved, np.zeros((1, 6))), dt)
            assert decision.rung[0] == rung


@pytest.mark.parametrize(
    ("rung", "armed", "kept", "cause"),
    [(PASS, True, "", ""), (CLAMP, True, "", CLAMPED), (HOLD, False, "", "not armed"), (STOP, True, "x", "x")],
)
def test_a_decision_explains_itself(rung, armed, kept, cause):
    decision = Decision(Command("velocity", NAMES, np.zeros((1, 6))), np.array([rung]), np.array([armed]), (kept,))
    assert decision.cause == (cause,)


def test_refusals_are_whole_sentences():
    limits = PENDULUM.limits()
    with pytest.raises(ValueError, match=r"^robot 'pendulum' has no command mode 'twist'; it has: effort$"):
        LimitGuard(PENDULUM, limits, "twist")
    with pytest.raises(ValueError, match=r"^rate_scale must be in \(0, 1\], got 1.1$"):
        LimitGuard(PENDULUM, limits, "effort", 1.1)
    LimitGuard(PENDULUM, limits, "effort", 1.0)
    with pytest.raises(
        ValueError, match=r"^limits name joint 'hinge', which robot 'ur5e' does not have \(its joints: shoulder_pan_joint, .*\)$"
    ):
        LimitGuard(UR5E, limits, "velocity")
    looser = dataclasses.replace(limits, velocity=(21.0,), effort=(3.0,))
    with pytest.raises(
        ValueError,
        match=r"^guard limits are looser than those of robot 'pendulum': velocity of hinge .*; effort of hinge is 3, allowed is 2$",
    ):
        LimitGuard(PENDULUM, looser, "effort")
    guard = LimitGuard(UR5E, UR5E.limits(), "position")
    blind = UR5E.home[None].copy()
    blind[0, 1:3] = np.nan
    words = r"^position of shoulder_lift_joint is unknown and nothing was executed since arming, so there is nothing to hold$"
    with pytest.raises(ValueError, match=words):
        guard.check(guard.initial(1, armed=True), None, Measurement(np.zeros(1), NAMES, blind, np.zeros((1, 6))), 0.05)


def test_all_causes_of_a_row_are_told_and_the_same_one_once():
    guard = LimitGuard(UR5E, UR5E.limits(), "velocity")
    blind = UR5E.home[None].copy()
    blind[0, 2] = np.nan
    asked = Command("velocity", NAMES, np.full((1, 6), np.nan))
    sample = Measurement(np.zeros(1), NAMES, blind, np.full((1, 6), np.inf))
    decision, _ = guard.check(guard.initial(1, armed=True), asked, sample, 0.05)
    nan = "of shoulder_pan_joint is not finite"
    assert decision.cause == (f"command {nan}; joint position of elbow_joint is not finite; joint velocity {nan}",)


def test_an_unknown_position_stops_nobody_who_does_not_begin_there():
    """Velocities need no set-point; in position mode the joint that is named is one of a row that begins."""
    blind = np.stack([UR5E.home, UR5E.home])
    blind[0, 0] = blind[1, 3] = np.nan
    sample = Measurement(np.zeros(2), NAMES, blind, np.zeros((2, 6)))
    velocities = LimitGuard(UR5E, UR5E.limits(), "velocity")
    decision, _ = velocities.check(velocities.initial(2, armed=True), None, sample, 0.05)
    assert decision.rung.tolist() == [HOLD, HOLD]
    guard = LimitGuard(UR5E, UR5E.limits(), "position")
    known = Measurement(np.zeros(2), NAMES, np.stack([UR5E.home, UR5E.home]), np.zeros((2, 6)))
    _, state = guard.check(guard.initial(2, armed=True), None, known, 0.05)
    with pytest.raises(ValueError, match=r"position of wrist_1_joint is unknown"):
        guard.check(guard.reset(state, np.arange(2) == 1, armed=True), None, dataclasses.replace(sample, stamp=np.full(2, 0.05)), 0.05)


@settings(QUICK, max_examples=20)
@given(seed=st.integers(0, 2**32), mode=st.sampled_from(["velocity", "position", "effort"]), kind=st.sampled_from([np.float32, np.float16]))
def test_single_precision_is_judged_in_double_precision(seed, mode, kind):
    """Policies and sensors speak float32; rounding must not move a wall, nor what carries an arm."""
    robot = dataclasses.replace(UR5E, hold=Hold((30.0,) * 6, (4.0,) * 6, True))
    generator, guard = np.random.default_rng(seed), LimitGuard(robot, robot.limits(), mode)
    limits = np.array(UR5E.limits().position_high)
    position = (limits - generator.uniform(0, 0.3, (5, 6))).astype(kind)
    velocity, values = generator.uniform(0, 2, (5, 6)).astype(kind), (position + generator.uniform(0, 0.2, (5, 6))).astype(kind)
    state = guard.initial(5, armed=True)
    state = guard.hold(state, "test", np.arange(5) < 2)
    found = []
    for convert in (lambda array: array, lambda array: array.astype(np.float64)):
        sample = Measurement(np.zeros(5), NAMES, convert(position), convert(velocity))
        decision, after = guard.check(state, Command(mode, NAMES, convert(values)), sample, 0.05)
        found.append((decision.command.values, after.monitors.swing))
    for here, there in zip(*found, strict=True):
        assert here.dtype == there.dtype == np.float64
        np.testing.assert_array_equal(here, there)


def test_a_joint_whose_speed_is_unknown_is_not_held_without_damping():
    robot = dataclasses.replace(UR5E, command_modes=("effort",), hold=Hold((30.0,) * 6, (4.0,) * 6, False), ros=None)
    guard = LimitGuard(robot, robot.limits(), "effort")
    state = guard.stop(guard.initial(1, armed=True), "test")
    velocity = np.array([[0.0, 0.1, -0.1, 0.2, np.nan, np.inf]])
    _, state = guard.check(state, None, Measurement(np.zeros(1), NAMES, UR5E.home[None], np.zeros((1, 6))), 0.01)
    sample = Measurement(np.full(1, 0.01), NAMES, UR5E.home[None] - 0.01, velocity)
    decision, state = guard.check(state, None, sample, 0.01)
    np.testing.assert_allclose(decision.command.values, [[0.3, 0.3 - 0.4, 0.3 + 0.4, 0.3 - 0.8, 0, 0]], atol=1e-9)
    assert np.isfinite(state.monitors.swing).all()


def test_a_row_is_good_only_if_nothing_at_all_is_wrong_with_it():
    guard, dt = LimitGuard(UR5E, UR5E.limits(), "velocity"), 0.05
    state, home = guard.hold(guard.initial(3, armed=True), "test"), np.stack([UR5E.home] * 3)
    values, velocity = np.zeros((3, 6)), np.zeros((3, 6))
    values[0, 0] = velocity[1, 0] = np.nan
    for tick in range(5):
        sample = Measurement(np.full(3, tick * dt), NAMES, home, velocity)
        decision, state = guard.check(state, Command("velocity", NAMES, values), sample, dt)
    assert state.good.tolist() == [0, 0, 0]
    assert decision.rung.tolist() == [HOLD, HOLD, PASS]
