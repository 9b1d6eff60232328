"""Meta-World's tasks; runs in an environment of its own, by `make test-metaworld`."""

import json
import sys

import numpy as np
import pytest

from isthmus_cli.main import main
from isthmus_sim.suites import SuiteVectorEnv, get_suite_task, run_suite_episodes


class Expert:
    """Meta-World's own scripted policy for a task, which sees the state."""

    def __init__(self, contract, policy):
        self.contract, self._policy = contract, policy

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        from isthmus import ActionChunk

        actions = np.array([self._policy.get_action(row[0].astype(np.float64)) for row in observation["observation"]])
        return ActionChunk(np.clip(actions, -1, 1)[:, None])


def test_contract_comes_from_the_spaces():
    task = get_suite_task("metaworld:reach-v3")
    (signal,) = task.contract.observation
    assert (len(signal.elements), len(task.contract.action.elements), task.episode_steps) == (39, 4, 500)
    assert (task.contract.mode, task.contract.robot) == ("raw", "metaworld")
    assert task.contract.control_period == pytest.approx(0.0125)


def test_unknown_names_get_suggestions():
    with pytest.raises(ValueError, match=r"unknown task 'metaworld:reech-v3'; did you mean metaworld:reach-v3"):
        get_suite_task("metaworld:reech-v3")


def test_a_seed_is_an_episode_with_a_goal_of_its_own():
    env = SuiteVectorEnv(get_suite_task("metaworld:reach-v3"), 3)
    first = env.reset(seed=[1, 2, 1])[0]["observation"][:, 0]
    np.testing.assert_array_equal(first[0], first[2])
    assert not np.array_equal(first[0, -3:], first[1, -3:])
    assert np.abs(first[:, -3:]).sum() > 0, "the goal is hidden"
    env.close()


@pytest.mark.parametrize("name", ["reach", "push"])
def test_the_suite_s_own_expert_succeeds(name):
    from metaworld.policies import ENV_POLICY_MAP

    task = get_suite_task(f"metaworld:{name}-v3")
    episodes, _ = run_suite_episodes(task, Expert(task.contract, ENV_POLICY_MAP[f"{name}-v3"]()), range(3))
    assert all(episode.success for episode in episodes)
    assert all(episode.steps == 500 for episode in episodes)


def test_pictures_stand_upright():
    env = SuiteVectorEnv(get_suite_task("metaworld:reach-v3@64"), 1)
    picture = env.reset(seed=0)[0]["camera"][0, -1].astype(float)
    # The arm is the red thing; it stands on its base, which is at the lower left.
    rows, columns = np.nonzero(picture[..., 0] - picture[..., 1:].max(axis=-1) > 60)
    assert rows.mean() > 20
    assert columns.mean() < 32
    env.close()


def test_training_leaves_a_policy_that_eval_runs(tmp_path, capsys):
    small = ("--learning-starts", 50, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 1000)
    words = ("train", "sac", "metaworld:reach-v3", "--steps", 200, "--out", tmp_path, *small)
    assert main([str(word) for word in words]) == 0
    capsys.readouterr()
    assert main(["eval", str(tmp_path / "policy.isthmus"), "--episodes", "2", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["task"], result["plant"], result["episodes"]) == ("metaworld:reach-v3", "metaworld", 2)
    assert set(result["success"]) == {"rate", "low", "high"}
    assert "mujoco.batch" not in sys.modules
    assert not [name for name in sys.modules if name.startswith("isthmus_sim.plants.")]
