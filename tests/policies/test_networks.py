import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from isthmus_policies.networks import TwinMlp, polyak, squash, squashed_log_density
from isthmus_policies.optimizer import FlatAdam, flatten


@given(mean=st.floats(-2, 2), log_std=st.floats(-2, 0.5))
@settings(deadline=None, max_examples=30)
def test_density_of_squashed_actions_integrates_to_one(mean, log_std):
    before = torch.linspace(-12, 12, 200_001, dtype=torch.float64)[:, None]
    noise = (before - mean) / np.exp(log_std)
    density = squashed_log_density(before, torch.full_like(before, log_std), noise).exp()
    assert torch.trapezoid(density, torch.tanh(before[:, 0])).item() == pytest.approx(1, abs=1e-4)


def test_log_density_and_its_gradient_stay_finite_where_tanh_saturates():
    mean = torch.tensor([[20.0], [-20.0]], requires_grad=True)
    action, log_density = squash(mean, torch.zeros(2, 1), torch.zeros(2, 1))
    assert action.abs().max() <= 1
    assert torch.isfinite(log_density).all()
    (gradient,) = torch.autograd.grad(log_density.sum(), mean)
    torch.testing.assert_close(gradient, torch.tensor([[2.0], [-2.0]]))  # d/du of -log(1 - tanh² u) tends to ±2


def test_log_densities_are_summed_over_the_joints():
    mean, noise = torch.randn(5, 3), torch.randn(5, 3)
    _, together = squash(mean, torch.zeros(5, 3), noise)
    apart = [squash(mean[:, j : j + 1], torch.zeros(5, 1), noise[:, j : j + 1])[1] for j in range(3)]
    torch.testing.assert_close(together, sum(apart))


def test_twins_are_two_separate_networks():
    twin = TwinMlp((4, 8, 8, 2))
    inputs = torch.randn(6, 4)
    for number, outputs in enumerate(twin(inputs)):
        values = inputs
        for layer, (weight, bias) in enumerate(zip(twin.weights, twin.biases, strict=True)):
            values = values @ weight[number] + bias[number]
            values = torch.relu(values) if layer < 2 else values
        torch.testing.assert_close(outputs, values)
    gradients = torch.autograd.grad(twin(inputs)[0].sum(), list(twin.weights))
    assert all((gradient[1] == 0).all() and (gradient[0] != 0).any() for gradient in gradients)


def test_weights_are_drawn_as_those_of_pytorch():
    torch.manual_seed(0)
    twin = TwinMlp((400, 300, 1))
    for mine, theirs in ((twin.weights[0], nn.Linear(400, 300).weight), (twin.biases[0], nn.Linear(400, 300).bias)):
        assert mine.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.02)
        assert mine.std().item() == pytest.approx(theirs.std().item(), rel=0.1)


def test_flat_adam_takes_the_steps_of_pytorch():
    torch.manual_seed(0)
    mine, theirs = nn.Linear(3, 4), nn.Linear(3, 4)
    theirs.load_state_dict(mine.state_dict())
    flat, adam = FlatAdam(list(mine.parameters()), 0.02), torch.optim.Adam(theirs.parameters(), lr=0.01)
    inputs = torch.randn(8, 3)
    for _ in range(5):
        flat.take(torch.autograd.grad(mine(inputs).square().mean(), flat.parameters))
        flat.step(0.5)
        adam.zero_grad()
        theirs(inputs).square().mean().backward()
        adam.step()
    torch.testing.assert_close(mine.weight, theirs.weight)
    torch.testing.assert_close(mine.bias, theirs.bias)


def test_targets_follow_the_vector():
    source, target = nn.Linear(2, 2), nn.Linear(2, 2)
    before = target.weight.detach().clone()
    polyak(flatten(list(target.parameters())), flatten(list(source.parameters())), 0.25)
    torch.testing.assert_close(target.weight, 0.25 * source.weight + 0.75 * before)
