"""Dormant neurons, and perturbation towards past good agents (DrM, arXiv 2310.19668; MENTOR, arXiv 2410.14972, algorithm 1)."""

import pytest
import torch
from dots import TINY, dots_contract
from torch import nn

from isthmus_policies.mentor.config import MentorConfig
from isthmus_policies.mentor.dormancy import dormant_ratio
from isthmus_policies.mentor.exploration import dormant_noise, exploitation_weight, kept_share
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.mentor.perturbation import TopAgents, blend, drawn_anew, is_perturbed

FEW = {"experts": 4, "active": 2, "expert_width": 8, "router_width": 8}


def learner(**settings):
    return Mentor(dots_contract(), MentorConfig(**{**TINY, **FEW, **settings}), 0)


def test_dormancy_is_measured_after_the_activation():
    torch.manual_seed(0)
    first, last = nn.Linear(8, 10), nn.Linear(10, 4)
    with torch.no_grad():
        first.bias[:3] = -1000.0
        first.bias[3:] += 3.0
        before = first(torch.randn(256, 8))
        after = torch.relu(before)
        outputs = last(after)
    assert dormant_ratio([after, outputs]) == 3 / 14
    assert dormant_ratio([before, outputs]) == 7 / 14  # what a magnitude before the ReLU would say: the others look asleep


def test_dormancy_knows_no_units_and_counts_dead_layers_whole():
    torch.manual_seed(1)
    values = torch.randn(64, 10)
    values[:, :2] *= 1e-3
    assert dormant_ratio([values]) == dormant_ratio([10 * values]) == 0.2
    assert dormant_ratio([values, torch.zeros(64, 10)]) == 0.6
    experts = torch.stack([values, torch.zeros(64, 10), 100 * values])  # each is a layer by itself
    assert dormant_ratio([experts]) == pytest.approx((2 + 10 + 2) / 30)


def test_the_actors_layers_are_measured_behind_their_relu():
    actor = learner(experts=1, active=4).actor
    with torch.no_grad():
        actor.first.bias[:8] = -1000.0
        actor.middle.bias[:4] = -1000.0
        codes = torch.randn(32, actor.trunk.pixels)
        compressed, first, middle, last = actor.outputs(codes)
    assert not first[:, :8].any()
    assert not middle[:, :4].any()
    assert (compressed < 0).any()
    assert (last < 0).any()
    assert torch.equal(torch.tanh(last), actor(codes))


def test_all_neurons_of_the_papers_actor_are_counted():
    made = Mentor(dots_contract(size=84, history=3, joints=tuple("abcd")), MentorConfig(perturbation="random"), 0)
    counts = {
        name: sum(parameter.numel() for parameter in getattr(made, name).parameters()) for name in ("encoder", "actor", "critic", "value")
    }
    assert counts == {"encoder": 30_368, "actor": 10_692_074, "critic": 4_174_040, "value": 3_062_999}
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (16, 3, 84, 84, 3), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        outputs = made.actor.outputs(made.encoder({"eye": pictures}))
    assert sum(values.shape[-1] * (len(values) if values.ndim == 3 else 1) for values in outputs) == 21_830
    assert 0.02 < dormant_ratio(outputs) < 0.15


def test_the_dormant_ratio_rules_noise_exploitation_and_perturbation():
    assert [kept_share(beta, 0.9) for beta in (0, 0.05, 0.2, 0.4, 1)] == pytest.approx([0.9, 0.9, 0.6, 0.2, 0.2])
    assert [exploitation_weight(beta, 0.6) for beta in (0, 0.2, 0.4)] == pytest.approx([0.59997, 0.3, 2.7e-5], rel=0.01)
    assert [dormant_noise(beta) for beta in (0, 0.2, 1)] == pytest.approx([0.1192, 0.5, 0.9997], abs=1e-4)


def test_a_better_agent_takes_the_place_of_the_worst():
    top = TopAgents(3, 2)
    live = torch.zeros(2)
    for earned, found in ((3, [3]), (1, [3, 1]), (2, [3, 1, 2]), (1, [3, 1, 2]), (5, [3, 5, 2]), (2, [3, 5, 2])):
        live.fill_(earned)
        top.offer(earned, lambda: [live])
        assert top.returns == found
    live.fill_(-7.0)
    assert top.state()["agents"].tolist() == [[3.0, 3.0], [5.0, 5.0], [2.0, 2.0]]


