"""Episodes are judged by the specification of their task; analytic systems by what was executed."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mujoco")

from isthmus.records import ActionChunk, Measurement
from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_cli.console import show
from isthmus_controllers.scripted import scripted_policy
from isthmus_evidence.reports.evaluation_report import evaluation_report
from isthmus_evidence.specification import Judge
from isthmus_evidence.system_evaluation import evaluate_system
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.systems import get_system, system_contract
from isthmus_sim.task import Transition
from isthmus_sim.tasks import get_task

REACH = get_task("reach")  # every 0.05 s


ROBOT = load_robot("ur5e")


def asking(formula, **signals):
    return dataclasses.replace(REACH, specification=Specification(formula, signals))


def ended(steps):
    return SimpleNamespace(steps=steps)


def test_an_episode_that_ends_early_has_not_reached_what_was_to_come():
    first, second = (f"joint_position.{joint}" for joint in ROBOT.joint_names[:2])
    asked = Specification(
        "always[0,0.2] (gap >= 0) and eventually[0,0.2] (goal >= 1)", {"goal": f"{second} + inputs", "gap": first, "inputs": "goal.x * 10"}
    )
    judged = Judge(asked, REACH.contract, ROBOT)

    def record(gaps, goals):
        position = np.zeros((len(gaps), 6))
        position[:, 0], position[:, 1] = gaps, np.array(goals) - 3
        measured = Measurement(np.zeros(len(gaps)), ROBOT.joint_names, position, position)
        judged.record(Transition(measured, measured, position, {"goal": np.full((len(gaps), 3), 0.3)}))

    for sample in range(6):
        record([0.5, 0.5, -0.1 if sample == 1 else 0.5], [float(sample == 4) + 1, float(sample == 4), 2.0])
    judged.conclude([ended(6), ended(3), ended(2)])
    np.testing.assert_allclose([found.robustness for found in judged.judgements], [0.5, -1.0, -0.1], atol=1e-6)
    assert [found.early for found in judged.judgements] == [False, True, True]
    record([2.0], [3.0])
    judged.conclude([ended(1)])
    assert judged.judgements[3].robustness == pytest.approx(2.0, abs=1e-6)


class Oscillating:
    """Lets the first two rows oscillate, until the guard stops them."""

    def __init__(self, contract):
        self.contract, self._sign = contract, 1.0

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return self.act_rows(observation, np.arange(len(next(iter(observation.values())))))

    def act_rows(self, observation, rows):
        self._sign = -self._sign
        actions = np.zeros((len(rows), 1, len(self.contract.action.elements)))
        actions[rows < 2] = 0.37 * self._sign
        return ActionChunk(actions, {})


def test_a_specification_that_looks_later_than_an_episode_lasted_ends_nothing(capsys):
    """And to be stopped by the guard satisfies nothing that was to be held."""
    pan = {"pan": f"joint_position.{ROBOT.joint_names[0]}"}
    asked = "eventually[3,4] (pan <= 10) and eventually[0,3] (always[2.5,4] (pan <= 10)) and always[3.5,4] (pan <= 10)"
    task = dataclasses.replace(asking(asked, **pan), episode_steps=150)
    summary = evaluate_task(task, Oscillating(task.contract), "mujoco", episodes=4)
    assert summary["ends"] == {"stopped by the guard": 2, "time limit": 2}
    stopped, whole = summary["per_episode"][0], summary["per_episode"][3]
    assert 20 < stopped["steps"] < 60 < whole["steps"]
    assert (stopped["specification"]["verdict"], whole["specification"]["verdict"]) == ("violated", "satisfied")
    found = summary["specification"]
    assert found["satisfied"]["rate"] == 0.5
    assert found["ended_early"] == {"satisfied": 0, "violated": 2, "unbroken": 0}
    assert found["robustness"]["episodes"] == 2
    kept = dataclasses.replace(task, specification=Specification("always[0,4] (pan <= 10)", pan))
    summary = evaluate_task(kept, Oscillating(task.contract), episodes=4)
    assert summary["specification"]["ended_early"] == {"satisfied": 0, "violated": 0, "unbroken": 2}
    assert summary["specification"]["satisfied"]["rate"] == 0.5
    show(evaluation_report(summary))
    told = capsys.readouterr().out
    assert "neither satisfied nor violated when they ended: 2 episodes; they do not count as satisfied" in told
    assert "of 2 that ended early, 0 satisfied, 0 violated, 2 unbroken" in told


def test_a_specification_that_looks_beyond_every_episode_is_judged_too():
    task = asking("eventually[9,10] (elbow <= 10)", elbow=f"joint_position.{ROBOT.joint_names[2]}")
    found = evaluate_task(task, scripted_policy("reach", task.contract), "mujoco", episodes=2)["specification"]
    assert (found["satisfied"]["rate"], found["violated"], found["robustness"]) == (0.0, 2, None)


def test_eval_reports_satisfaction_and_robustness():
    elbow = f"joint_position.{ROBOT.joint_names[2]}"
    task = asking("always[0,0.5] (elbow <= 10)", elbow=elbow)
    policy = scripted_policy("reach", task.contract)
    summary = evaluate_task(task, policy, "mujoco", episodes=3)
    found = summary["specification"]
    assert found["satisfied"]["rate"] == 1.0
    assert 6 < found["robustness"]["low"] <= found["robustness"]["mean"] <= found["robustness"]["high"] < 12
    assert "specification" not in evaluate_task(REACH, policy, "mujoco", episodes=1)


class Still:
    """Plans nothing for a system."""

    def __init__(self, system, horizon):
        self.contract = system_contract(system, horizon)
        self._shape = (horizon, len(system.controls))

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return SimpleNamespace(actions=np.zeros((len(observation["state"]), *self._shape)), info={})


def test_a_system_is_judged_by_what_was_executed():
    system = get_system("stl:ship-safe")
    summary = evaluate_system(system, Still(system, system.horizon), episodes=30, seed=3)
    asked = summary["specification"]
    drifting = system.rollout(
        np.concatenate([system.sample(1, np.random.default_rng(seed)) for seed in range(3, 33)]), np.zeros((30, system.horizon, 2))
    )
    sideways = (np.abs(drifting[:, :, 1]) <= 2).all(1)
    assert summary["success"]["rate"] == asked["safe"]["rate"] == asked["first_plan"]["rate"] <= sideways.mean()
    assert asked["backup"] == 0
    assert summary["per_episode"][0]["seed"] == 3
    reactive = evaluate_system(system, Still(system, 1), episodes=30, seed=3)
    assert reactive["success"] == summary["success"]
    assert reactive["specification"]["plans"] is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"episodes": 0}, "episodes must be >= 1, seed >= 0 and replan in 1 … 20, got 0, 0 and 1"),
        ({"replan": 21}, "replan in 1 … 20, got 2, 0 and 21"),
    ],
)
def test_numbers_out_of_range(changes, sentence):
    system = get_system("stl:ship-safe")
    with pytest.raises(ValueError, match=sentence):
        evaluate_system(system, Still(system, system.horizon), **{"episodes": 2, "seed": 0, **changes})


def test_another_systems_policy_is_refused():
    with pytest.raises(ValueError, match="the policy has another contract than task 'stl:maze'"):
        evaluate_system(get_system("stl:maze"), Still(get_system("stl:traffic"), 25), episodes=2, seed=0)
