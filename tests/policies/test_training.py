import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import isthmus_sim
from isthmus.artifact import Artifact
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from isthmus_policies.dsac_t import DsacT, DsacTConfig
from isthmus_policies.export import export_graph
from isthmus_policies.identity import check_resumable
from isthmus_policies.learner import DivergedError, OffPolicyConfig
from isthmus_policies.offline import Offline, recorded_replay
from isthmus_policies.outcome import Evaluation
from isthmus_policies.sac import Sac, SacConfig
from isthmus_policies.srl import Srl, SrlConfig
from isthmus_policies.training import train
from isthmus_policies.transfer import load_actor
from isthmus_sim.randomization import load_randomization, randomized_plant
from isthmus_sim.recordings import RecordedEpisode
from isthmus_sim.tasks import get_task
from isthmus_sim.vector_env import TaskVectorEnv

EXAMPLES = int(os.environ.get("ISTHMUS_EXAMPLES", "3"))  # of moments at which a training is killed
TASK = get_task("pendulum")
SMALL = SacConfig(
    steps=180, learning_starts=50, batch_size=32, hidden=(16, 16), evaluate_every=60, checkpoint_every=40, learning_rate_decay=0.5, n_step=2
)


RANDOM = Path(__file__).parents[2] / "examples" / "randomize" / "reach.yaml"  # with a curriculum, delays, noise and pushes


def trained(out, scores=(1.0, 3.0, 2.0), seed=0, config=SMALL, task="pendulum", **options):
    remaining = iter(scores)
    env = isthmus_sim.make_vec(task, config.num_envs, randomization=load_randomization(RANDOM) if task == "reach" else None)
    learner = Sac(env.task.contract, config, seed)
    return train(learner, env, lambda policy: Evaluation(next(remaining), 0.0), out, config=config, seed=seed, **options)


def tensors(result):
    return load_checkpoint(result.checkpoint)[0]


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_policy_that_the_guard_had_to_hold_back_is_not_kept_for_a_little_more_return(tmp_path):
    smooth, clamped, stopped = Evaluation(-10.0, 0.9, 0.01, 0.0), Evaluation(-9.0, 1.0, 0.6, 0.0), Evaluation(-9.8, 0.9, 0.01, 0.1)
    assert smooth.score > max(clamped.score, stopped.score)
    assert Evaluation(10.0, 0.9, 0.01, 0.0).score > Evaluation(11.0, 0.9, 0.6, 0.0).score
    env, scores = isthmus_sim.make_vec("pendulum", 1), iter([clamped, smooth, stopped])
    result = train(Sac(TASK.contract, SMALL), env, lambda policy: next(scores), tmp_path, config=SMALL, seed=0)
    assert (result.best, Artifact.load(result.policy).training["steps"]) == (smooth, 120)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["clamped"], row["stopped"]) for row in rows] == [(0.6, 0.0), (0.01, 0.0), (0.01, 0.1)]


def test_the_best_evaluation_becomes_the_policy(tmp_path):
    result = trained(tmp_path)
    assert result.best == Evaluation(3.0, 0.0)
    assert result.steps == 180
    assert Artifact.load(result.policy).training["steps"] == 120
    assert Artifact.load(tmp_path / "last.isthmus").training["steps"] == 180
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [60, 120, 180]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step_000000160.safetensors",
        "step_000000180.safetensors",
    ]


