"""DrQ-v2 from pictures (arXiv 2107.09645): its networks, its losses and a small training."""

import dataclasses

import numpy as np
import pytest
import torch
from dots import PLAIN, TINY, Killed, dots_contract, pictured_batch, trained
from torch.nn import functional

from isthmus import Signal
from isthmus.artifact import Artifact
from isthmus.signals import CameraSpec
from isthmus_policies.checkpoint import load_checkpoint
from isthmus_policies.mentor.augment import shifted
from isthmus_policies.mentor.config import MentorConfig, mentor_config
from isthmus_policies.mentor.exploration import EDGE, bounded, falling_noise
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.replay import Batch


def count(*networks):
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def tiny(contract=None, seed=0, **settings):
    return Mentor(contract or dots_contract(), MentorConfig(**{**TINY, **PLAIN, **settings}), seed, "drqv2")


def changed(learner, step):
    """Names of the networks that a step changes."""
    networks = {name: getattr(learner, name) for name in ("encoder", "actor", "critic", "target")}
    before = {name: [parameter.detach().clone() for parameter in network.parameters()] for name, network in networks.items()}
    step()
    return {
        name
        for name, network in networks.items()
        if any(not torch.equal(old, new) for old, new in zip(before[name], network.parameters(), strict=True))
    }


def test_the_networks_have_the_papers_sizes():
    learner = Mentor(dots_contract(size=84, history=3, joints=tuple("abcd")), mentor_config("drqv2", ""), 0, "drqv2")
    assert learner.encoder.pixels == 39200
    assert count(learner.encoder) == 30_368
    assert count(learner.critic) == count(learner.target) == 4_174_040


def test_weights_are_orthogonal_and_biases_nothing():
    learner = tiny()
    for weight in (learner.actor.middle.weight, learner.critic.heads.weights[1][0], learner.critic.heads.weights[1][1]):
        torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), atol=1e-5, rtol=0)
    kernel = learner.encoder._convolutions[2].weight.flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, 2 * torch.eye(len(kernel)), atol=1e-5, rtol=0)
    assert all(not parameter.any() for name, parameter in learner.actor.named_parameters() if "bias" in name)


@pytest.mark.parametrize("most", [0, 1, 4])
def test_a_shift_is_a_crop_of_the_picture_with_its_edges_repeated(most):
    generator = torch.Generator().manual_seed(0)
    pictures = {name: torch.randint(0, 256, (8, 2, 12, 10, 3), dtype=torch.uint8, generator=generator) for name in ("one", "other")}
    numbers = torch.rand(8, 1, 3, generator=generator)
    offsets = torch.randint(0, 2 * most + 1, (8, 2), generator=generator)
    found = shifted({**pictures, "numbers": numbers}, offsets, most)
    assert torch.equal(found["numbers"], numbers)
    for name, before in pictures.items():
        planes = before.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
        padded = functional.pad(planes, (most,) * 4, mode="replicate").unflatten(1, (2, 3)).permute(0, 1, 3, 4, 2).to(torch.uint8)
        for sample, (down, right) in enumerate(offsets.tolist()):
            assert torch.equal(found[name][sample], padded[sample, :, down : down + 12, right : right + 10])


def test_every_sample_is_shifted_by_an_offset_of_its_own():
    learner = tiny(shift=4)
    batch = pictured_batch(dots_contract(), 64)
    same = Batch(batch.slots, {"eye": batch.observation["eye"][:1].expand(128, -1, -1, -1, -1)}, *[getattr(batch, name) for name in REST])
    now, after = learner.codes(same)
    codes = torch.cat([now, after]).detach()
    assert 60 < len(torch.unique(codes, dim=0)) <= 81  # of 9 × 9 offsets
    unshifted = learner.encoder({"eye": same.observation["eye"][:1]}).detach()
    assert (codes == unshifted).all(dim=1).sum() < 8


REST = ("previous", "action", "reward", "discount")


def test_a_clamp_bounds_the_action_and_lets_the_gradient_through():
    before = torch.tensor([-3.0, 0.4, 2.0], requires_grad=True)
    after = bounded(before)
    after.sum().backward()
    assert after.abs().max() <= EDGE
    assert after[1].item() == pytest.approx(0.4)
    assert torch.equal(before.grad, torch.ones(3))


