"""DrM (arXiv 2310.19668) and MENTOR (arXiv 2410.14972): what a learner does with dormancy, experts and good agents, and small trainings."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from dots import TINY, Killed, dots_contract, pictured_batch, trained
from transitions import small_contract

import isthmus_policies.session
from isthmus.artifact import Artifact
from isthmus_policies.checkpoint import load_checkpoint
from isthmus_policies.export import export_graph
from isthmus_policies.mentor.config import MentorConfig, mentor_config
from isthmus_policies.mentor.critics import expectile_loss
from isthmus_policies.mentor.exploration import dormant_noise, falling_noise
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.outcome import Evaluation
from isthmus_policies.replay import Replay
from isthmus_policies.training import train
from isthmus_sim.suites import SuiteVectorEnv, get_suite_task

FEW = {"experts": 4, "active": 2, "expert_width": 8, "router_width": 8}
ALGORITHMS = {"drm": {"experts": 1, "perturbation": "random"}, "mentor": FEW}


def mentor(algorithm="mentor", seed=0, **settings):
    return Mentor(dots_contract(), MentorConfig(**{**TINY, **ALGORITHMS[algorithm], **settings}), seed, algorithm)


def test_intervals_are_control_periods():
    config = mentor_config("mentor", "")
    repeat = 2  # simulator frames per control period in the papers
    assert config.perturb_every * repeat == 200_000
    assert config.perturb_every * config.update_ratio == 50_000
    assert config.learning_starts * repeat == 4000


def test_the_commands_are_one_learner_with_parts_switched_off():
    found = {name: mentor_config(name, "") for name in ("drqv2", "drm", "mentor")}
    assert [(found[name].experts, found[name].perturbation, found[name].exploitation) for name in found] == [
        (1, "none", 0.0),
        (1, "random", 0.6),
        (16, "task", 0.6),
    ]
    assert [found[name].exploration for name in found] == ["linear", "awaken", "awaken"]
    assert [mentor_config(name, "", small=True).experts for name in found] == [1, 1, 4]
    assert (mentor_config("mentor", "", small=True).shrink, found["mentor"].shrink) == (2, 1)


def test_small_trainings_have_noise_that_falls_within_them():
    for name in ("drqv2", "drm", "mentor"):
        assert mentor_config(name, "", small=True).noise_steps <= 50_000 < mentor_config(name, "").noise_steps


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("dmc:dog-run@84x2", {"learning_rate": 8e-5, "features": 100, "perturb_most": 0.6}),
        ("dmc:dog-trot@84x2", {"learning_rate": 8e-5, "features": 100, "perturb_most": 0.9}),
        ("dmc:acrobot-swingup@84x2", {"perturb_most": 1.0}),
        ("dmc:acrobot-swingup_sparse@84x2", {"perturb_most": 0.9}),
        ("metaworld:soccer-v3@84x2", {"learning_rate": 1e-4, "perturb_most": 0.6, "noise_steps": 3_000_000}),
        ("gym:AdroitHandDoor-v1@84x2", {"expectile": 0.6, "noise_steps": 3_000_000}),
        ("gym:HalfCheetah-v5@84x2", {"learning_rate": 1e-4, "expectile": 0.9}),
    ],
)
def test_suites_have_the_papers_settings(task, expected):
    config = mentor_config("mentor", task)
    assert {name: getattr(config, name) for name in expected} == expected
    assert mentor_config("drqv2", task) == mentor_config("drqv2", "")
    assert mentor_config("mentor", task, small=True).learning_rate == 1e-3


def test_perturbations_come_with_the_end_of_the_episode_in_which_they_are_due(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(Mentor, "perturb", lambda self: steps.append(int(self._updates)))
    settings = {**FEW, "perturb_every": 40, "update_ratio": 0.5, "checkpoint_every": 1000}
    trained(tmp_path, "mentor", **settings)
    # Episodes end after 25, 50, … periods, the first update comes after 62, and every 20 of them a perturbation is due.
    assert steps == [(step - 1 - 60) // 2 for step in (125, 150, 200)]


def test_noise_is_that_of_dormancy_until_the_actor_is_awake():
    learner = mentor(noise_steps=1000, update_ratio=0.5)
    assert float(learner.beta) == 1.0
    assert learner.sigma(1.0) == dormant_noise(1.0)
    learner._updates.fill_(100)
    learner._learned(0.5, 0.0)
    assert learner.sigma(0.5) == dormant_noise(0.5)  # still asleep
    learner._learned(0.1, 0.0)
    assert int(learner._awake) == 101
    learner._updates.fill_(201)  # 200 control periods later
    assert learner.sigma(0.1) == falling_noise(200, 1000) > dormant_noise(0.1)
    assert learner.sigma(0.9) == dormant_noise(0.9) > falling_noise(200, 1000)  # never less than dormancy asks for
    learner._learned(0.9, 0.0)
    learner._learned(0.1, 0.0)
    assert int(learner._awake) == 101  # once


def test_the_variants_of_the_authors_code_are_settings():
    released = mentor(exploration="dormant", noise_scale=0.8, exploitation_guided=False, balance_loss="code", actor_gradient=0.001)
    assert released.sigma(0.0) == pytest.approx(0.8 * 0.1192, abs=1e-4)
    assert released.exploitation(1.0) == 0.6
    assert mentor().exploitation(1.0) < 1e-9
    losses = released.update(lambda: pictured_batch(dots_contract()), 1.0)
    assert np.isfinite(list(losses.values())).all()
    assert torch.linalg.vector_norm(released._actor_adam._gradient).item() == pytest.approx(0.001, rel=1e-3)


def test_the_exploitation_value_is_the_expectile_of_good_actions():
    generator = torch.Generator().manual_seed(0)
    worth = torch.rand(20_000, generator=generator)
    found = torch.zeros((), requires_grad=True)
    adam = torch.optim.Adam([found], lr=0.02)
    for _ in range(300):
        adam.zero_grad()
        expectile_loss(found - worth, 0.9).backward()
        adam.step()
    value = found.item()
    assert 0.1 * (value - worth).clamp(min=0).mean() == pytest.approx(0.9 * (worth - value).clamp(min=0).mean().item(), rel=0.02)
    assert value == pytest.approx(0.75, abs=0.01)  # of a uniform distribution: x² / (1 − x)² = 9


def test_the_target_weighs_exploitation_by_the_dormant_ratio():
    learner = mentor()
    batch, still = pictured_batch(dots_contract()), torch.zeros(6, 2)
    _, after = learner.codes(batch)
    asleep, half = learner.targets(batch, after, still, 1.0), learner.targets(batch, after, still, 0.2)
    explored = torch.minimum(*learner.target(after, learner.explored(learner.actor(after), still)))
    torch.testing.assert_close(asleep, batch.reward + batch.discount * explored)
    torch.testing.assert_close(half, batch.reward + batch.discount * (0.3 * learner.value(after) + 0.7 * explored))


def test_each_loss_teaches_its_own_networks():
    learner = mentor()
    batch = pictured_batch(dots_contract())
    now, after = learner.codes(batch)
    target = learner.targets(batch, after, torch.zeros(6, 2), 0.1)
    assert not target.requires_grad
    networks = {name: getattr(learner, name) for name in ("encoder", "actor", "critic", "value", "target")}

    def taught(loss):
        for network in networks.values():
            network.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        return {name for name, network in networks.items() if any(p.grad is not None and p.grad.any() for p in network.parameters())}

    assert taught(learner.critic_loss(now, batch, target)) == {"encoder", "critic"}
    assert taught(learner.value_loss(now.detach(), batch)) == {"value"}
    mean, routing = learner.actor.decide(now.detach())
    assert taught(learner.balance_loss(routing)) == {"actor"}
    assert "encoder" not in taught(learner.actor_loss(now.detach(), learner.explored(mean, torch.zeros(6, 2))))
    before = torch.cat([parameter.detach().flatten() for parameter in learner.critic.parameters()])
    learner._critic_adam._learning_rate = 0.0
    learner.update(lambda: batch, 1.0)
    assert torch.equal(before, torch.cat([parameter.detach().flatten() for parameter in learner.critic.parameters()]))


@pytest.mark.parametrize(("ends", "expected"), [((0, 0, 0), (5.23, 0.729)), ((0, 1, 0), (2.8, 0.0)), ((0, 2, 0), (2.8, 0.81))])
def test_returns_of_three_steps_end_where_the_episode_does(ends, expected):
    """0: goes on, 1: terminated, 2: time limit."""
    replay, zero = Replay(small_contract(size=1), 10), np.zeros((1, 1))
    for reward, end in zip((1.0, 2.0, 3.0), ends, strict=True):
        seen = {"state": np.full((1, 1, 1), reward)}
        replay.add(
            seen, zero, zero, np.array([reward]), np.array([end == 1]), np.array([end == 2]), {"state": np.full((1, 1, 1), reward + 1)}
        )
    batch = replay.sample(200, 0.9, 3, np.random.default_rng(0))
    first = int(np.argmax(batch.observation["state"][:200, 0, 0] == 1))
    assert (batch.reward[first].item(), batch.discount[first].item()) == pytest.approx(expected)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_learner_goes_on_as_if_nothing_had_happened(algorithm):
    settings = {"perturb_every": 6, "update_ratio": 0.5, "top": 3}
    first = mentor(algorithm, **settings)

    def play(learner, seeds):
        for seed in seeds:
            learner.update(lambda seed=seed: pictured_batch(dots_contract(), seed=seed), 1.0)
            learner.ended([float(seed % 7)])

    play(first, range(5))
    second = mentor(algorithm, seed=1, **settings)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    for learner in (first, second):
        play(learner, range(5, 15))
    one, other = first.state(), second.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert int(first._events) >= 4
    assert first.top is None or len(first.top.returns) == 3


def test_a_small_training_is_resumed_bit_for_bit_and_tells_what_happened(tmp_path, monkeypatch):
    monkeypatch.setattr(isthmus_policies.session, "LOG_EVERY", 20)
    settings = {**FEW, "perturb_every": 20}
    with pytest.raises(Killed):
        trained(tmp_path / "killed", "mentor", 137, **settings)
    whole, resumed = (load_checkpoint(trained(tmp_path / name, "mentor", **settings).checkpoint)[0] for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "training.jsonl").read_text().splitlines()]
    learned = [row for row in rows if "critic_loss" in row]
    for row in learned:
        assert sum(row[f"expert_{number}"] for number in range(4)) == pytest.approx(2)
        assert 0 <= row["dormant"] <= 1
        assert row["top_worst"] <= row["top_mean"] <= row["top_best"]
    events = [row for row in rows if "perturbation" in row]
    assert 0 < len(events) < len(learned)
    assert all(0.2 <= row["perturbation_kept"] <= 0.9 for row in events)
    artifact = Artifact.load(tmp_path / "whole" / "policy.isthmus")
    observation = {name: values.numpy() for name, values in pictured_batch(artifact.contract).observation.items()}
    assert artifact.policy().act(observation).actions.shape == (12, 1, 2)


def test_a_training_from_a_suites_pictures_with_small_networks_is_resumed_bit_for_bit(tmp_path):
    task = get_suite_task("dmc:cartpole-swingup@48")
    settings = {"steps": 160, "learning_starts": 100, "evaluate_every": 1000, "checkpoint_every": 120, "perturb_every": 20}
    config = dataclasses.replace(mentor_config("mentor", "", small=True), **settings)

    def run(out, killed=None):
        def progress(step, total, evaluation):
            if step == killed:
                raise Killed

        learner, env = Mentor(task.contract, config, 0), SuiteVectorEnv(dataclasses.replace(task, episode_steps=20), 1)
        try:
            return train(learner, env, lambda policy: Evaluation(0.0, None), out, config=config, seed=0, resume=True, progress=progress)
        finally:
            env.close()

    with pytest.raises(Killed):
        run(tmp_path / "killed", 150)
    whole, resumed = (load_checkpoint(run(tmp_path / name).checkpoint)[0] for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert int(whole["learner.events"]) == 2
    assert whole["memory.image_camera"].shape[1:] == (169, 48, 48, 3)


def test_a_router_at_a_tie_may_be_rounded_either_way_in_one_of_a_thousand_observations():
    learner = mentor()
    policy = learner.policy()
    observation = {name: values.numpy() for name, values in pictured_batch(dots_contract(), 8).observation.items()}
    assert (policy.margin({name: torch.from_numpy(value) for name, value in observation.items()}) > 0).all()

    class Other(torch.nn.Module):
        """Decides otherwise where it is exported, in the first rows."""

        def __init__(self, rows, tied):
            super().__init__()
            self.policy, self.rows, self.tied = policy, rows, tied

        def forward(self, seen):
            actions = self.policy(seen)
            if torch.onnx.is_in_onnx_export():
                return actions
            return torch.cat([actions[: self.rows] + 0.1, actions[self.rows :]])

        def margin(self, seen):
            return torch.full((16,), 0.0 if self.tied else 1.0)

    export_graph(dots_contract(), Other(1, True), observation)
    with pytest.raises(
        ValueError, match="the router is at a tie in 2 of 16 observations, and the exported graph decides it in another way; allowed are 1"
    ):
        export_graph(dots_contract(), Other(2, True), observation)
    with pytest.raises(ValueError, match="exported graph differs from the trained one by"):
        export_graph(dots_contract(), Other(1, False), observation)


def test_settings_that_cannot_be_are_named():
    for settings, message in (
        ({"perturbation": "some"}, "unknown perturbation 'some'; "),
        ({"exploitation": 1.5}, "exploitation must be from 0 to 1, got 1.5"),
        ({"perturb_most": 0.1}, "perturb_most must be from 0.2 to 1, got 0.1"),
        ({"top": 1}, "top must be >= 2, because one agent has no spread, got 1"),
        ({"router_dropout": 1.0}, r"router_dropout must be in \[0, 1\), got 1.0"),
        ({"expectile": 1.0}, r"expectile must be in \(0, 1\), got 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            MentorConfig(**settings)