def test_equal_seeds_train_equal_networks_and_other_seeds_do_not(tmp_path):
    first, second, third = (tensors(trained(tmp_path / name, seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert equal(first, second)
    assert not torch.equal(first["learner.actor.vector"], third["learner.actor.vector"])


def metrics(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


class Killed(Exception):
    pass


def interrupted_at(moment, number=signal.SIGINT):
    def progress(step, total, evaluation):
        if step == moment:
            signal.raise_signal(number)

    return progress


def killed_at(step):
    def progress(done, total, evaluation):
        if done >= step:
            raise Killed

    return progress


FIELDS = {name: getattr(SMALL, name) for name in SMALL.__dataclass_fields__}


ROWS = {"pendulum": 1, "reach": 1, "gym:Hopper-v5": 2}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    made = {task: SacConfig(**{**FIELDS, "num_envs": rows}) for task, rows in ROWS.items()}
    return {task: tensors(trained(tmp_path_factory.mktemp("whole"), config=config, task=task)) for task, config in made.items()}


@given(moments=st.lists(st.integers(1, 178), min_size=1, max_size=2))  # at 180 it is over
@settings(deadline=None, max_examples=EXAMPLES)
@pytest.mark.parametrize("task", list(ROWS))
def test_a_killed_and_resumed_training_ends_as_an_uninterrupted_one(uninterrupted, tmp_path_factory, task, moments):
    out, config = tmp_path_factory.mktemp("killed"), SacConfig(**{**FIELDS, "num_envs": ROWS[task]})
    for moment in moments:
        with pytest.raises(Killed):
            trained(out, config=config, task=task, resume=True, progress=killed_at(moment))
    result = trained(out, config=config, task=task, resume=True)
    assert equal(tensors(result), uninterrupted[task])
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [60, 120, 180]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_leaves_a_checkpoint_of_that_moment_and_goes_on_from_it(tmp_path, number):
    before = signal.getsignal(number)
    result = trained(tmp_path, progress=interrupted_at(90, number))
    assert signal.getsignal(number) is before
    assert (result.interrupted, result.checkpoint.name) == (True, "step_000000090.safetensors")
    assert Artifact.load(result.policy).training["steps"] == 60
    assert Artifact.load(tmp_path / "last.isthmus").training["steps"] == 90
    steps = []
    result = trained(tmp_path, scores=(0.0, 2.0), resume=True, progress=lambda step, *_: steps.append(step))
    assert (steps[0], result.steps, result.interrupted) == (91, 180, False)
    assert [row["return"] for row in metrics(tmp_path)] == [1.0, 0.0, 2.0]


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    def progress(step, total, evaluation):
        if step == 90:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, progress=progress)
    assert newest_checkpoint(tmp_path / "checkpoints").name == "step_000000080.safetensors"


def test_what_a_killed_training_came_to_stays_until_it_is_come_to_again(tmp_path):
    never = SacConfig(**{**FIELDS, "checkpoint_every": 180})
    with pytest.raises(Killed):
        trained(tmp_path, config=never, progress=killed_at(130))
    result = trained(tmp_path, config=never, scores=(5.0, 6.0, 7.0), resume=True, progress=interrupted_at(20))
    assert (result.steps, result.best) == (20, None)
    assert Artifact.load(result.policy).training["steps"] == 120
    assert [row["step"] for row in metrics(tmp_path)] == [60, 120]
    trained(tmp_path, config=never, scores=(5.0, 6.0, 7.0), resume=True, progress=interrupted_at(70))
    assert [(row["step"], row["return"]) for row in metrics(tmp_path)] == [(60, 5.0), (120, 3.0)]
    trained(tmp_path, config=never, scores=(6.0, 7.0), resume=True)
    assert [row["return"] for row in metrics(tmp_path)] == [5.0, 6.0, 7.0]


def test_a_newer_policy_is_not_replaced_by_an_older_one(tmp_path):
    trained(tmp_path, progress=interrupted_at(90))
    for file in (tmp_path / "checkpoints").glob("*0000[89]0.*"):
        file.unlink()
    save_checkpoint(tmp_path / "checkpoints", 40, *load_checkpoint(trained(tmp_path / "other", progress=interrupted_at(40)).checkpoint))
    trained(tmp_path, resume=True, progress=interrupted_at(50))
    assert Artifact.load(tmp_path / "last.isthmus").training["steps"] == 90


def test_evaluations_without_a_checkpoint_are_not_emptied(tmp_path):
    trained(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match="holds the evaluations of a training, and no checkpoint"):
        trained(tmp_path, resume=True)
    assert len(metrics(tmp_path)) == 3


def test_a_finished_training_goes_on_for_longer(tmp_path):
    trained(tmp_path)
    result = trained(tmp_path, scores=(9.0, 8.0), config=target(steps=260), resume=True)
    assert (result.steps, result.best) == (260, Evaluation(9.0, 0.0))
    assert [row["step"] for row in metrics(tmp_path)] == [60, 120, 180, 240, 260]
    with pytest.raises(ValueError, match=r"steps 180 \(there: 260\)"):
        trained(tmp_path, resume=True)


def test_ctrl_c_before_the_first_evaluation_leaves_the_policy_of_the_moment(tmp_path):
    late = SacConfig(**{**FIELDS, "evaluate_every": 150})
    result = trained(tmp_path, config=late, progress=interrupted_at(45))
    assert Artifact.load(result.policy).training["steps"] == 45
    result = trained(tmp_path, config=late, progress=interrupted_at(130), resume=True)
    assert Artifact.load(result.policy).training["steps"] == 130
    (tmp_path / "config.json").unlink()
    result = trained(tmp_path, config=late, seed=5, progress=interrupted_at(45))
    assert [Artifact.load(result.policy).training[name] for name in ("seed", "steps")] == [5, 45]


SHORTER = {**FIELDS, "steps": 120}
OTHERS = {
    "dsac-t": (DsacT, DsacTConfig(**{name: SHORTER[name] for name in OffPolicyConfig.__dataclass_fields__}, hidden=(16, 16))),
    "srl": (
        Srl,
        SrlConfig(
            **{name: SHORTER[name] for name in OffPolicyConfig.__dataclass_fields__ if name != "n_step"},
            hidden=8,
            critic_hidden=(16, 16),
            model_hidden=(16, 16),
            sequence=3,
        ),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_learners_go_on_half_way_as_if_nothing_had_happened(tmp_path, name):
    kind, config = OTHERS[name]

    def run(out, moment=999):
        learner = kind(get_task("reach").contract, config, 0)
        task = dataclasses.replace(get_task("reach"), contract=learner.contract)
        env = TaskVectorEnv(task, randomized_plant("mujoco", task, 1, None)[0])
        return train(learner, env, lambda policy: Evaluation(0.0, 0.0), out, config=config, seed=0, resume=True, progress=killed_at(moment))

    with pytest.raises(Killed):
        run(tmp_path / "killed", 97)
    assert equal(tensors(run(tmp_path / "killed")), tensors(run(tmp_path / "whole")))


def target(**settings):
    return SacConfig(**{**FIELDS, **settings})


def test_a_training_ends_with_the_evaluation_that_reaches_the_target(tmp_path):
    result = trained(tmp_path, config=target(stop_at=3.0))
    assert (result.steps, result.reached, result.best) == (120, True, Evaluation(3.0, 0.0))
    assert result.checkpoint.name == "step_000000120.safetensors"
    for name, steps in (("policy", 120), ("last", 120)):
        training = Artifact.load(tmp_path / f"{name}.isthmus").training
        assert (training["steps"], training["reached_target"]) == (steps, True)


def test_a_target_that_is_never_reached_changes_nothing(tmp_path):
    result = trained(tmp_path / "target", config=target(stop_at=99.0))
    assert (result.steps, result.reached) == (180, False)
    assert Artifact.load(tmp_path / "target" / "last.isthmus").training["reached_target"] is False
    assert equal(tensors(result), tensors(trained(tmp_path / "plain")))
    assert "reached_target" not in Artifact.load(tmp_path / "plain" / "last.isthmus").training


@given(moments=st.lists(st.integers(1, 120), min_size=1, max_size=2))
@settings(deadline=None, max_examples=3)
def test_a_killed_training_ends_at_its_target_as_an_uninterrupted_one(tmp_path_factory, moments):
    out, config = tmp_path_factory.mktemp("killed"), target(stop_at=3.0)
    done = []

    def score(policy):
        return Evaluation({60: 1.0, 120: 3.0}[done[-1] + 1], None)

    def run(progress):
        env = isthmus_sim.make_vec("pendulum", 1)
        return train(Sac(env.task.contract, config), env, score, out, config=config, seed=0, resume=True, progress=progress)

    for moment in (*moments, None):

        def progress(step, total, evaluation, moment=moment):
            done.append(step)
            if step == moment:
                raise Killed

        done.append(0)
        with contextlib.suppress(Killed):
            result = run(progress)
    again = run(None)
    assert (result.steps, result.reached, again.steps, again.reached) == (120, True, 120, True)
    whole = trained(tmp_path_factory.mktemp("whole"), scores=(1.0, 3.0), config=config)
    assert equal(tensors(result), tensors(whole))
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [60, 120]


def test_with_two_targets_both_are_asked_for_and_the_policy_that_has_them_is_the_result(tmp_path):
    both = target(stop_at=1.0, stop_at_success=0.5)
    assert [both.reached(Evaluation(*score)) for score in ((1.0, 0.4), (0.9, 0.5), (1.0, 0.5))] == [False, False, True]
    remaining = iter([Evaluation(5.0, 0.1), Evaluation(2.0, 0.6)])
    env = isthmus_sim.make_vec("pendulum", 1)
    result = train(Sac(TASK.contract, both), env, lambda policy: next(remaining), tmp_path, config=both, seed=0)
    assert result.best == Evaluation(2.0, 0.6)
    assert Artifact.load(result.policy).training["steps"] == 120


def test_targets_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"stop_at_success must be in \(0, 1\], got 90"):
        target(stop_at_success=90)
    with pytest.raises(ValueError, match="stop_at must be finite, got nan"):
        target(stop_at=float("nan"))
    with pytest.raises(ValueError, match="stop_at_success needs a task that says what success is"):
        target(stop_at_success=0.9).reached(Evaluation(0.0, None))


def test_a_finished_training_is_not_evaluated_again(tmp_path):
    config = target(evaluate_every=100)
    first = trained(tmp_path, config=config)
    again = trained(tmp_path, scores=(), config=config, resume=True)
    assert again.best == first.best
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [100, 180]


def test_films_are_of_the_policy_of_the_moment_and_change_nothing(tmp_path):
    filmed = []
    result = trained(tmp_path / "filmed", film=lambda policy, step: filmed.append((step, policy.contract.task)), film_every=50)
    assert filmed == [(50, "pendulum"), (100, "pendulum"), (150, "pendulum")]
    assert equal(tensors(result), tensors(trained(tmp_path / "plain")))


def test_another_training_is_not_resumed(tmp_path):
    trained(tmp_path, notes={"plant": "mujoco"})
    with pytest.raises(
        ValueError, match=r"holds another training, which cannot be resumed with seed 1 \(there: 0\), gamma 0.5 \(there: 0.99\)"
    ):
        check_resumable(tmp_path, "sac", 1, SacConfig(**{**FIELDS, "gamma": 0.5}), {"plant": "mujoco"})
    with pytest.raises(ValueError, match=r"with plant 'pybullet' \(there: 'mujoco'\), randomization 'some' \(there: None\)$"):
        check_resumable(tmp_path, "sac", 0, SMALL, {"plant": "pybullet", "randomization": "some"})


def test_of_a_changed_randomization_the_message_names_what_changed(tmp_path):
    def notes(high):
        return {"randomization": {"content": {"parameters": {"damping": {"low": 0.0, "high": high}}, "plants": []}}}

    trained(tmp_path, notes=notes(1.0))
    check_resumable(tmp_path, "sac", 0, SMALL, notes(1.0))
    with pytest.raises(ValueError, match=r"with randomization.content.parameters.damping.high 2.0 \(there: 1.0\)$"):
        check_resumable(tmp_path, "sac", 0, SMALL, notes(2.0))


def test_recordings_belong_to_a_training_whoever_calls_it(tmp_path):
    names = {signal.name: (51, signal.history, *signal.shape) for signal in TASK.contract.observation}
    episode = RecordedEpisode({name: np.zeros(shape) for name, shape in names.items()}, np.zeros((50, 1)), np.zeros(50), False)
    offline = [Offline(recorded_replay(TASK.contract, [episode]), 0.5, name) for name in ("recordings A", "recordings B")]
    config = SacConfig(**{**FIELDS, "n_step": 1})
    with pytest.raises(Killed):
        trained(tmp_path, config=config, offline=offline[0], progress=killed_at(100))
    with pytest.raises(ValueError, match=r"with offline 'recordings B' \(there: 'recordings A'\)$"):
        trained(tmp_path, config=config, offline=offline[1], resume=True)
    result = trained(tmp_path, config=config, offline=offline[0], resume=True)
    assert Artifact.load(result.policy).training["offline"] == "recordings A"


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = save_checkpoint(tmp_path, 7, {"weights": torch.ones(1000)}, {"step": 7})
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"checkpoint {path} is damaged")):
        load_checkpoint(path)
    path.write_bytes(content[:100])
    with pytest.raises(ValueError, match=re.escape(f"checkpoint {path} cannot be read")):
        load_checkpoint(path)


def test_checkpoints_rotate_and_keep_what_they_were_given(tmp_path):
    for step in (5, 10, 15):
        path = save_checkpoint(tmp_path, step, {"a": torch.arange(step), "b": torch.zeros(())}, {"step": step, "large": 2**100})
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["step_000000010.safetensors", "step_000000015.safetensors"]
    found, state = load_checkpoint(path)
    assert torch.equal(found["a"], torch.arange(15))
    assert state == {"step": 15, "large": 2**100}


@pytest.mark.parametrize("culprit", ["reward", "network"])
def test_a_loss_that_is_not_finite_stops_with_the_state_before_it(tmp_path, culprit):
    env = isthmus_sim.make_vec("pendulum", 1)
    learner = Sac(TASK.contract, SMALL)
    step = env.step

    def broken(actions):
        observation, reward, *rest = step(actions)
        env.count = getattr(env, "count", 0) + 1
        if env.count == 70 and culprit == "network":
            learner.state()["critic.vector"][:] = torch.inf
        return observation, np.full_like(reward, np.nan) if env.count == 70 and culprit == "reward" else reward, *rest

    env.step = broken
    with pytest.raises(DivergedError, match="critic_loss is nan in update") as caught:
        train(learner, env, lambda policy: Evaluation(0.0, None), tmp_path, config=SMALL, seed=0)
    told = str(caught.value)
    assert ("not finite in the batch: batch0.reward" if culprit == "reward" else "every number of the batch is finite") in told
    (file,) = tmp_path.glob("diverged_*.safetensors")
    assert str(file) in told
    saved, _ = load_checkpoint(file)
    assert torch.isfinite(saved["batch0.reward"]).all() == (culprit == "network")
    if culprit == "reward":
        assert all(torch.isfinite(tensor.float()).all() for name, tensor in saved.items() if name.startswith("learner."))


def test_several_rows_share_the_steps_and_the_updates_keep_their_ratio(tmp_path):
    config = SacConfig(**{**FIELDS, "num_envs": 4, "update_ratio": 0.25})
    result = trained(tmp_path, config=config)
    _, state = load_checkpoint(result.checkpoint)
    assert (state["step"], state["updates"]) == (180, (180 - 50) // 4)


@pytest.mark.parametrize(("kind", "config"), [(Sac, SMALL), *OTHERS.values()])
def test_a_training_starts_from_the_actor_of_a_policy_file(tmp_path, kind, config):
    contract = TASK.contract
    first = kind(contract, config, 0)
    with torch.no_grad():
        for parameter in first.policy().parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    samples = {
        signal.name: np.random.default_rng(0).random((4, signal.history, *signal.shape), np.float32)
        for signal in first.contract.observation
    }
    file = export_graph(first.contract, first.policy(), samples, training={"algorithm": first.algorithm})
    second = kind(contract, config, 1)
    load_actor(second, file)
    tried = {name: torch.from_numpy(value) for name, value in samples.items()}
    assert torch.equal(first.policy()(tried), second.policy()(tried))
    other = export_graph(first.contract, first.policy(), samples, training={"algorithm": "sac", "engine": "sb3"})
    with pytest.raises(ValueError, match="the policy was made by 'sb3 sac'; a training with"):
        load_actor(second, other)
    wide = kind(contract, dataclasses.replace(config, hidden=(8, 8) if isinstance(config.hidden, tuple) else 4), 0)
    with pytest.raises(ValueError, match=r"of shape .* this training .* give the widths"):
        load_actor(wide, file)