def test_noise_falls_from_one_to_a_tenth():
    assert [falling_noise(at, 100) for at in (0, 50, 100, 10**6)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_the_noise_follows_control_periods_not_updates():
    learner = tiny(learning_starts=100, update_ratio=0.5, noise_steps=1000)
    assert learner.sigma(1.0) == pytest.approx(falling_noise(100, 1000))
    learner.load({**learner.state(), "updates": torch.tensor(200)})  # after 400 more control periods
    assert learner.sigma(1.0) == pytest.approx(falling_noise(500, 1000))


def test_each_loss_teaches_its_own_networks():
    learner = tiny()
    batch = pictured_batch(dots_contract())
    now, after = learner.codes(batch)
    target = learner.targets(batch, after, torch.zeros(6, 2), 1.0)
    assert not after.requires_grad
    assert not target.requires_grad
    networks = {name: getattr(learner, name) for name in ("encoder", "actor", "critic", "target")}

    def taught(loss):
        for network in networks.values():
            network.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        return {name for name, network in networks.items() if any(p.grad is not None and p.grad.any() for p in network.parameters())}

    assert taught(learner.critic_loss(now, batch, target)) == {"encoder", "critic"}
    wanted = torch.autograd.grad(
        learner.actor_loss(now.detach(), learner.explored(learner.actor(now.detach()), torch.zeros(6, 2))), [*learner.actor.parameters()]
    )
    assert all(gradient is not None for gradient in wanted)
    assert changed(learner, lambda: learner.update(lambda: batch, 1.0)) == set(networks)
    assert changed(learner, lambda: learner.update(lambda: batch, 0.0)) == {"target"}


def test_the_target_is_bootstrapped_by_the_smaller_critic_with_clipped_noise():
    learner = tiny(noise_clip=0.3)
    batch = pictured_batch(dots_contract())
    _, after = learner.codes(batch)
    wild, clipped = learner.targets(batch, after, torch.full((6, 2), 5.0), 1.0), learner.targets(batch, after, torch.full((6, 2), 0.3), 1.0)
    assert torch.equal(wild, clipped)
    action = (learner.actor(after) + 0.3).clamp(-EDGE, EDGE)
    expected = batch.reward + batch.discount * torch.minimum(*learner.target(after, action))
    torch.testing.assert_close(clipped, expected)


def test_cameras_are_stacked_and_numbers_are_seen_unless_they_are_left_out():
    contract = dots_contract(("left", "right"), numbers=True)
    learner, blind = tiny(contract), tiny(contract, proprioception=False)
    assert learner.encoder._convolutions[0].weight.shape[1] == 2 * 2 * 3
    assert (learner.encoder.numbers, blind.encoder.numbers) == (2, 0)
    observation = pictured_batch(contract).observation
    moved = {**observation, "place": observation["place"] + 0.1}
    assert not torch.equal(learner.policy()(observation), learner.policy()(moved))
    assert torch.equal(blind.policy()(observation), blind.policy()(moved))


def test_pictures_are_averaged_over_squares():
    learner = tiny(dots_contract(size=48), shrink=2)
    large = torch.randint(0, 256, (2, 2, 48, 48, 3), dtype=torch.uint8)
    small = large.float().unflatten(2, (24, 2)).unflatten(4, (24, 2)).mean(dim=(3, 5))
    plain = tiny()
    plain.encoder.load_state_dict(learner.encoder.state_dict())
    torch.testing.assert_close(learner.encoder({"eye": large}), plain.encoder({"eye": small}))


def test_what_cannot_be_seen_is_refused():
    contract = dots_contract(numbers=True)
    with pytest.raises(ValueError, match=r"^drqv2 learns from pictures, and task 'two-dots' shows none$"):
        tiny(dataclasses.replace(contract, observation=contract.observation[1:]))
    with pytest.raises(ValueError, match="pictures must have 15 pixels per side or more after shrink 2, got 12 × 12"):
        tiny(shrink=2)
    wide = Signal("wide", "image", (), "1", (), (), dtype="uint8", history=2, camera=CameraSpec(24, 32))
    with pytest.raises(ValueError, match="cameras whose pictures have one size; those of task 'two-dots': eye 24 × 24, wide 24 × 32"):
        tiny(dataclasses.replace(contract, observation=(*contract.observation, wide)))
    with pytest.raises(ValueError, match="unknown exploration 'none'; "):
        MentorConfig(exploration="none")
    with pytest.raises(ValueError, match="shrink must be >= 1, got 0"):
        MentorConfig(shrink=0)


def test_a_killed_and_resumed_training_ends_as_an_uninterrupted_one(tmp_path):
    settings = {**PLAIN, "num_envs": 2, "temporal_smoothness": 0.1}
    for moment in (70, 137):
        with pytest.raises(Killed):
            trained(tmp_path / "killed", "drqv2", moment, **settings)
    whole, resumed = (load_checkpoint(trained(tmp_path / name, "drqv2", **settings).checkpoint) for name in ("whole", "killed"))
    assert whole[0].keys() == resumed[0].keys()
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in whole[0])
    assert whole[1]["updates"] == resumed[1]["updates"] == 70


def test_the_exported_policy_decides_by_numpy_pictures_alone(tmp_path):
    artifact = Artifact.load(trained(tmp_path, "drqv2", **PLAIN).policy)
    assert artifact.training["algorithm"] == "drqv2"
    policy = artifact.policy()
    observation = {name: values.numpy() for name, values in pictured_batch(artifact.contract).observation.items()}
    actions = policy.act(observation).actions
    assert actions.shape == (12, 1, 2)
    assert (np.abs(actions[:, 0]) <= [2.0, 1.0]).all()
    with pytest.raises(ValueError, match=r"signal 'eye' must be \[12, 2, 24, 24, 3\], got \[12, 2, 20, 24, 3\]"):
        policy.act({**observation, "eye": observation["eye"][:, :, :20]})
    with pytest.raises(ValueError, match=r"signal 'eye' must be \[12, 2, 24, 24, 3\], got \[12, 2, 24, 24, 1\]"):  # mono8
        policy.act({**observation, "eye": observation["eye"][..., :1]})
    with pytest.raises(ValueError, match=r"signal 'eye' must be a picture of uint8, 0 … 255, got float32"):
        policy.act({**observation, "eye": observation["eye"] / np.float32(255)})
