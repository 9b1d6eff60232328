import dataclasses

import numpy as np
import pytest
import torch
from transitions import small_contract

import isthmus_sim
from isthmus.robot import load_robot
from isthmus_policies.checkpoint import load_checkpoint
from isthmus_policies.explorer import Explorer
from isthmus_policies.export import export_graph
from isthmus_policies.learner import DivergedError
from isthmus_policies.mirror import Mirror
from isthmus_policies.normaliser import Normaliser
from isthmus_policies.outcome import Evaluation
from isthmus_policies.ppo import RATES, STEP, Ppo, PpoConfig, ppo_config, scheduled
from isthmus_policies.rollout import Rollout, advantages
from isthmus_policies.training import train
from isthmus_sim.randomization import Entry, Randomization, Uniform, randomized_plant
from isthmus_sim.tasks import get_task
from isthmus_sim.vector_env import TaskVectorEnv

CONTRACT = small_contract()
SMALL = PpoConfig(num_envs=8, periods=16, epochs=2, minibatches=2, hidden=(16,), divergence=0.0, learning_rate=3e-3)


def filled(config=SMALL, contract=CONTRACT, seed=0, reward=None, ends=0.1):
    """A rollout of noise; episodes end with a chance of `ends`, half of them by time limit."""
    generator = np.random.default_rng(seed)
    rollout = Rollout(contract, config.periods, config.num_envs)
    rows, actions = config.num_envs, len(contract.action.elements)

    def observation():
        return {signal.name: generator.normal(size=(rows, signal.history, *signal.shape)) for signal in contract.observation}

    while not rollout.full:
        now, action = observation(), generator.normal(size=(rows, actions))
        ended, falls = generator.random((2, rows)) < [[ends], [0.5]]
        paid = generator.normal(size=rows) if reward is None else reward(now, action)
        rollout.add(now, np.zeros((rows, actions)), action, paid, ended & falls, ended & ~falls, observation())
    return rollout


def test_advantages_are_those_of_the_literal_sum():
    rollout, generator = filled(ends=0.2), np.random.default_rng(1)
    rollout.lost[:] = generator.random(rollout.lost.shape) < 0.1
    rollout.ended |= rollout.lost
    rollout.terminated &= ~rollout.lost
    value, after = generator.normal(size=(2, *rollout.reward.shape))
    gamma, trace = 0.9, 0.8
    found = advantages(rollout, value, after, gamma, trace)
    for row in range(found.shape[1]):
        for first in range(found.shape[0]):
            expected, weight = 0.0, 1.0
            for step in range(first, found.shape[0]):
                if step > first and rollout.lost[step, row]:
                    break
                bootstrap = 0.0 if rollout.terminated[step, row] else after[step, row]
                expected += weight * (rollout.reward[step, row] + gamma * bootstrap - value[step, row])
                weight *= gamma * trace
                if rollout.ended[step, row]:
                    break
            assert found[first, row] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("terminates", [False, True])
def test_a_time_limit_is_bootstrapped_and_an_end_is_not(terminates):
    config = dataclasses.replace(SMALL, gamma=0.8, learning_rate=1e-2, epochs=5)
    learner, generator = Ppo(CONTRACT, config), np.random.default_rng(0)
    state = {"state": np.ones((8, 1, 2), dtype=np.float32)}
    for _ in range(40):
        rollout = Rollout(CONTRACT, config.periods, 8)
        while not rollout.full:  # every period pays 1 and ends its episode
            every, never = np.ones(8, dtype=bool), np.zeros(8, dtype=bool)
            ends = (every, never) if terminates else (never, every)
            rollout.add(state, np.zeros((8, 1)), generator.normal(size=(8, 1)), np.ones(8), *ends, state)
        list(learner.learn(rollout, generator, 0.0))
    with torch.no_grad():
        worth = learner.value(learner._features(state), torch.zeros(8, 0)).mean().item() / (1 - config.gamma)
    assert worth == pytest.approx(1.0 if terminates else 1 / (1 - config.gamma), rel=0.05)


def test_at_the_first_epoch_nothing_has_changed_yet():
    learner = Ppo(CONTRACT, SMALL)
    first, *others = learner.learn(filled(), np.random.default_rng(0), 0.0)
    assert first["ratio"] == pytest.approx(1.0, abs=1e-5)
    assert first["divergence"] == pytest.approx(0.0, abs=1e-6)
    assert others[-1]["divergence"] > 1e-5


def test_the_learning_rate_follows_the_divergence():
    assert [scheduled(1e-3, divergence, 0.01) for divergence in (0.03, 0.02, 0.01, 0.005, 0.004)] == [
        1e-3 / STEP,
        1e-3,
        1e-3,
        1e-3,
        1e-3 * STEP,
    ]
    assert (scheduled(RATES[0], 1.0, 0.01), scheduled(RATES[1], 0.0, 0.01)) == RATES
    assert scheduled(1e-3, 5.0, 0.0) == 1e-3
    learner = Ppo(CONTRACT, dataclasses.replace(SMALL, divergence=1e-9))
    told = [losses["learning_rate"] for losses in learner.learn(filled(), np.random.default_rng(0), 0.0)]
    assert told[-1] < SMALL.learning_rate
    assert learner.rate.item() == told[-1]


