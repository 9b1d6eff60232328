"""`isthmus.load`, with observations as environments give them."""

import importlib.metadata
import re

import numpy as np
import pytest

import isthmus
from isthmus.policy import RowPolicy

isthmus_sim = pytest.importorskip("isthmus_sim")


@pytest.mark.parametrize("task", ["pendulum", "reach"])
def test_an_observation_of_make_fits_act(tmp_path, task):
    from isthmus_cli.main import main

    file = tmp_path / "policy.isthmus"
    if task == "pendulum":
        graph = pytest.importorskip("torch")
        from isthmus_policies.export import export_graph
        from isthmus_sim.tasks import get_task

        class Still(graph.nn.Module):
            def forward(self, observation):
                return 0.0 * observation["joint_velocity"]

        contract = get_task(task).contract
        samples = {signal.name: np.zeros((5, signal.history, *signal.shape), signal.dtype) for signal in contract.observation}
        export_graph(contract, Still(), samples).save(file)
    else:
        assert main(["script", task, "--out", str(file)]) == 0
    policy = isthmus.load(file)
    env, rows = isthmus_sim.make(task), isthmus_sim.make_vec(task, 1)
    observation, _ = env.reset(seed=0)
    batch, _ = rows.reset(seed=0)
    actions = policy.act(observation).actions
    assert actions.shape == (1, 1, *env.action_space.shape)
    np.testing.assert_array_equal(actions, policy.act(batch).actions)
    env.step(actions[0, 0])
    rows.step(policy.act(batch).actions[:, 0])
    assert isinstance(policy, isthmus.Policy)
    assert not isinstance(policy, RowPolicy)


@pytest.mark.parametrize("path", [None, 3, True, "", b"policy.isthmus", ["policy.isthmus"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match=f"a policy file is named by its path, got {re.escape(repr(path))}"):
        isthmus.load(path)


def test_the_version_is_that_of_the_distribution():
    assert isthmus.__version__ == importlib.metadata.version("isthmus")
