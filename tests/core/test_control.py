import dataclasses

import numpy as np
import pytest
from sample_contract import PENDULUM, UR5E, make_contract

from isthmus import Box, LimitGuard
from isthmus.control import ControlStep
from isthmus.guard import HOLD, PASS, STOP
from isthmus.testing import FakePlant

CONTRACT = make_contract()
GOAL = {"goal": np.zeros((1, 3))}


def control(batch=1, **options):
    return ControlStep(FakePlant(UR5E, "velocity", 0.05, batch), CONTRACT, **options)


def test_one_period_observes_guards_writes_and_advances():
    step = control()
    step.reset()
    assert (step.observe(GOAL)["previous"] == 0).all()
    decision = step.act(np.full((1, 6), 9.0))
    np.testing.assert_array_equal(step.plant.written[-1].values, decision.command.values)
    assert step.sense().stamp[0] == pytest.approx(0.05)
    np.testing.assert_allclose(step.observe(GOAL)["previous"][0, 0], decision.command.values[0])  # executed, not asked


def test_a_row_begins_anew_while_others_go_on():
    step = control(batch=2)
    goal = {"goal": np.zeros((2, 3))}
    step.reset()
    for _ in range(3):
        step.act(np.full((2, 6), 0.5))
        step.sense()
    before = step.observe(goal)
    step.reset(np.array([1]), [7])
    after = step.observe(goal)
    for name in before:
        np.testing.assert_array_equal(before[name][0], after[name][0])
    np.testing.assert_allclose(after["position"][1, 0], UR5E.home, rtol=1e-6)
    assert step.state.executed[:, 0].tolist() == [0.5, 0.0]


def test_begin_forgets_the_previous_episode_but_not_the_guard():
    step = control()
    step.reset()
    step.act(np.full((1, 6), 0.5))
    step.begin()
    step.sense()
    assert (step.observe(GOAL)["previous"] == 0).all()
    assert (step.state.executed == 0.5).all()


def test_without_a_decision_the_guard_holds():
    step = control()
    step.reset()
    decision = step.act(None)
    assert (decision.rung[0], decision.cause[0]) == (HOLD, "no command")


def test_a_signal_that_is_not_finite_holds_its_row_and_is_named():
    step = control(batch=2)
    step.reset()
    goal = np.zeros((2, 3))
    goal[1, 2] = np.nan
    for _ in range(11):
        step.observe({"goal": goal})
        decision = step.act(np.zeros((2, 6)))
        step.sense()
    assert decision.rung.tolist() == [PASS, STOP]
    assert decision.cause == ("", "hold lasted 0.5 s: signal 'goal' is not finite")


def test_a_step_that_was_never_armed_writes_nothing():
    """Issue 14, line 11: it wrote 0.0 to all joints."""
    step = control()
    for action in (np.full((1, 6), 0.5), None):
        step.sense()
        decision = step.act(action)
        assert decision.command is None
        assert decision.cause == ("not armed",)
    assert step.plant.written == []
    step.sense()
    assert (step.observe(GOAL)["previous"] == 0).all()


def test_a_plant_of_which_some_rows_were_never_reset_is_not_commanded():
    step = control(batch=3)
    step.reset(np.array([1]))
    with pytest.raises(ValueError, match=r"^rows 0, 2 of the plant are not armed, the others are: reset all of them first$"):
        step.act(np.zeros((3, 6)))
    assert step.plant.written == []


def test_what_does_not_fit_is_refused_before_anything_moves():
    with pytest.raises(ValueError, match="'action' expects joint 'shoulder_pan_joint', which robot 'pendulum' does not have"):
        ControlStep(FakePlant(PENDULUM, "effort", 0.05), CONTRACT)
    with pytest.raises(ValueError, match=r"policy runs every 0.05 s, the plant every 0.02 s"):
        ControlStep(FakePlant(UR5E, "velocity", 0.02), CONTRACT)
    with pytest.raises(ValueError, match="the guard is for position of"):
        control(guard=LimitGuard(UR5E, UR5E.limits(), "position"))


def test_the_guard_may_be_tighter_than_training_but_not_looser():
    limits = UR5E.limits()
    tight = dataclasses.replace(limits, velocity=(1.0,) * 6, workspace=Box((-1, -1, 0), (1, 1, 1)))
    control(guard=LimitGuard(UR5E, tight, "velocity"))
    trained = make_contract(limits=tight)
    with pytest.raises(ValueError, match="guard limits are looser than those of training: velocity of shoulder_pan_joint"):
        ControlStep(FakePlant(UR5E, "velocity", 0.05), trained, LimitGuard(UR5E, limits, "velocity"))


def test_a_robot_tighter_than_training_is_guarded_by_its_own_limits():
    slow = dataclasses.replace(UR5E, joints=tuple(dataclasses.replace(joint, stop_acceleration=4.0, velocity=1.0) for joint in UR5E.joints))
    step = ControlStep(FakePlant(slow, "velocity", 0.05), CONTRACT)
    assert step.guard.limits.stop_acceleration == (4.0,) * 6
    assert step.guard.limits.looser_than(slow.limits()) == []
    assert CONTRACT.limits.looser_than(step.guard.limits)[0] == "velocity of shoulder_pan_joint is 3.14159, allowed is 1"


def test_a_sample_that_cannot_be_read_leaves_the_last_one():
    step = control()
    step.reset()
    before = step.measurement
    step.plant.read = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        step.sense()
    assert step.measurement is before
