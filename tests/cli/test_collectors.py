"""`isthmus train … --collectors N`: environments in processes of Ray give what they give in one process."""

from pathlib import Path

import numpy as np
import pytest
import ray

from isthmus.artifact import Artifact
from isthmus_cli.train.collectors import CollectorEnv, Collectors
from isthmus_cli.train.tasks import training_environment
from isthmus_sim.randomization import Entry, Randomization, Uniform, load_randomization
from isthmus_sim.tasks import get_task

RANDOM = Path(__file__).parents[2] / "examples" / "randomize" / "reach.yaml"
SMALL = ("--steps", 160, "--num-envs", 4, "--learning-starts", 80, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 160)


@pytest.fixture
def environments(tmp_path):
    task, randomization = get_task("reach"), load_randomization(RANDOM)
    alone = training_environment(task, "mujoco", 4, randomization, tmp_path / "alone")
    spread = CollectorEnv("reach", task.contract, "mujoco", 4, randomization, tmp_path / "spread", Collectors(2))
    yield alone, spread
    alone.close()
    spread.close()


def test_rows_in_several_processes_do_what_they_do_in_one_and_a_dead_process_is_told(environments):
    generator = np.random.default_rng(0)
    ends = 0
    for episode in range(2):
        found = []
        for env in environments:
            env.progress = 0.25
            found.append(env.reset(seed=5 + episode)[0])
        for name, values in found[0].items():
            np.testing.assert_array_equal(values, found[1][name])
        for _ in range(110):
            actions = generator.uniform(-1.5, 1.5, (4, 6)).astype(np.float32)
            alone, spread = (env.step(actions) for env in environments)
            for first, second in zip(alone[1:4], spread[1:4], strict=True):
                np.testing.assert_array_equal(first, second)
            for first, second in ((alone[0], spread[0]), (alone[4].get("final_obs"), spread[4].get("final_obs"))):
                assert (first is None) == (second is None)
                for name, values in (first or {}).items():
                    np.testing.assert_array_equal(values, second[name])
            np.testing.assert_array_equal(alone[4]["rung"], spread[4]["rung"])
            ends += int((alone[2] | alone[3]).sum())
    assert ends >= 8
    _, env = environments
    env._ray.kill(env._actors[1])
    with pytest.raises(ValueError, match="a collector died; continue with --resume"):
        env.step(actions)


def test_an_environment_that_cannot_be_made_is_told_with_its_cause(tmp_path):
    randomization = Randomization((Entry("payloat", Uniform(0.0, 1.0)),))
    with pytest.raises(ValueError, match=r"^unknown parameter 'payloat'; did you mean 'payload'\?"):
        CollectorEnv("reach", get_task("reach").contract, "mujoco", 2, randomization, tmp_path, Collectors(1))
    assert not ray.is_initialized()


def test_a_training_with_collectors_ends_with_the_weights_of_one_without(isthmus, tmp_path):
    words = ("train", "sac", "pendulum", *SMALL, "--out")
    assert isthmus(*words, tmp_path / "alone")[0] == 0
    assert isthmus(*words, tmp_path / "spread", "--collectors", 2)[0] == 0
    digests = {Artifact.load(tmp_path / name / "last.isthmus").policy_digest for name in ("alone", "spread")}
    assert len(digests) == 1


def test_refusals_name_the_bad_value(refuse, tmp_path):
    words = ("train", "sac", "pendulum", *SMALL, "--out", tmp_path / "run", "--collectors")
    assert "collectors must be >= 1 and divide num_envs 4, got 3" in refuse(*words, 3)
    assert "collectors must be >= 1 and divide num_envs 4, got 0" in refuse(*words, 0)
    assert "--engine sb3 steps its environments itself" in refuse(*words, 2, "--engine", "sb3")
    assert "--address is of the cluster for --collectors, which is not given" in refuse(*words[:-1], "--address", "auto")
    assert not (tmp_path / "run").exists()
