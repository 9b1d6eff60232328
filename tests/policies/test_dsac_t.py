import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transitions import filled_replay, small_contract

from isthmus_policies.dsac_t import DELAY, DsacT, DsacTConfig, dsac_t_config, random_target, surrogate_loss
from isthmus_policies.networks import squash
from isthmus_policies.replay import Batch
from isthmus_sim.tasks import get_task

CONTRACT = small_contract()
SMALL = DsacTConfig(hidden=(16, 16), batch_size=32)


def two(*values):
    return torch.tensor(values).expand(2, -1).clone()


def test_gradients_are_those_of_the_paper():
    mean, std = two(1.0).requires_grad_(), two(2.0).requires_grad_()
    loss = surrogate_loss(mean, std, torch.tensor([3.0]), two(5.0), torch.tensor([2.0, 2.0]))
    of_mean, of_std = torch.autograd.grad(loss, (mean, std))
    torch.testing.assert_close(of_mean, two(-2.0))
    torch.testing.assert_close(of_std, two(-6.074074))


def test_random_targets_are_clipped_around_the_mean_and_expected_ones_are_not():
    mean, spread = two(1.0, 1.0, 1.0), torch.tensor([0.5, 2.0])
    clipped = random_target(mean, torch.tensor([21.0, -19.0, 1.2]), spread)
    torch.testing.assert_close(clipped, torch.tensor([[2.5, -0.5, 1.2], [7.0, -5.0, 1.2]]))
    far = two(1.0).requires_grad_()
    (gradient,) = torch.autograd.grad(surrogate_loss(far, two(2.0), torch.tensor([1001.0]), two(1.0), torch.tensor([1.0, 1.0])), far)
    torch.testing.assert_close(gradient, two(-1000 / 4.1 * 1.1))


def test_the_temperature_begins_where_the_documentation_says():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "learners.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"the temperature begins at (\S+),", page)
    assert DsacT(CONTRACT, SMALL, seed=0).log_alpha.exp().item() == float(told) == dsac_t_config("gym:HalfCheetah-v5").initial_temperature


