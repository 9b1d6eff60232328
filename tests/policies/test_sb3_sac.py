import json
import signal

import numpy as np
import pytest
from safetensors.numpy import load_file
from stable_baselines3 import SAC

import isthmus_sim
from isthmus.artifact import Artifact
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import SacConfig
from isthmus_policies.sb3_sac import _Buffer, train_sb3_sac
from isthmus_sim.sb3 import Sb3VecEnv
from isthmus_sim.tasks import get_task

TASK = get_task("pendulum")
SMALL = SacConfig(steps=180, learning_starts=50, batch_size=32, hidden=(16, 16), evaluate_every=60, checkpoint_every=100)


def trained(out, scores=(1.0, 3.0, 2.0), seed=0, progress=None):
    remaining = iter(scores)
    env = Sb3VecEnv(isthmus_sim.make_vec("pendulum", 1), seed)
    return train_sb3_sac(
        TASK.contract,
        env,
        lambda policy: Evaluation(next(remaining), 0.0),
        out,
        config=SMALL,
        seed=seed,
        progress=progress,
    )


def test_the_best_evaluation_becomes_the_policy(tmp_path):
    result = trained(tmp_path)
    assert result.best == Evaluation(3.0, 0.0)
    assert result.steps == 180
    assert Artifact.load(result.policy).training["steps"] == 120
    assert Artifact.load(tmp_path / "last.isthmus").training["steps"] == 180
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [60, 120, 180]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step_000000100.safetensors",
        "step_000000180.safetensors",
    ]


def test_equal_seeds_train_equal_networks_and_other_seeds_do_not(tmp_path):
    weights = [load_file(trained(tmp_path / name, seed=seed).checkpoint) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(np.array_equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_interrupt_leaves_a_checkpoint_and_a_policy(tmp_path):
    def interrupt(step, total, evaluation):
        if step == 90:
            signal.raise_signal(signal.SIGINT)

    result = trained(tmp_path, progress=interrupt)
    assert result.interrupted
    assert result.checkpoint.name == "step_000000090.safetensors"
    assert result.checkpoint.is_file()
    assert Artifact.load(result.policy).training["steps"] == 60


def test_settings_that_the_engine_does_not_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="n_step must be 1 with --engine sb3, got 3"):
        train_sb3_sac(TASK.contract, None, None, tmp_path, config=SacConfig(n_step=3), seed=0)


def test_a_task_that_decides_once_per_several_actions_is_refused(tmp_path):
    contract = get_task("slide").contract
    with pytest.raises(ValueError, match=rf"SAC decides every control period; task 'slide' decides once per {contract.horizon} actions"):
        train_sb3_sac(contract, None, None, tmp_path, config=SMALL, seed=0)


def test_a_period_that_is_no_experience_is_not_remembered():
    env = Sb3VecEnv(isthmus_sim.make_vec("pendulum", 1), 0)
    model = SAC("MultiInputPolicy", env, replay_buffer_class=_Buffer, buffer_size=10)
    before = env.reset()
    for lost in (False, True, False):
        model.replay_buffer.add(before, before, np.zeros((1, 1)), np.zeros(1), np.zeros(1), [{"lost": lost}])
    assert model.replay_buffer.pos == 2
