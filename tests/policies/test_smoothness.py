import dataclasses

import numpy as np
import pytest
import torch
from transitions import filled_replay

import isthmus_sim
from isthmus_policies.dsac_t import DsacT, DsacTConfig
from isthmus_policies.learner import DivergedError
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import Sac, SacConfig
from isthmus_policies.sb3_sac import train_sb3_sac
from isthmus_policies.smoothness import SPREAD, neighbours, smoothness_loss
from isthmus_policies.srl import Srl, SrlConfig
from isthmus_sim.sb3 import Sb3VecEnv
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
COMMON = {"batch_size": 32, "temporal_smoothness": 30.0, "spatial_smoothness": 30.0}
LEARNERS = {
    "sac": (Sac, SacConfig(hidden=(16, 16), learning_rate=3e-3, **COMMON)),
    "dsac-t": (DsacT, DsacTConfig(hidden=(16, 16), actor_rate=3e-3, **COMMON)),
    "srl": (Srl, SrlConfig(hidden=16, critic_hidden=(16, 16), model_hidden=(16, 16), sequence=2, learning_rate=3e-3, **COMMON)),
}


def test_the_loss_is_the_mean_of_squared_differences():
    now, after, noise = torch.zeros(1, 3), torch.ones(1, 3), torch.tensor([[1.0, -1.0, 2.0]])
    near = neighbours(now, after, noise)
    assert near.tolist() == [[[1.0, 1.0, 1.0]], [pytest.approx([SPREAD, -SPREAD, 2 * SPREAD])]]
    action, others = torch.tensor([[0.1, 0.5]]), torch.tensor([[[0.3, 0.5]], [[0.1, 0.1]]])
    assert smoothness_loss(action, others, (2.0, 3.0)).item() == pytest.approx(2 * 0.04 / 2 + 3 * 0.16 / 2)
    assert smoothness_loss(action, action.expand(2, 1, 2), (2.0, 3.0)).item() == 0.0


def change(learner, replay):
    """Of the deterministic action from one observation to the next, mean square in SI."""
    batch = replay.sample(200, 0.9, 1, np.random.default_rng(1))
    with torch.no_grad():
        now, after = learner.policy()(batch.observation).chunk(2)
    return (now - after).square().mean().item()


@pytest.mark.parametrize("name", LEARNERS)
def test_an_actor_that_is_asked_for_smoothness_does_about_the_same_at_what_follows(name):
    kind, config = LEARNERS[name]

    def learned(config):
        learner = kind(CONTRACT, config, 0)
        replay, generator = filled_replay(learner.contract), np.random.default_rng(0)
        for _ in range(60):
            learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
        return change(learner, replay)

    plain = dataclasses.replace(config, temporal_smoothness=0.0, spatial_smoothness=0.0)
    assert learned(config) < 0.5 * learned(plain)


def test_so_does_the_actor_of_stable_baselines3(tmp_path):
    def learned(weight):
        config = SacConfig(
            steps=160,
            learning_starts=50,
            batch_size=32,
            hidden=(16, 16),
            learning_rate=3e-3,
            temporal_smoothness=weight,
            spatial_smoothness=weight,
        )
        env = Sb3VecEnv(isthmus_sim.make_vec("reach", 1), 0)
        out = tmp_path / f"{weight}"
        result = train_sb3_sac(CONTRACT, env, lambda policy: Evaluation(0.0, 0.0), out, config=config, seed=0)
        observed = filled_replay(CONTRACT).sample(200, 0.9, 1, np.random.default_rng(1)).observation
        now, after = np.split(result_policy(result).act({name: value.numpy() for name, value in observed.items()}).actions, 2)
        return np.square(now - after).mean()

    assert learned(100.0) < 0.5 * learned(0.0)


def result_policy(result):
    from isthmus.artifact import Artifact

    return Artifact.load(result.policy).policy()


def test_without_weights_nothing_is_drawn_for_it():
    features = torch.zeros(4, Sac(CONTRACT, SacConfig(hidden=(8,))).encoder.size)
    assert Sac(CONTRACT, SacConfig(hidden=(8,))).near(features, features) is None
    with pytest.raises(ValueError, match="temporal_smoothness must be >= 0, got -1"):
        SacConfig(temporal_smoothness=-1.0)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("network", ["actor", "critic"])
def test_a_gradient_that_is_not_finite_is_caught_before_the_step_although_the_loss_is_finite(name, network):
    kind, config = LEARNERS[name]
    learner = kind(CONTRACT, config, 0)
    replay, generator = filled_replay(learner.contract), np.random.default_rng(0)

    def update():
        return learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)

    update()  # of DSAC-T's updates only every second one moves the actor
    next(iter(getattr(learner, network).parameters())).register_hook(lambda gradient: gradient * float("nan"))
    before = {key: tensor.clone() for key, tensor in learner.state().items() if key != "generator"}
    with pytest.raises(DivergedError, match=f"{network}_gradient is nan"):
        update()
    assert all(torch.equal(tensor, learner.state()[key]) for key, tensor in before.items())