def learn_gaussian(reward, discount, updates):
    """One state with free Q and σ, whose reward is noise; the target is the estimate itself. Gives Q and σ, averaged over the last quarter."""
    generator = torch.Generator().manual_seed(0)
    q, before = torch.zeros(2, 1, requires_grad=True), torch.ones(2, 1, requires_grad=True)
    adam = torch.optim.Adam([q, before], lr=3e-3)
    spread, found = None, []
    for _ in range(updates):
        mean, std = q.expand(2, 256), torch.nn.functional.softplus(before).expand(2, 256)
        now = std.detach().mean(dim=1)
        spread = now if spread is None else torch.lerp(spread, now, 0.005)
        drawn = reward(torch.randn(256, generator=generator))
        chance = torch.randn(256, generator=generator).clamp(-3, 3)
        expected = drawn + discount * mean.detach()[0]
        random = drawn + discount * (mean.detach()[0] + chance * std.detach()[0])
        adam.zero_grad()
        surrogate_loss(mean, std, expected, random_target(mean.detach(), random, spread), spread).backward()
        adam.step()
        found.append([mean[0, 0].item(), std[0, 0].item()])
    return np.mean(found[-updates // 4 :], axis=0)


def test_a_bandit_teaches_mean_and_standard_deviation():
    mean, std = learn_gaussian(lambda noise: 2 + 1.5 * noise, 0.0, 6000)
    assert mean == pytest.approx(2.0, rel=0.02)
    assert std == pytest.approx(1.496, rel=0.02)


def test_noise_that_goes_on_for_ever_adds_up_in_the_standard_deviation():
    # 1 / √(1 − γ²) = 2.294 without clipping; a standard deviation that is learned from expected targets would be 1.
    mean, std = learn_gaussian(lambda noise: noise, 0.9, 6000)
    assert mean == pytest.approx(0, abs=0.3)
    assert 2.15 < std < 2.32


def test_targets_are_those_of_the_twin_with_the_smaller_mean_whatever_is_drawn():
    learner = DsacT(CONTRACT, SMALL)
    with torch.no_grad():
        learner.log_alpha.fill_(-30.0)
    means, wide = torch.tensor([[1.0, 5.0, 0.0], [2.0, 4.0, 0.0]]), torch.full((2, 3), 3.0)
    learner.target = lambda inputs: torch.stack([means, torch.log(torch.expm1(wide))], dim=-1)
    zero = torch.zeros(3, 1)
    batch = Batch(np.arange(3), {}, zero, zero, torch.full((3,), 0.5), torch.tensor([0.9, 0.9, 0.0]))
    chance = torch.tensor([[1.0, -1.0, 1.0], [-2.0, 2.0, 1.0]])
    expected, drawn = learner.targets(batch, torch.zeros(3, 2), zero, chance)
    torch.testing.assert_close(expected, torch.tensor([0.5 + 0.9 * 1, 0.5 + 0.9 * 4, 0.5]))
    torch.testing.assert_close(drawn, torch.tensor([0.5 + 0.9 * (1 + 3), 0.5 + 0.9 * (4 + 6), 0.5]))


def test_targets_have_the_entropy_of_the_target_policy():
    learner = DsacT(CONTRACT, SMALL)
    with torch.no_grad():
        learner.log_alpha.fill_(math.log(0.5))
        for parameter in learner.actor.parameters():
            parameter += 0.3
    learner.target = lambda inputs: torch.zeros(2, 3, 2)
    noise, after = torch.randn(3, 1), torch.randn(3, 2)
    batch = Batch(np.arange(3), {}, 0 * noise, 0 * noise, torch.zeros(3), torch.full((3,), 0.9))
    _, density = squash(*learner.gaussian(after, learner.target_actor), noise)
    for target in learner.targets(batch, after, noise, torch.zeros(2, 3)):
        torch.testing.assert_close(target, -0.9 * 0.5 * density)


def test_the_actor_is_scored_by_the_smaller_mean_and_its_own_entropy():
    learner = DsacT(CONTRACT, SMALL)
    with torch.no_grad():
        learner.log_alpha.fill_(math.log(0.5))
    means = torch.tensor([[1.0, 5.0], [2.0, 4.0]])
    learner.critic = lambda inputs: torch.stack([means, 0 * means], dim=-1)
    density = torch.tensor([3.0, -1.0])
    loss = learner.actor_loss(torch.zeros(2, 2), torch.zeros(2, 1), density)
    torch.testing.assert_close(loss, torch.tensor(((0.5 * 3 - 1) + (-0.5 - 4)) / 2))


def test_the_temperature_rises_where_entropy_is_missing():
    learner = DsacT(CONTRACT, SMALL)
    (of_alpha,) = torch.autograd.grad(learner.temperature_loss(torch.tensor([4.0, 2.0])), learner.log_alpha)
    assert of_alpha.item() == pytest.approx(-(3.0 - 1))  # log π is above −H̄ = A = 1, so descent makes α larger


def updated(updates, discount=0.9):
    learner, replay, generator = DsacT(CONTRACT, SMALL), filled_replay(CONTRACT), np.random.default_rng(0)
    states = [{name: tensor.clone() for name, tensor in learner.state().items()}]
    for _ in range(updates):
        learner.update(lambda: replay.sample(32, discount, 1, generator), 1.0)
        states.append({name: tensor.clone() for name, tensor in learner.state().items()})
    return states


def test_actor_temperature_and_targets_move_every_second_time():
    states = updated(4)
    moved = {
        name: sum(not torch.equal(before[name], after[name]) for before, after in itertools.pairwise(states))
        for name in ("critic.vector", "actor.vector", "temperature.vector", "target", "target_actor")
    }
    assert moved == {"critic.vector": 4, "actor.vector": 4 // DELAY, "temperature.vector": 2, "target": 2, "target_actor": 2}
    torch.testing.assert_close(
        states[2]["target_actor"], torch.lerp(states[1]["target_actor"], states[2]["actor.vector"], SMALL.tau), rtol=0, atol=0
    )


def test_the_spread_begins_at_the_first_mean_and_then_follows_slowly():
    first, second = (state["spread"] for state in updated(2)[1:])
    assert (first > 0).all()
    assert not torch.equal(first, second)
    assert ((second - first).abs() < 0.01 * first).all()


def test_a_loaded_learner_goes_on_in_the_same_way():
    replay = filled_replay(CONTRACT)
    first, second = DsacT(CONTRACT, SMALL, 0), DsacT(CONTRACT, SMALL, 9)
    generator = np.random.default_rng(0)
    for _ in range(3):
        first.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    for learner in (first, second):
        same = np.random.default_rng(1)
        for _ in range(3):
            learner.update(lambda: replay.sample(32, 0.9, 1, same), 1.0)  # noqa: B023 - called at once
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in first.state().items())


def test_settings_are_checked_and_come_from_the_task():
    assert dsac_t_config("pendulum").gamma == 0.98
    assert dsac_t_config("unheard-of") == DsacTConfig()
    assert DsacT(CONTRACT, DsacTConfig(initial_temperature=math.e)).log_alpha.item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="actor_rate must be > 0, got -1"):
        DsacTConfig(actor_rate=-1)
    with pytest.raises(ValueError, match="task 'slide' decides once per"):
        DsacT(get_task("slide").contract, SMALL)
