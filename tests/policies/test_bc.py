import numpy as np
import pytest
import torch
from transitions import filled_replay

import isthmus_sim
from isthmus.artifact import Artifact
from isthmus_policies.bc import Bc, BcConfig
from isthmus_policies.offline import Offline
from isthmus_policies.outcome import Evaluation
from isthmus_policies.ppo import Ppo, PpoConfig
from isthmus_policies.sac import Sac, SacConfig
from isthmus_policies.training import train
from isthmus_policies.transfer import load_actor
from isthmus_sim.tasks import get_task

TASK = get_task("pendulum")
SMALL = BcConfig(steps=300, hidden=(16,), learning_rate=1e-2, evaluate_every=150, checkpoint_every=100)


def recorded(value=0.4):
    """A recording of one action everywhere."""
    replay = filled_replay(TASK.contract)
    replay._values[:, -1] = value
    return Offline(replay, 0.5, "recorded")


def trained(out, offline, config=SMALL, **options):
    env = isthmus_sim.make_vec("pendulum", 1)
    env.step = None  # nothing acts
    return train(
        Bc(TASK.contract, config), env, lambda policy: Evaluation(0.0, 0.0), out, config=config, seed=0, offline=offline, **options
    )


def test_it_does_what_was_recorded_and_nothing_acts(tmp_path):
    result = trained(tmp_path, recorded())
    seen = filled_replay(TASK.contract, seed=5).observations(50)
    action = TASK.contract.action
    asked = (np.array(action.high) + action.low) / 2 + 0.4 * (np.array(action.high) - action.low) / 2
    assert Artifact.load(result.policy).policy().act(seen).actions[:, 0, 0] == pytest.approx(
        asked[0], abs=0.05 * (action.high[0] - action.low[0])
    )
    assert Artifact.load(result.policy).training["offline"] == "recorded"


def test_it_goes_on_half_way_as_if_nothing_had_happened(tmp_path):
    class Killed(Exception):
        pass

    def kill(step, total, evaluation):
        if step == 130:
            raise Killed

    with pytest.raises(Killed):
        trained(tmp_path / "killed", recorded(), progress=kill)
    trained(tmp_path / "killed", recorded(), resume=True)
    trained(tmp_path / "whole", recorded())
    members = [Artifact.load(tmp_path / name / "last.isthmus").members["policy.onnx"] for name in ("killed", "whole")]
    assert members[0] == members[1]


def test_soft_actor_critic_goes_on_from_it_and_ppo_does_not(tmp_path):
    artifact = Artifact.load(trained(tmp_path, recorded()).policy)
    learner = Sac(TASK.contract, SacConfig(hidden=(16,)), seed=9)
    load_actor(learner, artifact)
    seen = filled_replay(TASK.contract).observations(20)
    with torch.no_grad():
        found = learner.policy()({name: torch.from_numpy(value) for name, value in seen.items()}).numpy()
    np.testing.assert_allclose(found, artifact.policy().act(seen).actions, atol=1e-4)
    with pytest.raises(ValueError, match="a training with ppo begins anew; --from goes with sac, dsac-t, srl, bc"):
        load_actor(Ppo(TASK.contract, PpoConfig()), artifact)


def test_recordings_are_needed_by_one_and_refused_by_the_other(tmp_path):
    with pytest.raises(
        ValueError, match="bc does what recordings did; give them with --offline, or ask for some of the task's script with --scripted"
    ):
        trained(tmp_path / "bc", None)
    config, env = PpoConfig(num_envs=1), isthmus_sim.make_vec("pendulum", 1)
    with pytest.raises(ValueError, match="ppo learns from what its own policy does, and cannot use recordings; leave --offline out"):
        train(Ppo(TASK.contract, config), env, None, tmp_path / "ppo", config=config, seed=0, offline=recorded())
