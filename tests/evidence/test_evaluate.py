"""`isthmus_evidence.evaluate`: one way to an evaluation, wherever its task runs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco")

from isthmus.artifact import Artifact
from isthmus.records import ActionChunk
from isthmus_evidence import evaluate
from isthmus_evidence.suite_evaluation import evaluate_suite
from isthmus_evidence.system_evaluation import evaluate_system
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.randomization import Randomization
from isthmus_sim.suites import get_suite_task
from isthmus_sim.systems import get_system, system_contract
from isthmus_sim.tasks import get_task


class Resting:
    """Asks for nothing."""

    def __init__(self, contract):
        self.contract = contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        rows = len(next(iter(observation.values())))
        return ActionChunk(np.zeros((rows, self.contract.horizon, len(self.contract.action.elements))))


def figures(summary):
    return {key: value for key, value in summary.items() if key != "cadence"}


def test_a_file_what_is_in_it_and_its_policy_give_the_same(policies):
    file, chosen = policies / "pendulum.isthmus", {"episodes": 2, "seed": 5, "parameters": {"payload": 0.1}}
    artifact = Artifact.load(file)
    expected = figures(evaluate_task(get_task("pendulum"), artifact.policy(), "pybullet", **chosen))
    for policy in (file, str(file), artifact, artifact.policy()):
        assert figures(evaluate(policy, plant="pybullet", **chosen)) == expected
    assert figures(evaluate(file, get_task("pendulum"), "pybullet", **chosen)) == expected


def test_suites_and_systems_run_in_their_own_simulation():
    pytest.importorskip("gymnasium")
    task, system = get_suite_task("gym:Pendulum-v1"), get_system("stl:maze")
    found = evaluate(Resting(task.contract), episodes=2, seed=3)
    assert figures(found) == figures(evaluate_suite(task, Resting(task.contract), episodes=2, seed=3))
    contract = system_contract(system, system.horizon)
    found = evaluate(Resting(contract), episodes=2, seed=3)
    assert figures(found) == figures(evaluate_system(system, Resting(contract), episodes=2, seed=3, replan=1))


def test_a_policy_of_sequences_sees_its_task_with_them():
    from isthmus.sequence import sequence_contract

    policy = Resting(sequence_contract(get_task("pendulum").contract, 4))
    summary = evaluate(policy, episodes=1)
    assert summary["cadence"]["inference_ms"]
    assert summary["per_episode"][0]["steps"] == get_task("pendulum").episode_steps


@pytest.mark.parametrize(
    ("task", "given", "sentence"),
    [
        ("stl:maze", {"record": Path("traces")}, "'stl:maze' is an analytic model, so record cannot be given"),
        (
            "gym:Pendulum-v1",
            {"parameters": {"payload": 1.0}},
            "'gym:Pendulum-v1' runs in a suite's own simulation, so parameters cannot be given",
        ),
        ("pendulum", {"plant": "ros"}, "plant 'ros' needs the path of a policy file"),
        ("pendulum", {"plant": "mujocco"}, "mujocco"),
        ("pendulum", {"parameters": {"weight": 1.0}}, "weight"),
        ("pendulum", {"task": "reach"}, "the policy (here) has another contract than task 'reach' (there)"),
        ("pendulum", {"task": "reech"}, "unknown task 'reech'; did you mean 'reach'"),
    ],
)
def test_what_cannot_be_is_refused(task, given, sentence):
    contract = {"stl:maze": lambda: system_contract(get_system(task), 25), "gym:Pendulum-v1": lambda: get_suite_task(task).contract}
    policy = Resting(contract.get(task, lambda: get_task(task).contract)())
    with pytest.raises(ValueError, match=re.escape(sentence)):
        evaluate(policy, episodes=1, **given)


def test_over_topics_nothing_is_drawn_or_filmed(policies):
    with pytest.raises(ValueError, match="plant 'ros' runs nodes, so randomization cannot be given"):
        evaluate(policies / "pendulum.isthmus", plant="ros", randomization=Randomization())


def test_importing_the_package_loads_nothing_heavy():
    program = "import sys, isthmus_evidence, isthmus_evidence.provenance; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "isthmus_evidence" in loaded
    assert not {"numpy", "isthmus_sim", "gymnasium", "mujoco", "matplotlib", "rclpy"} & set(loaded)
    import isthmus_evidence

    with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
        isthmus_evidence.evaluat  # noqa: B018
