import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transitions import filled_replay, small_contract

from isthmus.sequence import sequence_contract
from isthmus_policies.export import export_graph
from isthmus_policies.replay import Batch
from isthmus_policies.sequence_actor import SequenceActor, SequencePolicy
from isthmus_policies.srl import Srl, SrlConfig, srl_config
from isthmus_sim.suites import get_suite_task

CONTRACT = small_contract(actions=2, size=3)
PLANNED = sequence_contract(CONTRACT, 30)
SMALL = SrlConfig(hidden=16, critic_hidden=(16, 16), model_hidden=(16, 16), batch_size=32, sequence=3)


def actor(features=3, actions=2, seed=0):
    torch.manual_seed(seed)
    return SequenceActor(features, actions, 16)


def test_the_recurrence_is_that_of_pytorch():
    made = actor()
    action, hidden = torch.randn(5, 2), torch.randn(5, 16)
    torch.testing.assert_close(made.advance(action, hidden), made.cell(action, hidden))


@given(short=st.integers(1, 6), more=st.integers(1, 6), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_a_shorter_sequence_is_the_beginning_of_a_longer_one_bit_for_bit(short, more, seed):
    made, generator = actor(seed=seed), torch.Generator().manual_seed(seed)
    state, previous = torch.randn(4, 3, generator=generator), torch.randn(4, 2, generator=generator)
    long = made.deterministic(state, previous, short + more)
    assert torch.equal(made.deterministic(state, previous, short), long[:, :short])
    assert not torch.equal(made.deterministic(state, previous + 0.1, 1), long[:, :1])
    torch.testing.assert_close(made.deterministic(state[:1], previous[:1], short + more), long[:1])


def test_without_noise_a_drawn_sequence_is_that_of_the_means():
    made, state, previous = actor(), torch.randn(4, 3), torch.randn(4, 2)
    actions, _ = made(state, previous, torch.zeros(4, 5, 2))
    torch.testing.assert_close(actions, made.deterministic(state, previous, 5))


def test_densities_of_two_actions_in_a_row_integrate_to_one():
    made, count = actor(actions=1), 401
    before = torch.linspace(-9, 9, count)
    state, previous = torch.randn(1, 3), torch.tensor([[0.3]])
    with torch.no_grad():
        for linear in (made.mean, made.log_std):
            linear.weight *= 0.3  # so that the grid is fine enough
        hidden = made.advance(previous, made.start(state))
        first_noise = ((before[:, None] - made.mean(hidden)) / made.log_std(hidden).exp())[:, 0]
        first = torch.tanh(before)
        second_hidden = made.advance(first[:, None], hidden.expand(count, -1))
        second_noise = (before[None, :] - made.mean(second_hidden)) / made.log_std(second_hidden).exp()
        noise = torch.stack([first_noise[:, None].expand(-1, count), second_noise], dim=-1).reshape(-1, 2, 1)
        actions, densities = made(state.expand(count**2, -1), previous.expand(count**2, -1), noise)
    torch.testing.assert_close(actions[:, 1, 0].view(count, count), first.expand(count, -1), atol=1e-4, rtol=0)
    product = densities.sum(dim=1).exp().view(count, count).double()
    total = torch.trapezoid(torch.trapezoid(product, first.double(), dim=1), first.double())
    assert total.item() == pytest.approx(1, abs=1e-3)


def test_recall_repeats_a_linear_system_and_ignores_the_model_that_is_still_learning():
    learner = Srl(CONTRACT, SMALL)
    a, b = torch.randn(3, 3) * 0.5, torch.randn(2, 3)
    learner.target_model = lambda inputs: inputs[:, :3] @ a + inputs[:, 3:] @ b
    learner.model = None
    state, actions = torch.randn(4, 3), torch.randn(4, 3, 2, requires_grad=True)
    imagined = learner.recall(state, actions)
    assert not imagined.requires_grad
    expected = [state]
    for k in range(2):
        expected.append(expected[-1] @ a + actions[:, k] @ b)
    torch.testing.assert_close(imagined, torch.stack(expected, dim=1), atol=1e-6, rtol=0)


def test_the_loss_of_the_actor_sums_over_the_sequence_and_takes_the_smaller_critic():
    learner = Srl(CONTRACT, SMALL)
    learner.critic = lambda inputs: torch.stack([inputs.sum(dim=1), -inputs.sum(dim=1)])[..., None]
    states, actions, density = torch.randn(4, 3, 3), torch.randn(4, 3, 2), torch.randn(4, 3)
    expected = sum((density[:, k] + torch.cat([states[:, k], actions[:, k]], dim=1).sum(dim=1).abs()).mean() for k in range(3))
    torch.testing.assert_close(learner.actor_loss(states, actions, density), expected)


def gradients(learner, scored):
    """Of the mean's bias and the recurrence, where the critic scores only some of the actions."""
    state, previous, noise = torch.randn(8, 3), torch.zeros(8, 2), torch.randn(8, 3, 2)
    actions, density = learner.actor(state, previous, noise)
    states = learner.recall(state, actions)
    weights = torch.tensor([float(k in scored) for k in range(3)])
    learner.critic = lambda inputs: (inputs[:, 3:].sum(dim=1) * weights.repeat(8)).expand(2, -1)[..., None]
    loss = learner.actor_loss(states, actions, 0 * density)
    return torch.autograd.grad(loss, [learner.actor.mean.bias, learner.actor.cell.weight_hh])


def test_gradients_reach_the_actor_through_every_action_and_through_those_that_were_fed_back():
    torch.manual_seed(0)
    for scored in ((0, 1), (1,), (2,)):
        of_mean, of_recurrence = gradients(Srl(CONTRACT, SMALL), scored)
        assert of_mean.abs().sum() > 0
        assert of_recurrence.abs().sum() > 0
    noise = torch.randn(1, 2, 2, requires_grad=True)
    actions, _ = actor()(torch.randn(1, 3), torch.zeros(1, 2), noise)
    (of_noise,) = torch.autograd.grad(actions[0, 1].sum(), noise)
    assert of_noise[0, 0].abs().sum() > 0  # the first action's noise reaches the second through nothing but the first action


def test_the_target_is_that_of_the_first_action_after_what_was_executed():
    learner = Srl(CONTRACT, SMALL)
    with torch.no_grad():
        learner.log_alpha.fill_(np.log(0.5))
    density = torch.tensor([[1.0, 9.0], [-2.0, 9.0], [3.0, 9.0]])
    learner.actor = lambda features, previous, noise: (torch.stack([features[:, :2] + previous, noise[:, 0]], dim=1), density)
    learner.target = lambda inputs: torch.stack([inputs.sum(dim=1), inputs.sum(dim=1) + 1.0])[..., None]
    after, executed = torch.randn(3, 3), torch.randn(3, 2)
    zero, discount = torch.zeros(3, 2), torch.tensor([0.9, 0.9, 0.0])
    batch = Batch(np.arange(3), {}, zero, 7 + zero, torch.full((3,), 0.5), discount)
    value = after.sum(dim=1) + (after[:, :2] + executed).sum(dim=1) - 0.5 * density[:, 0]
    torch.testing.assert_close(learner.soft_target(batch, after, executed, torch.randn(3, 1, 2)), 0.5 + discount * value)


def test_what_was_executed_is_read_from_what_followed():
    learner, replay = Srl(CONTRACT, SMALL), filled_replay(PLANNED)
    batch = replay.sample(32, 0.9, 1, np.random.default_rng(0))
    asked, target = [], learner.soft_target
    learner.soft_target = lambda *inputs: asked.append(inputs[2]) or target(*inputs)
    learner.update(lambda: batch, 1.0)
    torch.testing.assert_close(asked[0], (batch.observation["previous_action"][32:, 0] - 1) / 2)  # from −1 … 3 to −1 … 1


def test_the_temperature_rises_where_entropy_is_missing_and_follows_the_mean_over_the_sequence():
    learner, density = Srl(CONTRACT, SMALL), torch.tensor([[4.0, 2.0, 3.0]])
    (of_alpha,) = torch.autograd.grad(learner.temperature_loss(density), learner.log_alpha)
    assert of_alpha.item() == pytest.approx(-(3.0 - 2))  # log π is above −H̄ = A = 2, so descent makes α larger


def test_each_loss_moves_its_own_parameters_only():
    def updated(*silent):
        learner, replay, generator = Srl(CONTRACT, SMALL), filled_replay(PLANNED), np.random.default_rng(0)
        for name in silent:
            original = getattr(learner, name)
            setattr(learner, name, lambda *inputs, original=original: 0 * original(*inputs))
        learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
        return {name: tensor.clone() for name, tensor in learner.state().items()}

    whole = updated()
    for part, others in (
        ("critic", ("model_loss", "actor_loss", "temperature_loss")),
        ("model", ("critic_loss", "actor_loss", "temperature_loss")),
        ("actor", ("critic_loss", "model_loss")),
    ):
        alone = updated(*others)
        assert torch.equal(whole[f"{part}.vector"], alone[f"{part}.vector"])
        assert not torch.equal(whole[f"{part}.vector"], updated(*(f"{part}_loss", "temperature_loss"))[f"{part}.vector"])


def test_targets_of_critics_and_model_move_by_tau():
    learner, replay, generator = Srl(CONTRACT, SMALL), filled_replay(PLANNED), np.random.default_rng(0)
    before = {name: learner.state()[name].clone() for name in ("target", "target_model")}
    learner.update(lambda: replay.sample(32, 0.9, 1, generator), 1.0)
    after = learner.state()
    for name, source in (("target", "critic.vector"), ("target_model", "model.vector")):
        torch.testing.assert_close(after[name], torch.lerp(before[name], after[source], SMALL.tau), rtol=0, atol=0)


def test_the_actor_moves_only_when_it_is_due():
    learner, replay, generator = (
        Srl(CONTRACT, SrlConfig(hidden=8, sequence=2, actor_every=3)),
        filled_replay(PLANNED),
        np.random.default_rng(0),
    )
    vectors = [learner.state()["actor.vector"].clone()]
    for _ in range(6):
        learner.update(lambda: replay.sample(8, 0.9, 1, generator), 1.0)
        vectors.append(learner.state()["actor.vector"].clone())
    assert [torch.equal(vectors[k], vectors[k + 1]) for k in range(6)] == [True, True, False, True, True, False]


def test_a_sequence_is_executed_to_its_end_and_dropped_where_it_no_longer_holds():
    learner = Srl(CONTRACT, SMALL)
    asked = []
    draw = learner.actor.forward
    learner.actor.forward = lambda features, previous, noise: asked.append(len(features)) or draw(features, previous, noise)
    observation, previous = {"state": np.zeros((2, 1, 3), np.float32)}, np.zeros((2, 2), np.float32)
    fresh = np.array([True, True])
    no = np.zeros(2, dtype=bool)
    first = [learner.act(observation, previous, fresh if k == 0 else no) for k in range(3)]
    assert asked == [2]
    assert len({action.tobytes() for action in first}) == 3
    learner.act(observation, previous, no)  # both are at their end
    learner.act(observation, previous, np.array([False, True]))
    learner.act(observation, previous, no)
    learner.act(observation, previous, no)  # the first row is at its end again
    assert asked == [2, 2, 1, 1]


def test_the_exported_policy_plans_thirty_actions_from_the_executed_one(tmp_path):
    learner = Srl(CONTRACT, SMALL)
    assert learner.contract.horizon == 30
    generator = np.random.default_rng(0)
    samples = {
        "state": generator.normal(size=(50, 1, 3)).astype(np.float32),
        "previous_action": generator.uniform(-1, 3, (50, 1, 2)).astype(np.float32),
    }
    artifact = export_graph(learner.contract, learner.policy(), samples, training=dict(learner.summary()))
    assert artifact.training["replan"] == 3
    actions = artifact.policy().act(samples).actions
    previous = torch.from_numpy(samples["previous_action"][:, 0] - 1) / 2  # from −1 … 3 to −1 … 1
    with torch.no_grad():
        expected = 1 + 2 * learner.actor.deterministic(torch.from_numpy(samples["state"][:, 0]), previous, 30)
    np.testing.assert_allclose(actions, expected, atol=4e-5)


def test_the_model_learns_the_dynamics_of_a_pendulum():
    learner = Srl(small_contract(size=3), SrlConfig(learning_rate=1e-3, hidden=8, sequence=1))
    generator = torch.Generator().manual_seed(0)

    def transitions():
        angle, speed, torque = (scale * (2 * torch.rand(256, generator=generator) - 1) for scale in (torch.pi, 8.0, 1.0))
        later = (speed + (15 * torch.sin(angle) + 6 * torque) * 0.05).clamp(-8, 8)
        moved = angle + 0.05 * later
        state, successor = (torch.stack([torch.cos(q), torch.sin(q), v / 8], dim=1) for q, v in ((angle, speed), (moved, later)))
        return state, torque[:, None], successor

    adam = torch.optim.Adam(learner.model.parameters(), lr=1e-3)
    for _ in range(1500):
        adam.zero_grad()
        learner.model_loss(*transitions()).backward()
        adam.step()
    assert learner.model_loss(*transitions()).item() < 1e-3


def test_settings_are_checked_and_come_from_the_task():
    assert srl_config("pendulum").hidden == 64
    assert srl_config("unheard-of") == SrlConfig()
    assert SrlConfig(sequence=40).horizon == 40
    for wrong, message in (
        ({"sequence": 0}, "sequence must be >= 1, got 0"),
        ({"n_step": 2}, "n_step must be 1, because"),
        ({"model_hidden": ()}, r"model_hidden must be widths >= 1, got \(\)"),
    ):
        with pytest.raises(ValueError, match=message):
            SrlConfig(**wrong)
    with pytest.raises(ValueError, match="cannot be images; task 'gym:HalfCheetah-v5@36' observes camera"):
        Srl(get_suite_task("gym:HalfCheetah-v5@36").contract, SMALL)


def test_the_policy_is_a_module_without_model_or_critic():
    learner = Srl(CONTRACT, SMALL)
    policy = learner.policy()
    assert isinstance(policy, SequencePolicy)
    owned = {id(parameter) for parameter in policy.parameters()}
    assert owned == {id(parameter) for parameter in learner.actor.parameters()}
    assert not any(isinstance(part, nn.Module) and part in (learner.model, learner.critic) for part in policy.modules())