def test_agents_that_are_not_remembered_are_not_copied():
    top = TopAgents(2, 1)
    for earned in (1.0, 2.0):
        top.offer(earned, lambda: [torch.zeros(1)])
    assert not top.offer(1.0, lambda: pytest.fail("copied"))  # a tie changes nothing


def test_draws_have_mean_and_unbiased_deviation_of_the_agents():
    top, generator = TopAgents(10, 20_000), torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="a Gaussian needs two agents or more, got 0"):
        top.draw(generator)
    for value in (0.0, 2.0):
        top.offer(value, lambda value=value: [torch.full((20_000,), value)])
    drawn = top.draw(generator)
    assert drawn.mean().item() == pytest.approx(1.0, abs=0.05)
    assert drawn.std().item() == pytest.approx(2**0.5, abs=0.05)
    assert not torch.equal(drawn[:10_000], drawn[10_000:])


@pytest.mark.parametrize("kept", [1.0, 0.3])
def test_a_blend_reaches_linear_layers_alone(kept):
    made = learner()
    networks = [made.actor, made.critic, made.value, made.target]
    live = made.weights()
    before, perturbed = torch.cat(live).clone(), is_perturbed(networks)
    blend(live, torch.full_like(before, 0.5), kept, perturbed)
    torch.testing.assert_close(torch.cat(made.weights()), torch.where(perturbed, kept * before + (1 - kept) * 0.5, before), rtol=0, atol=0)
    norms = sum(network.trunk.norm.weight.numel() + network.trunk.norm.bias.numel() for network in networks)
    assert (~perturbed).sum() == norms
    assert torch.equal(made.actor.trunk.norm.weight, torch.ones(8))
    assert (made.actor.first.bias == (0.0 if kept == 1 else (1 - kept) * 0.5)).all()  # biases too
    assert (torch.equal(torch.cat(made.weights()), before)) == (kept == 1)


def test_critic_and_target_jump_apart():
    made = learner()
    for earned in (1.0, 2.0):
        made._actor_adam.vector.add_(0.1)
        made._target_vector.add_(0.1)
        made.critic.heads.weights[0].data.add_(0.1)
        made.top.offer(earned, made.weights)
    made.perturb()
    assert not torch.equal(made.critic.heads.weights[0], made.target.heads.weights[0])


@pytest.mark.parametrize("perturbation", ["task", "random"])
def test_a_perturbation_clears_the_optimisers_and_leaves_the_encoder(perturbation):
    made = learner(perturbation=perturbation)
    for earned in (1.0, 2.0):
        made._actor_adam.vector.add_(0.1)
        made.ended([earned])
    for adam in made._adams.values():
        adam.take([torch.ones_like(parameter) for parameter in adam.parameters])
        adam.step(1.0)
    eye, weights = [parameter.clone() for parameter in made.encoder.parameters()], torch.cat(made.weights()).clone()
    made.perturb()
    assert all(torch.equal(*pair) for pair in zip(eye, made.encoder.parameters(), strict=True))
    changed = torch.cat(made.weights()) != weights
    assert not changed[~is_perturbed([made.actor, made.critic, made.value, made.target])].any()
    assert changed.float().mean() > 0.5
    for adam in made._adams.values():
        assert not any(adam.state()[name].any() for name in ("mean", "square", "steps"))
    assert torch.isfinite(torch.cat(made.weights())).all()


def test_with_fewer_than_two_good_agents_nothing_is_perturbed():
    made = learner(perturb_every=2, update_ratio=1.0)
    made._updates.fill_(2)
    before = torch.cat(made.weights()).clone()
    made.ended([1.0])
    assert torch.equal(torch.cat(made.weights()), before)
    made.ended([2.0])  # not before the next interval either
    assert torch.equal(torch.cat(made.weights()), before)
    made._updates.fill_(4)
    made.ended([])
    assert int(made._events) == 1
    assert torch.isfinite(torch.cat(made.weights())).all()


def test_weights_drawn_anew_are_those_of_networks_that_begin():
    made = learner()
    anew = drawn_anew([made.actor], 5)
    assert torch.equal(anew, drawn_anew([made.actor], 5))
    assert not torch.equal(anew, drawn_anew([made.actor], 6))
    fresh = learner()
    with torch.no_grad():
        torch.nn.utils.vector_to_parameters(anew, fresh.actor.parameters())
    weight = fresh.actor.first.weight
    torch.testing.assert_close(weight.T @ weight, torch.eye(8), atol=1e-5, rtol=0)
    assert not fresh.actor.first.bias.any()
