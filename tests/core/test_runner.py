import threading
import time

import numpy as np
import pytest
from sample_contract import UR5E, make_contract

from isthmus import ActionChunk
from isthmus.control import ControlStep
from isthmus.guard import HOLD, PASS, STOP
from isthmus.runner import Runner
from isthmus.testing import FakePlant


class Chunks:
    """Counts its decisions; action k of decision n is (n + k / 100) / 1000 rad/s."""

    def __init__(self, contract):
        self.contract = contract
        self.decisions = 0
        self.trouble = lambda decision: None

    def reset(self, rows=None, seed=None):
        self.decisions = 0

    def act(self, observation):
        self.decisions += 1
        self.trouble(self.decisions)
        batch, horizon = len(observation["goal"]), self.contract.horizon
        values = (self.decisions + np.arange(horizon) / 100) / 1000
        return ActionChunk(np.broadcast_to(values[None, :, None], (batch, horizon, 6)))


def make_runner(horizon=1, realtime=False, period=0.05, replan=None, trouble=None):
    contract = make_contract(horizon=horizon, period=period)
    policy = Chunks(contract)
    step = ControlStep(FakePlant(UR5E, "velocity", period, realtime=realtime), contract)
    ticks = []
    runner = Runner(policy, step, inputs=lambda: {"goal": np.zeros((1, 3))}, replan=replan, on_tick=ticks.append)
    runner.begin()
    policy.trouble = trouble or policy.trouble
    step.reset()
    return runner, ticks


def asked(ticks):
    return [None if tick.asked is None else round(float(tick.asked[0, 0]) * 1000, 6) for tick in ticks]


def test_a_reactive_policy_decides_every_period():
    runner, ticks = make_runner()
    cadence = runner.run(4)
    assert asked(ticks) == [1, 2, 3, 4]
    assert [tick.index for tick in ticks] == [0, 1, 2, 3]
    assert [tick.measurement.stamp[0] for tick in ticks] == pytest.approx([0, 0.05, 0.1, 0.15])
    assert cadence.summary()["steps"] == 4
    assert len(cadence.inference) == 3  # the first decision is warm-up


@pytest.mark.parametrize(("replan", "expected"), [(None, [1, 1.01, 1.02, 2, 2.01]), (2, [1, 1.01, 2, 2.01, 3]), (1, [1, 2, 3, 4, 5])])
def test_the_first_actions_of_a_chunk_are_executed(replan, expected):
    runner, ticks = make_runner(horizon=3, replan=replan)
    runner.run(5)
    assert asked(ticks) == expected
    assert [tick.chunk is not None for tick in ticks] == [value == int(value) for value in expected]


def test_a_hold_drops_the_chunk_and_the_policy_decides_again():
    runner, ticks = make_runner(horizon=4)
    runner.run(2)
    runner.step.state = runner.step.guard.hold(runner.step.state, "asked to")
    runner.run(6)
    assert asked(ticks) == [1, 1.01, 1.02, 2, 3, 4, 5, 5.01]
    assert [int(tick.decision.rung[0]) for tick in ticks] == [PASS] * 2 + [HOLD] * 4 + [PASS] * 2


def test_begin_starts_with_a_new_decision():
    runner, ticks = make_runner(horizon=4)
    runner.run(2)
    runner.begin()
    runner.run(1)
    assert asked(ticks) == [1, 1.01, 1]
    assert ticks[-1].index == 0


def test_in_lockstep_the_error_of_a_policy_is_the_callers():
    def fail(decision):
        raise ZeroDivisionError("no solution")

    runner, ticks = make_runner(trouble=fail)
    with pytest.raises(ZeroDivisionError, match="no solution"):
        runner.run(1)
    assert not ticks


def test_in_real_time_the_error_of_a_policy_becomes_a_hold_that_names_it():
    def fail(decision):
        if decision == 3:
            raise ZeroDivisionError("no solution")

    runner, ticks = make_runner(realtime=True, period=0.005, trouble=fail)
    runner.run(10)
    rungs = [int(tick.decision.rung[0]) for tick in ticks]
    assert rungs[2] == HOLD
    assert ticks[2].decision.cause == ("policy failed: ZeroDivisionError: no solution",)
    assert asked(ticks)[:4] == [1, 2, None, 4]
    assert rungs[-1] == PASS