def test_it_finds_the_action_that_pays():
    config = dataclasses.replace(SMALL, num_envs=32, entropy=0.0, gamma=0.0, periods=8)
    learner, generator = Ppo(CONTRACT, config), np.random.default_rng(0)
    for _ in range(60):
        rollout = Rollout(CONTRACT, config.periods, config.num_envs)
        while not rollout.full:
            state = {"state": generator.uniform(-1, 1, (32, 1, 2)).astype(np.float32)}
            action = learner.act(state, None, None)
            never = np.zeros(32, dtype=bool)
            rollout.add(state, action, action, -np.square(action[:, 0] - 0.5 * state["state"][:, 0, 0]), never, ~never, state)
        list(learner.learn(rollout, generator, 0.0))
    asked = torch.tensor([[[-0.8, 0.0]], [[0.8, 0.0]]])
    found = learner.policy()({"state": asked})[:, 0, 0]
    assert ((found - 1) / 2).tolist() == pytest.approx([-0.4, 0.4], abs=0.1)  # actions are from −1 to 3 in SI units


def test_the_critic_knows_what_was_drawn_and_the_policy_does_not():
    config = dataclasses.replace(SMALL, gamma=0.0, entropy=0.0)
    learner, generator = Ppo(CONTRACT, config, hidden=1), np.random.default_rng(0)
    state, every = {"state": np.ones((8, 1, 2), dtype=np.float32)}, np.ones(8, dtype=bool)
    for _ in range(80):
        rollout = Rollout(CONTRACT, config.periods, 8, 1)
        while not rollout.full:
            drawn = generator.uniform(0.7, 1.4, (8, 1))
            rollout.add(state, np.zeros((8, 1)), generator.normal(size=(8, 1)), drawn[:, 0], every, ~every, state, hidden=drawn)
        list(learner.learn(rollout, generator, 0.0))
    with torch.no_grad():
        worth = learner.value(learner._features(state), torch.linspace(0.7, 1.4, 8)[:, None])
    torch.testing.assert_close(worth, torch.linspace(0.7, 1.4, 8), atol=0.1, rtol=0)
    assert {signal.name for signal in learner.contract.observation} == {"state"}


def test_what_was_drawn_belongs_to_the_episode_that_ends():
    task = get_task("reach")
    drawn = Randomization((Entry("payload", Uniform(0.0, 2.0)),))
    env = TaskVectorEnv(
        dataclasses.replace(task, episode_steps=11),
        *randomized_plant("mujoco", task, 2, drawn)[:1],
        randomization=drawn.bind("mujoco", task.parameters),
    )
    config = dataclasses.replace(SMALL, num_envs=2)
    rollout = Rollout(task.contract, config.periods, 2, 1)
    explorer = Explorer(Ppo(task.contract, config, hidden=1), env, rollout, np.random.default_rng(0), 0.9)
    explorer.begin_episodes(0, 1.0)
    while not rollout.full:
        explorer.advance(1.0, at_random=False)
    assert (np.diff(rollout.hidden[:11, :, 0], axis=0) == 0).all()
    assert (rollout.hidden[11] != rollout.hidden[10]).all()
    assert (rollout.ended[10]).all()
    np.testing.assert_array_equal(rollout.hidden[-1], env.hidden)


def test_what_is_normalised_is_counted_exactly():
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(size, 3, generator=generator) * 4 + 7 for size in (5, 50, 1000)]
    normaliser = Normaliser(3)
    assert torch.equal(normaliser(parts[0][:1] / 9), parts[0][:1] / 9)
    for part in parts:
        normaliser.include(part)
    whole = torch.cat(parts)
    torch.testing.assert_close(normaliser.mean, whole.mean(dim=0))
    torch.testing.assert_close(normaliser.square, whole.var(dim=0, correction=0))
    assert normaliser(torch.full((1, 3), 1e9)).tolist() == [[10.0] * 3]


def test_the_exported_policy_of_a_symmetric_robot_is_the_same_in_the_mirror():
    contract, config = get_task("walk").contract, dataclasses.replace(SMALL, mirror=True)
    learner = Ppo(contract, config, seed=3)
    with torch.no_grad():
        for parameter in learner.policy().actor.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    list(learner.learn(filled(config, contract), np.random.default_rng(0), 0.0))
    mirror, generator = Mirror(contract, load_robot("quadruped")), np.random.default_rng(1)
    seen = {
        signal.name: generator.uniform(-0.5, 0.5, (20, signal.history, *signal.shape)).astype(np.float32) for signal in contract.observation
    }
    other = {
        name: value.numpy() for name, value in mirror.observation({name: torch.from_numpy(value) for name, value in seen.items()}).items()
    }
    policy = export_graph(contract, learner.policy(), seen).policy()
    actions, mirrored = (torch.from_numpy(np.asarray(policy.act(observed).actions)) for observed in (seen, other))
    torch.testing.assert_close(mirror.action(actions), mirrored, atol=1e-5, rtol=0)
    assert (actions - mirrored).abs().max() > 0.01


