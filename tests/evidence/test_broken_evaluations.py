"""An evaluation is never lost by one row: what asks for NaN is counted and named."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from isthmus import ActionChunk
from isthmus_cli.console import show
from isthmus_evidence.reports.evaluation_report import evaluation_report
from isthmus_evidence.system_evaluation import evaluate_system
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.systems import get_system, system_contract
from isthmus_sim.tasks import get_task


class Failing:
    """Plans rest; from the third decision on NaN, in rows whose goal, or state, begins with `spoilt`."""

    def __init__(self, contract, spoilt=np.inf):
        self.contract, self.spoilt, self.decisions = contract, spoilt, 0

    def reset(self, rows=None, seed=None):
        self.decisions = 0

    def act(self, observation):
        first = observation["goal" if "goal" in observation else "state"][:, 0, 0]
        self.decisions += 1
        actions = np.zeros((len(first), self.contract.horizon, len(self.contract.action.elements)))
        if self.decisions >= 3 or self.contract.horizon > 1:
            actions[first == self.spoilt] = np.nan
        return ActionChunk(actions)


def test_an_evaluation_is_not_lost_by_one_command(capsys):
    task = get_task("reach")
    spoilt = np.float32(task.start([np.random.default_rng(5)]).inputs["goal"][0, 0])
    whole = evaluate_task(task, Failing(task.contract), episodes=4, seed=3)["per_episode"]
    summary = evaluate_task(task, Failing(task.contract, spoilt), episodes=4, seed=3)
    assert summary["ends"] == {"time limit": 3, "not finite": 1}
    assert [summary["per_episode"][row] for row in (0, 1, 3)] == [whole[row] for row in (0, 1, 3)]
    assert np.isfinite(summary["return"]["mean"])
    assert [episode["motion"]["periods"] for episode in summary["per_episode"]] == [
        100,
        100,
        3,
        100,
    ]  # what it did, not how it was braked after
    assert np.isfinite(summary["motion"]["peak_acceleration"])
    show(evaluation_report(summary))
    assert f"episode 5 is a failure after 3 steps: command of {task.contract.action.elements[0]} is not finite" in capsys.readouterr().out
    seen = {**summary, "cadence": {**summary["cadence"], "picture_age_ms": {"p50": 21.3, "p99": 38.7}}}
    assert "age of the pictures at the decisions: median 21 ms, 99th percentile 39 ms" in list(evaluation_report(seen))


def test_a_plan_that_is_not_finite_makes_its_own_execution_a_failure():
    system = get_system("stl:maze")
    contract = system_contract(system, system.horizon)
    spoilt = np.float32(system.sample(1, np.random.default_rng(4))[0, 0])
    whole = evaluate_system(system, Failing(contract), episodes=3, seed=3)["per_episode"]
    summary = evaluate_system(system, Failing(contract, spoilt), episodes=3, seed=3)
    assert [episode["invalid"] for episode in summary["per_episode"]] == ["", "command of acceleration is not finite", ""]
    assert summary["ends"] == {"time limit": 2, "not finite": 1}
    assert [episode["motion"]["periods"] for episode in summary["per_episode"]] == [system.horizon, 0, system.horizon]
    assert not summary["per_episode"][1]["success"]
    assert [summary["per_episode"][row] for row in (0, 2)] == [whole[row] for row in (0, 2)]


class Steady(Failing):
    """Plans the same control for ever."""

    def __init__(self, contract, control):
        super().__init__(contract)
        self.control = control

    def act(self, observation):
        return ActionChunk(np.full((len(observation["state"]), self.contract.horizon, 1), self.control))


@pytest.mark.parametrize("asked", [41.0, 1e6, 1e300])
def test_a_control_beyond_the_bounds_of_a_system_is_cut_off_and_told_as_it_was_executed(asked):
    system = get_system("stl:maze")
    contract = system_contract(system, system.horizon)
    assert system.high == (40.0,)
    beyond, bound = (evaluate_system(system, Steady(contract, control), episodes=2, seed=3) for control in (asked, 40.0))
    for summary in (beyond, bound):
        summary.pop("cadence")
    assert beyond == bound