def test_in_real_time_a_robot_that_cannot_be_read_is_a_hold_that_names_it():
    runner, ticks = make_runner(horizon=2, realtime=True, period=0.02)
    plant, read = runner.step.plant, runner.step.plant.read

    def fail_once():
        if len(ticks) == 3:
            plant.read = read
            raise OSError("no link")
        return read()

    plant.read = fail_once
    runner.run(12)
    rungs = [int(tick.decision.rung[0]) for tick in ticks]
    assert rungs[2:5] == [PASS, HOLD, HOLD]
    assert ticks[3].decision.cause == ("the robot cannot be read: OSError: no link",)
    assert asked(ticks)[:6] == [1, 1.01, 2, None, 3, 4]
    assert ticks[3].measurement is ticks[2].measurement
    assert rungs[-1] == PASS


def test_in_real_time_a_robot_that_stays_unreadable_is_braked_to_a_stop():
    runner, ticks = make_runner(realtime=True, period=0.02)
    runner.step.plant.read = lambda: 1 / 0
    runner.run(6)
    assert (ticks[-1].decision.rung[0], ticks[-1].decision.command.values.any()) == (STOP, False)
    assert ticks[-1].decision.cause == ("joint state is stale",)
    assert len(runner.step.plant.written) == 6


def test_in_lockstep_a_robot_that_cannot_be_read_is_the_callers_error():
    runner, _ = make_runner()
    runner.step.plant.read = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        runner.run(1)


def test_actions_of_another_shape_are_a_failure_of_the_policy():
    runner, _ = make_runner()
    runner._policy.act = lambda observation: ActionChunk(np.zeros((1, 6)))
    with pytest.raises(ValueError, match=r"policy returned actions of shape \[1, 6\], expected \[1, 1, 6\]"):
        runner.run(1)


def test_missed_ticks_are_skipped_and_never_caught_up():
    period, stall = 0.01, 0.055

    def think(decision):
        if decision == 5:
            time.sleep(stall)

    runner, ticks = make_runner(realtime=True, period=period, trouble=think)
    cadence = runner.run(12)
    assert len(ticks) == len(cadence.lateness) == len(runner.step.plant.written) == 12
    assert cadence.missed >= 1
    assert cadence.skipped >= int(stall / period)
    first, last = ticks[0].measurement.stamp[0], ticks[-1].measurement.stamp[0]
    assert last - first >= (11 + int(stall / period) - 1) * period  # time went on; the ticks did not come in a burst


def test_a_run_ends_when_it_is_told_to():
    stop = threading.Event()
    runner, ticks = make_runner(realtime=True, period=0.005, trouble=lambda decision: stop.set() if decision == 6 else None)
    runner.run(stop=stop)
    assert len(ticks) == 6


def test_warming_up_leaves_no_trace():
    runner, ticks = make_runner()
    runner.warm_up()
    runner.run(1)
    assert asked(ticks) == [1]


def test_what_does_not_belong_together_is_refused():
    step = ControlStep(FakePlant(UR5E, "velocity", 0.05), make_contract())
    with pytest.raises(ValueError, match="policy and control step differ: horizon is 3 here, 1 there"):
        Runner(Chunks(make_contract(horizon=3)), step)
    with pytest.raises(ValueError, match="replan must be in 1 … 1, got 2"):
        Runner(Chunks(step.contract), step, replan=2)


def test_a_correction_counts_in_place_of_the_policy_and_what_was_left_of_its_chunk_is_dropped():
    corrections = {2: 0.5, 3: 0.25}
    runner, ticks = make_runner(horizon=4)
    runner._correction = lambda: np.full((1, 6), value) if (value := corrections.get(len(ticks))) else None
    runner.run(6)
    assert asked(ticks) == [1, 1.01, 500, 250, 3, 3.01]  # decided anew in period 3, and after the last correction
    assert [tick.corrected for tick in ticks] == [False, False, True, True, False, False]


def test_nobody_corrects_on_a_sample_that_could_not_be_read():
    runner, ticks = make_runner()
    runner._correction = lambda: np.full((1, 6), 0.5)
    runner.tick(decide=False)
    assert asked(ticks) == [None]
    assert not ticks[0].corrected