def test_the_quadruped_moves_in_the_mirror_as_its_profile_says():
    task, generator = get_task("walk"), np.random.default_rng(0)
    mirror = Mirror(task.contract, load_robot("quadruped"))
    env = isthmus_sim.make_vec("walk", 2)
    env.reset(seed=0)
    base = np.array([[0.0, 0.0, 0.31, 0.0, 0.0, 0.0, 1.0]] * 2)
    env.plant.reset(state={"base": base})
    env._step.reset(np.arange(2), None, {"base": base}, {})
    env._inputs["command"][:] = [[0.3, 0.1, 0.2], [0.3, -0.1, -0.2]]
    low, high = np.array(task.contract.action.low), np.array(task.contract.action.high)
    for _ in range(8):
        action = generator.uniform(low / 4 + high * 3 / 4 - (high - low) / 2, high)
        observation, *_ = env.step(np.stack([action, mirror.action(torch.from_numpy(action)).numpy()]))
    first, second = ({name: torch.from_numpy(value[row : row + 1]) for name, value in observation.items()} for row in range(2))
    for name, value in mirror.observation(first).items():
        torch.testing.assert_close(value, second[name], atol=0.05, rtol=0, msg=lambda told, name=name: f"{name}: {told}")
    assert (first["joint_position"] - second["joint_position"]).abs().max() > 0.1


def test_a_robot_without_a_mirror_is_refused():
    with pytest.raises(ValueError, match="robot 'ur5e' has no mirror symmetry in its profile"):
        Ppo(get_task("reach").contract, dataclasses.replace(SMALL, mirror=True))
    robot = load_robot("quadruped")
    with pytest.raises(ValueError, match="mirror must name every joint once, and each the one that names it"):
        dataclasses.replace(robot, mirror={**robot.mirror, "FR_hip_joint": "-RL_hip_joint"})
    with pytest.raises(ValueError, match="mirror has a minus sign for 'FR_hip_joint' and none for 'FL_hip_joint'"):
        dataclasses.replace(robot, mirror={**robot.mirror, "FL_hip_joint": "FR_hip_joint"})


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    config = PpoConfig(
        steps=240,
        num_envs=4,
        periods=8,
        epochs=2,
        minibatches=2,
        hidden=(8,),
        evaluate_every=100,
        checkpoint_every=80,
        temporal_smoothness=0.1,
    )

    def run(out, moment=999):
        def kill(step, total, evaluation):
            if step == moment:
                raise Killed

        env = isthmus_sim.make_vec("reach", 4)
        learner = Ppo(env.task.contract, config, 0)
        return train(learner, env, lambda policy: Evaluation(0.0, 0.0), out, config=config, seed=0, resume=True, progress=kill)

    with pytest.raises(Killed):
        run(tmp_path / "killed", 148)
    tensors = [load_checkpoint(run(tmp_path / name).checkpoint)[0] for name in ("killed", "whole")]
    assert tensors[0].keys() == tensors[1].keys()
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert tensors[0]["learner.normaliser.count"] > 0


def test_what_is_not_finite_is_caught_before_the_step():
    learner = Ppo(CONTRACT, SMALL)
    rollout = filled(reward=lambda now, action: np.full(8, np.nan))
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    with pytest.raises(DivergedError, match="loss is nan"):
        list(learner.learn(rollout, np.random.default_rng(0), 0.0))
    assert all(torch.equal(tensor, learner.state()[name]) for name, tensor in before.items())


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_lost_control_periods_are_left_out_however_few_remain(kept):
    learner, rollout = Ppo(CONTRACT, dataclasses.replace(SMALL, minibatches=4)), filled()
    rollout.lost.reshape(-1)[kept:] = True
    told = list(learner.learn(rollout, np.random.default_rng(0), 0.0))
    assert len(told) == (0 if kept < 2 else SMALL.epochs * kept)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clip": 0.0}, "clip must be > 0, got 0.0"),
        ({"trace": 1.1}, r"trace must be in \[0, 1\], got 1.1"),
        ({"entropy": -1.0}, "entropy must be >= 0, got -1.0"),
        ({"num_envs": 1, "periods": 2}, "minibatches must be <= the 2 control periods of a rollout, got 4"),
        ({"num_envs": 1, "periods": 1, "minibatches": 1}, "periods × num_envs must be >= 2, .*, got 1"),
        ({"hidden": ()}, r"hidden must be widths >= 1, got \(\)"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PpoConfig(**settings)


def test_tasks_that_it_cannot_learn_are_refused():
    contract = get_task("slide").contract
    with pytest.raises(ValueError, match=rf"PPO decides every control period; task 'slide' decides once per {contract.horizon} actions"):
        Ppo(contract, SMALL)
    assert ppo_config("walk").mirror
