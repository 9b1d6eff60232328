"""The layer of experts of MENTOR (arXiv 2410.14972): routing, gradients, balance."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from isthmus_policies.mentor.config import MentorConfig
from isthmus_policies.mentor.encoder import orthogonal
from isthmus_policies.mentor.experts import MixtureOfExperts, Routing, balance_loss, released_balance_loss


def mixture(experts=16, active=4, width=12, seed=0):
    torch.manual_seed(seed)
    made = MixtureOfExperts(width, experts, active, 8, 6)
    orthogonal(made)
    with torch.no_grad():
        for bias in (made.bias_in, made.bias_out, made.router_in.bias, made.router_out.bias):
            bias.normal_(0, 0.3)
    return made


def routed(logits, active=2):
    largest, chosen = torch.topk(logits, active, dim=1)
    return Routing(logits, chosen, torch.softmax(largest, dim=1))


@pytest.mark.parametrize("active", [2, 4, 16])
def test_sparse_dense_and_one_by_one_are_the_same(active):
    layer, inputs = mixture(active=active), torch.randn(9, 12)
    routing = layer.route(inputs)
    assert torch.allclose(routing.weights.sum(dim=1), torch.ones(9))
    sparse, dense = layer(inputs, routing), layer.dense(inputs, routing)
    torch.testing.assert_close(sparse, dense, atol=1e-5, rtol=0)
    for sample, (value, logits) in enumerate(zip(inputs, routing.logits, strict=True)):
        chosen = logits.argsort(descending=True)[:active]
        weights = torch.softmax(logits, dim=0)[chosen]  # over all, and normalised over the chosen ones
        expected = sum(
            weight * (torch.relu(value @ layer.weight_in[i] + layer.bias_in[i, 0]) @ layer.weight_out[i] + layer.bias_out[i, 0])
            for i, weight in zip(chosen, weights / weights.sum(), strict=True)
        )
        torch.testing.assert_close(sparse[sample], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("way", ["sparse", "dense"])
def test_only_experts_that_were_chosen_and_the_router_learn(way):
    layer, inputs = mixture(), torch.randn(9, 12)
    with torch.no_grad():
        layer.router_out.bias[:4] += 100.0
    routing = layer.route(inputs)
    assert set(routing.chosen.flatten().tolist()) == {0, 1, 2, 3}
    outputs = layer(inputs, routing) if way == "sparse" else layer.dense(inputs, routing)
    outputs.square().mean().backward()
    for weight in (layer.weight_in, layer.bias_in, layer.weight_out, layer.bias_out):
        assert not weight.grad[4:].any()
        assert all(gradient.any() for gradient in weight.grad[:4])
    assert layer.router_out.weight.grad[:4].any()
    assert layer.router_in.weight.grad.any()


def test_the_router_of_a_single_expert_would_learn_nothing_and_is_refused():
    layer, inputs = mixture(active=1), torch.randn(9, 12)
    routing = layer.route(inputs)
    assert torch.equal(routing.weights, torch.ones(9, 1))
    layer(inputs, routing).square().mean().backward()
    assert not layer.router_out.weight.grad.any()
    with pytest.raises(ValueError, match="active must be from 2 to experts 16, got 1"):
        MentorConfig(active=1)
    with pytest.raises(ValueError, match="active must be from 2 to experts 4, got 5"):
        MentorConfig(experts=4, active=5)
    MentorConfig(experts=1)  # a plain layer has no router


def test_hidden_units_of_the_router_are_left_out_by_factors():
    layer, inputs = mixture(), torch.randn(9, 12)
    none_kept = layer.route(inputs, torch.zeros(9, 6))
    assert torch.equal(none_kept.logits, layer.router_out.bias.expand(9, 16))
    assert torch.equal(layer.route(inputs, torch.ones(9, 6)).logits, layer.route(inputs).logits)


def test_balance_is_best_where_all_experts_are_used_alike():
    assert balance_loss(routed(torch.zeros(8, 16))).item() == pytest.approx(-math.log(16))
    assert balance_loss(routed(200.0 * torch.eye(16)[:1].expand(8, 16))).item() == pytest.approx(0.0, abs=1e-6)
    assert balance_loss(routed(200.0 * torch.eye(16))).item() == pytest.approx(-math.log(16), abs=1e-4)  # each sample another expert


def test_usage_counts_the_samples_of_each_expert():
    usage = routed(torch.tensor([[3.0, 2.0, 1.0, 0.0], [3.0, 0.0, 2.0, 1.0]])).usage()
    assert usage.tolist() == [1.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize(("loss", "alike"), [(balance_loss, True), (released_balance_loss, False)])
def test_the_papers_loss_spreads_the_samples_and_the_released_one_does_not(loss, alike):
    torch.manual_seed(0)
    router = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    with torch.no_grad():
        router[2].bias[:4] += 2.0
    adam = torch.optim.Adam(router.parameters(), lr=1e-3)
    for _ in range(400):
        adam.zero_grad()
        loss(routed(router(torch.randn(256, 64)), 4)).backward()
        adam.step()
    found = routed(router(torch.randn(2048, 64)), 4)
    usage = found.usage().numpy()
    assert usage.sum() == pytest.approx(4)
    if alike:
        assert (usage > 0.18).all()
        assert (usage < 0.33).all()
    else:
        mean = torch.softmax(found.logits, dim=1).mean(dim=0)
        assert usage.max() > 0.99
        assert usage.min() < 0.01
        assert -torch.xlogy(mean, mean).sum() < 0.5 * np.log(16)
