import itertools
import math

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import configure
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import nn
from transitions import filled_replay, small_contract

from isthmus_policies.networks import squash
from isthmus_policies.optimizer import FlatAdam
from isthmus_policies.replay import Batch, Replay
from isthmus_policies.sac import Sac, SacConfig, sac_config
from isthmus_sim.tasks import get_task

CONTRACT = small_contract()
SMALL = SacConfig(hidden=(16, 16), batch_size=32)


class Free(nn.Module):
    """An actor whose μ and log σ are the same everywhere, and free."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([0.3, -1.0]))

    def forward(self, features):
        return self.value.expand(len(features), 2)


def with_quadratic_critic(k):
    """Q(a) = −k a² / 2 on squashed actions."""
    learner = Sac(CONTRACT, SMALL)
    learner.actor = Free()
    learner.critic = lambda inputs: (-0.5 * k * inputs[:, -1:].square()).expand(2, -1, -1)
    return learner


def improve(learner, updates, *, temperature):
    """Descend actor and, if asked, temperature; gives σ and α, averaged over the last third."""
    parameters = [*learner.actor.parameters(), learner.log_alpha] if temperature else list(learner.actor.parameters())
    adam = torch.optim.Adam(parameters, lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    features, found = torch.zeros(256, 2), []
    for _ in range(updates):
        action, log_density = squash(*learner.gaussian(features), torch.randn(256, 1, generator=generator))
        loss = learner.actor_loss(features, action, log_density, learner.log_alpha.detach().exp())
        adam.zero_grad()
        (loss + learner.temperature_loss(log_density) * temperature).backward()
        adam.step()
        found.append([learner.actor.value[1].exp().item(), learner.log_alpha.exp().item()])
    return np.mean(found[-updates // 3 :], axis=0)


@pytest.mark.parametrize(("k", "alpha"), [(100, 0.792), (10, 0.0792)])
def test_temperature_finds_the_fixed_point_of_a_quadratic_critic(k, alpha):
    # Entropy −1 of a narrow Gaussian: σ = exp(−1) / √(2πe), and the best σ is √(α/k).
    sigma, found = improve(with_quadratic_critic(k), 4500, temperature=True)
    assert sigma == pytest.approx(math.exp(-1) / math.sqrt(2 * math.pi * math.e), rel=0.03)
    assert found == pytest.approx(alpha, rel=0.03)


def test_a_fixed_temperature_sets_the_spread():
    learner = with_quadratic_critic(100)
    with torch.no_grad():
        learner.log_alpha.fill_(math.log(0.2))
    sigma, _ = improve(learner, 4000, temperature=False)
    assert sigma == pytest.approx(math.sqrt(0.2 / 100), rel=0.05)


def test_without_anything_to_gain_the_temperature_falls():
    learner = with_quadratic_critic(0)
    falling = [learner.log_alpha.item()]
    for _ in range(5):
        improve(learner, 20, temperature=True)
        falling.append(learner.log_alpha.item())
    assert all(after < before for before, after in itertools.pairwise(falling))


@pytest.mark.parametrize("terminates", [False, True])
def test_a_time_limit_is_bootstrapped_and_an_end_is_not(terminates):
    gamma, replay = 0.8, Replay(CONTRACT, 400)
    states = np.eye(2, dtype=np.float32)[:, None, None]
    generator = np.random.default_rng(0)
    for period in range(200):
        last = np.array([period % 2 == 1])
        action, one = generator.uniform(-1, 1, (1, 1)), np.ones(1)
        # After the second state the chain goes on in the second state, if nothing ends it.
        replay.add({"state": states[period % 2]}, 0 * action, action, one, last & terminates, last & (not terminates), {"state": states[1]})
    learner = Sac(CONTRACT, SacConfig(hidden=(32, 32), learning_rate=3e-3, gamma=gamma, tau=0.05, batch_size=64))
    adam = FlatAdam(list(learner.critic.parameters()), 3e-3)
    noise = torch.Generator().manual_seed(0)
    for _ in range(1500):
        batch = replay.sample(64, gamma, 1, generator)
        now, after = learner.encoder(batch.observation).chunk(2)
        target = learner.soft_target(batch, after, torch.randn(64, 1, generator=noise), torch.tensor(0.0))
        adam.take(torch.autograd.grad(learner.critic_loss(now, batch, target), adam.parameters))
        adam.step(1.0)
        for mine, theirs in zip(learner.target.parameters(), learner.critic.parameters(), strict=True):
            mine.data.lerp_(theirs.data, 0.05)
    with torch.no_grad():
        value = learner.critic(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))[..., 0].mean(dim=0)
    expected = [1 + gamma, 1.0] if terminates else [1 / (1 - gamma)] * 2
    np.testing.assert_allclose(value, expected, rtol=0.04)


def test_each_loss_moves_its_own_parameters_only():
    def updated(loss=None):
        learner = Sac(CONTRACT, SMALL)
        if loss:
            original = getattr(learner, loss)
            setattr(learner, loss, lambda *inputs: 0 * original(*inputs))
        replay, generator = filled_replay(CONTRACT), np.random.default_rng(0)
        learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
        return {name: tensor.clone() for name, tensor in learner.state().items()}

    whole, without_actor, without_critic = updated(), updated("actor_loss"), updated("critic_loss")
    assert torch.equal(whole["critic.vector"], without_actor["critic.vector"])
    assert torch.equal(whole["actor.vector"], without_critic["actor.vector"])
    assert not torch.equal(whole["actor.vector"], without_actor["actor.vector"])
    assert not torch.equal(whole["critic.vector"], without_critic["critic.vector"])


def test_targets_move_by_tau_after_every_update():
    learner, replay, generator = Sac(CONTRACT, SMALL), filled_replay(CONTRACT), np.random.default_rng(0)
    for _ in range(3):
        before = learner.state()["target"].clone()
        learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
        torch.testing.assert_close(
            learner.state()["target"], torch.lerp(before, learner.state()["critic.vector"], SMALL.tau), rtol=0, atol=0
        )


def test_losses_are_those_of_stable_baselines3_for_the_same_weights_batch_and_noise():
    observed, acted = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Box(-1, 1, (1,))

    class Env(gymnasium.Env):
        observation_space, action_space = observed, acted

    theirs = SAC("MlpPolicy", Env(), learning_rate=0.0, batch_size=32, policy_kwargs={"net_arch": [16, 16]}, seed=0, device="cpu")
    theirs.set_logger(configure(None, []))
    mine, replay = Sac(CONTRACT, SMALL), filled_replay(CONTRACT)
    body, heads = theirs.actor.latent_pi, (theirs.actor.mu, theirs.actor.log_std)
    with torch.no_grad():
        for layer, source in ((0, body[0]), (2, body[2])):
            mine.actor[layer].weight.copy_(source.weight)
            mine.actor[layer].bias.copy_(source.bias)
        mine.actor[4].weight.copy_(torch.cat([head.weight for head in heads]))
        mine.actor[4].bias.copy_(torch.cat([head.bias for head in heads]))
        for twin, networks in ((mine.critic, theirs.critic.q_networks), (mine.target, theirs.critic_target.q_networks)):
            for number, network in enumerate(networks):
                for layer, source in enumerate(network[::2]):
                    twin.weights[layer][number] = source.weight.T
                    twin.biases[layer][number, 0] = source.bias
    batch = replay.sample(32, 0.99, 1, np.random.default_rng(0))
    now, after = batch.observation["state"][:, 0].chunk(2)
    samples = ReplayBufferSamples(now, batch.action, after, torch.zeros(32, 1), batch.reward[:, None], None)
    theirs.replay_buffer.sample = lambda *arguments, **named: samples
    torch.manual_seed(5)
    theirs.train(1, 32)
    torch.manual_seed(5)
    noise = [torch.normal(torch.zeros(32, 1), torch.ones(32, 1)) for _ in range(2)]
    one = torch.tensor(1.0)
    critic_loss = mine.critic_loss(now, batch, mine.soft_target(batch, after, noise[1], one))
    action, log_density = squash(*mine.gaussian(now), noise[0])
    told = theirs.logger.name_to_value
    # Its tanh correction has an epsilon of 1e-6, ours has none.
    assert critic_loss.item() == pytest.approx(told["train/critic_loss"], rel=1e-4)
    assert mine.actor_loss(now, action, log_density, one).item() == pytest.approx(told["train/actor_loss"], rel=1e-4, abs=1e-4)


def test_the_encoder_of_images_learns_from_the_critics():
    from isthmus_sim.suites import get_suite_task

    contract = get_suite_task("gym:HalfCheetah-v5@36").contract
    learner = Sac(contract, SMALL)
    before = [parameter.detach().clone() for parameter in learner.encoder.parameters()]
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (8, 3, 36, 36, 3), dtype=torch.uint8, generator=generator)
    action = torch.rand(4, 6, generator=generator)
    batch = Batch(np.arange(4), {"camera": pictures}, action, action, torch.ones(4), torch.ones(4))
    learner.update(lambda: batch, 1.0)
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.encoder.parameters(), strict=True))


def test_equal_seeds_draw_equal_networks_and_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second, third = (Sac(CONTRACT, SMALL, seed).state()["actor.vector"] for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_settings_are_checked_and_come_from_the_task():
    assert sac_config("reach").gamma == 0.9
    assert sac_config("unheard-of") == SacConfig()
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\), got 1.0"):
        SacConfig(gamma=1.0)
    with pytest.raises(ValueError, match="learning_rate must be > 0, got 0"):
        SacConfig(learning_rate=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_starts": -5}, "learning_starts must be >= 0, got -5"),
        ({"hidden": (0,)}, r"hidden must be widths >= 1, got \(0,\)"),
        ({"batch_size": 100_000_000}, "batch_size must be <= buffer_size 1000000, got 100000000"),
        ({"steps": 0}, "steps must be >= 1, got 0"),
        ({"n_step": 0}, "n_step must be >= 1, got 0"),
        ({"update_ratio": 0.0}, "update_ratio must be > 0, got 0.0"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SacConfig(**settings)


def test_a_task_that_decides_once_per_several_actions_is_refused():
    contract = get_task("slide").contract
    with pytest.raises(ValueError, match=rf"SAC decides every control period; task 'slide' decides once per {contract.horizon} actions"):
        Sac(contract, SMALL)
