"""`isthmus train … --offline`: recordings of `isthmus eval --record` become the transitions that were collected."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

import isthmus_sim
from isthmus.artifact import Artifact
from isthmus.records import ActionChunk
from isthmus.sequence import sequence_contract
from isthmus.trace import TraceStep, TraceWriter, read_trace
from isthmus_cli.train.demonstrations import SCRIPTED_SEED, scripted_episodes
from isthmus_cli.train.offline import find_recordings, load_recordings
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_policies.actions import ActionScale
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint
from isthmus_policies.offline import recorded_replay
from isthmus_policies.replay import Replay
from isthmus_sim.recordings import recorded_episodes
from isthmus_sim.tasks import get_task

SMALL = ("--steps", 150, "--learning-starts", 50, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 100, "--checkpoint-every", 60)
SEEDS = (7, 8)


class Pump:
    """Swings a pendulum up by pushing along its motion, at times harder than it may."""

    contract = get_task("pendulum").contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        return ActionChunk(2.5 * np.tanh(observation["joint_velocity"].astype(np.float64)))


def scripted(task):
    return Pump() if task.name == "pendulum" else scripted_artifact(task.contract).policy()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    for name in ("pendulum", "reach", "peg-state"):
        task = get_task(name)
        evaluate_task(task, scripted(task), episodes=len(SEEDS), seed=SEEDS[0], record=folder / name)
    return folder


def collected(task, seed, periods):
    """The replay that training would have, of one episode of the scripted policy without its last period."""
    env, policy, scale = isthmus_sim.make_vec(task.name, 1), scripted(task), ActionScale(task.contract)
    replay, no = Replay(task.contract, periods + 1), np.zeros(1, dtype=bool)
    policy.reset(seed=SEEDS[0])
    observation, _ = env.reset(seed=seed)
    chosen = np.zeros((1, scale.size), dtype=np.float32)
    for step in range(periods):
        asked = policy.act(observation).actions[:, 0]
        following, reward, terminated, truncated, _ = env.step(asked)
        assert not (terminated | truncated).any()
        action = np.clip(scale.from_si(asked), -1, 1)
        replay.add(observation, scale.executed(observation, chosen), action, reward, no, no | (step == periods - 1), following)
        observation, chosen = following, action
    env.close()
    return replay


@pytest.mark.parametrize("name", ["pendulum", "reach"])
def test_a_recording_gives_exactly_the_transitions_that_were_collected(recorded, name):
    task = get_task(name)
    for seed in SEEDS:
        recordings = find_recordings([recorded / name / f"mujoco-{seed:06d}.mcap"], 0.5)
        found = load_recordings(recordings, task, task.contract, quiet=True).replay.state()
        wanted = collected(task, seed, task.episode_steps - 1).state()
        assert found.keys() == wanted.keys()
        for part, values in wanted.items():
            # The tool of a recording is found by kinematics, in the simulation by MuJoCo, which rounds otherwise.
            torch.testing.assert_close(found[part], values, rtol=0, atol=1e-6 if (name, part) == ("reach", "reward") else 0)


def changed(source, target, change, contract=None, **metadata):
    """Write a recording again, with periods changed or, where `change` gives None, left out."""
    trace = read_trace(source)
    with TraceWriter(target, contract or trace.contract, {**trace.metadata, **metadata}) as writer:
        for step in range(len(trace)):
            decision = int(np.searchsorted(trace.decisions, step))
            decided = decision < len(trace.decisions) and trace.decisions[decision] == step
            executed = trace.executed_command(step)
            period = TraceStep(
                measurement=trace.measurement(step),
                command=dataclasses.replace(executed, values=trace.command[step : step + 1]),
                executed=executed,
                inputs={name: values[step : step + 1] for name, values in trace.inputs.items()},
                observation={name: values[decision : decision + 1] for name, values in trace.observations.items()} if decided else None,
                action=trace.actions[decision : decision + 1] if decided else None,
            )
            if (period := change(step, period)) is not None:
                writer.record(period)
    return target


def episodes(path, name="pendulum"):
    task = get_task(name)
    return recorded_episodes(read_trace(path), task, task.contract)


def lengths(path, name="pendulum"):
    return [len(episode.reward) for episode in episodes(path, name)]


def test_periods_in_which_nothing_was_asked_or_executed_cut_the_episode(recorded, tmp_path):
    source = recorded / "pendulum" / "mujoco-000007.mcap"
    assert lengths(source) == [199]

    def change(step, period):
        if step == 50:
            return dataclasses.replace(period, command=None)
        return dataclasses.replace(period, executed=None) if step == 120 else period

    path = changed(source, tmp_path / "cut.mcap", change)
    assert lengths(path) == [50, 69, 78]
    whole = episodes(source)[0]
    for part, first in zip(episodes(path), (0, 51, 121), strict=True):
        np.testing.assert_array_equal(part.reward, whole.reward[first : first + len(part.reward)])
        assert not part.terminated


def test_a_stop_of_the_guard_ends_the_recording_with_the_period_of_the_stop(recorded, tmp_path):
    source = recorded / "pendulum" / "mujoco-000007.mcap"
    path = changed(
        source, tmp_path / "stop.mcap", lambda step, period: dataclasses.replace(period, rung=3 if step >= 30 else 0, cause="test")
    )
    assert lengths(path) == [31]


def test_where_a_person_corrected_what_was_executed_is_the_experience(recorded, tmp_path):
    source = recorded / "pendulum" / "mujoco-000007.mcap"

    def change(step, period):
        sent = dataclasses.replace(period.executed, values=period.executed.values + 0.125)
        told = {} if step == 0 else {"observation": None, "action": None}  # it would tell the previous action that was really executed
        return dataclasses.replace(period, executed=sent, corrected=10 <= step < 15, **told)

    (episode,) = episodes(changed(source, tmp_path / "corrected.mcap", change))
    (whole,) = episodes(source)
    trace = read_trace(source)
    np.testing.assert_array_equal(episode.action[:10], whole.action[:10])
    np.testing.assert_array_equal(episode.action[10:15], trace.executed[10:15] + 0.125)
    np.testing.assert_array_equal(episode.action[15:], whole.action[15:])


def test_in_passing_time_a_recording_says_which_action_was_heard_of(recorded, tmp_path):
    source = recorded / "reach" / "mujoco-000007.mcap"

    def change(step, period):
        return dataclasses.replace(period, observation={**period.observation, "previous_action": np.full((1, 1, 6), 0.5)})

    (episode,) = episodes(changed(source, tmp_path / "wall.mcap", change, clock="wall"), "reach")
    assert (episode.observation["previous_action"] == 0.5).all()
    with pytest.raises(ValueError, match=r"signal 'previous_action' of period 0 was"):
        episodes(changed(source, tmp_path / "stepped.mcap", change), "reach")


def test_a_measurement_that_came_late_cuts_the_episode(recorded, tmp_path):
    def late(step, period):
        stamp = period.measurement.stamp + (0.05 if step >= 40 else 0.0)
        return dataclasses.replace(period, measurement=dataclasses.replace(period.measurement, stamp=stamp))

    assert lengths(changed(recorded / "pendulum" / "mujoco-000007.mcap", tmp_path / "late.mcap", late)) == [39, 159]


def test_a_fall_terminates_and_ends_the_recording(recorded):
    task = dataclasses.replace(get_task("pendulum"), fallen=lambda step: step.time >= 1.0)
    (episode,) = recorded_episodes(read_trace(recorded / "pendulum" / "mujoco-000007.mcap"), task, task.contract)
    assert (len(episode.reward), episode.terminated) == (20, True)


def test_a_recording_without_its_beginning_is_refused(recorded, tmp_path):
    path = changed(recorded / "reach" / "mujoco-000007.mcap", tmp_path / "tail.mcap", lambda step, period: period if step > 9 else None)
    with pytest.raises(ValueError, match=r"signal 'previous_action' of period 0 was .* when rebuilt: the recording does not begin"):
        episodes(path, "reach")


def test_a_recording_without_a_decision_among_others_is_told(recorded, tmp_path, capsys):
    path = changed(
        recorded / "pendulum" / "mujoco-000007.mcap",
        tmp_path / "idle.mcap",
        lambda step, period: dataclasses.replace(period, observation=None, action=None),
    )
    source, task = recorded / "pendulum" / "mujoco-000007.mcap", get_task("pendulum")
    load_recordings(find_recordings([path, source], 0.5), task, task.contract)
    assert f"{path} holds no transition: nothing was decided (/policy/action is empty)" in capsys.readouterr().out


def test_recordings_without_any_transition_are_named_with_what_is_missing(recorded, tmp_path, refuse):
    source = recorded / "pendulum" / "mujoco-000007.mcap"
    empty = {"observation": None, "action": None}
    without = {
        "/policy/action is empty": lambda step, period: dataclasses.replace(period, **empty),
        "/joint_states ends with it": lambda step, period: period if step < 1 else None,
        "no whole command is on /guard/command": lambda step, period: dataclasses.replace(period, command=None),
        "no whole command is on /guard/executed": lambda step, period: dataclasses.replace(period, executed=None),
        "are 0.05 s apart (/joint_states)": lambda step, period: dataclasses.replace(
            period, measurement=dataclasses.replace(period.measurement, stamp=2 * period.measurement.stamp)
        ),
    }
    for number, (told, change) in enumerate(without.items()):
        path = changed(source, tmp_path / f"{number}.mcap", change)
        said = refuse("train", "bc", "pendulum", "--out", tmp_path / "run", "--offline", path)
        assert f"{path} holds no transition: " in said
        assert told in said
    assert "; nor do 4 others" in refuse("train", "bc", "pendulum", "--out", tmp_path / "run", "--offline", tmp_path)


def test_what_a_learner_of_sequences_observes_is_rebuilt_from_any_recording(recorded):
    task = get_task("pendulum")
    contract = sequence_contract(task.contract, 30)
    trace = read_trace(recorded / "pendulum" / "mujoco-000007.mcap")
    (episode,) = recorded_episodes(trace, task, contract)
    assert not np.array_equal(trace.executed, trace.command)
    np.testing.assert_array_equal(episode.observation["previous_action"][1:, 0], trace.executed[:-1].astype(np.float32))


def test_a_simulation_says_where_it_put_what_never_moves_and_a_robot_does_not(recorded):
    path = recorded / "peg-state" / "mujoco-000007.mcap"
    trace, task = read_trace(path), get_task("peg-state")
    (episode,) = recorded_episodes(trace, task, task.contract)
    assert 0 < float(trace.metadata["return"]) - episode.reward.sum() < 1  # what the last period earned, which is left out
    with pytest.raises(ValueError, match="task 'peg-state' cannot be rewarded from this recording: 'hole' was not measured"):
        recorded_episodes(dataclasses.replace(trace, metadata={**trace.metadata, "plant": "ros"}), task, task.contract)


def test_a_recording_without_the_pictures_that_a_learner_sees_is_refused(recorded):
    trace, task = read_trace(recorded / "peg-state" / "mujoco-000007.mcap"), get_task("peg")
    blind = dataclasses.replace(trace, contract=task.contract, observations={})
    with pytest.raises(
        ValueError, match="the observation cannot be rebuilt: image 'wrist' is missing from the measurement; there are: none"
    ):
        recorded_episodes(blind, task, task.contract)


def test_recordings_of_something_else_are_refused(recorded, tmp_path, refuse):
    out = ("--out", tmp_path / "run")
    told = refuse("train", "sac", "pendulum", *out, "--offline", recorded / "reach")
    assert "mcap: the recording (here) has another contract than task 'pendulum' (there): " in told
    assert "robot" in told
    source = recorded / "reach" / "mujoco-000007.mcap"
    contract = get_task("reach").contract
    other = dataclasses.replace(contract, control_period=0.1)
    path = changed(source, tmp_path / "slow.mcap", lambda step, period: period, other)
    assert "control period" in refuse("train", "sac", "reach", *out, "--offline", path).replace("_", " ")
    assert "only the suite's own simulation knows its reward" in refuse("train", "sac", "gym:Hopper-v5", *out, "--offline", source)
    assert f"{tmp_path / 'none'}: No such file" in refuse("train", "sac", "reach", *out, "--offline", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert "holds no recording (*.mcap)" in refuse("train", "sac", "reach", *out, "--offline", tmp_path / "empty")
    assert "--offline-share must be in (0, 1), got 1.0" in refuse("train", "sac", "reach", *out, "--offline", source, "--offline-share", 1)
    assert "--engine sb3 cannot learn from recordings" in refuse("train", "sac", "reach", *out, "--offline", source, "--engine", "sb3")
    assert not (tmp_path / "run").exists()


def test_a_training_with_recordings_is_resumed_exactly_and_only_with_the_same_ones(recorded, tmp_path, isthmus, refuse):
    words = ("train", "sac", "pendulum", *SMALL, "--offline", recorded / "pendulum", "--out")
    code, out, _ = isthmus(*words, tmp_path / "whole")
    assert code == 0
    assert "offline: 398 transitions of 2 recordings with 400 control periods; 0.5 of each batch from 2 recordings" in out
    assert "0.5 of each batch from 2 recordings" in Artifact.load(tmp_path / "whole" / "policy.isthmus").training["offline"]
    # What a killed training leaves: an earlier checkpoint, and rows that came after it.
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    newest_checkpoint(tmp_path / "killed" / "checkpoints").unlink()
    assert isthmus(*words, tmp_path / "killed", "--resume")[0] == 0
    whole, killed = (load_checkpoint(newest_checkpoint(tmp_path / name / "checkpoints"))[0] for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    without = ("train", "sac", "pendulum", *SMALL, "--out", tmp_path / "whole", "--resume")
    assert "cannot be resumed with offline None (there: '0.5 of each batch from 2 recordings" in refuse(*without)
    one = recorded / "pendulum" / "mujoco-000007.mcap"
    assert "cannot be resumed with offline '0.5 of each batch from 1 recordings" in refuse(*without, "--offline", one)
    assert json.loads((tmp_path / "whole" / "config.json").read_bytes())["notes"]["offline"].startswith("0.5 of each batch")


@pytest.mark.parametrize(("name", "variant"), [("peg", "peg-state"), ("reach-pixels-two", "reach-pixels-state")])
def test_a_script_demonstrates_from_pictures_what_its_variant_does_from_numbers(name, variant):
    task, numbers = get_task(name), get_task(variant)
    (episode,) = scripted_episodes(task, task.contract, "mujoco", 1)
    policy, env = scripted_artifact(numbers.contract).policy(), isthmus_sim.make_vec(variant, 1)
    observation, _ = env.reset(seed=SCRIPTED_SEED)
    total = 0.0
    for step in range(numbers.episode_steps):
        np.testing.assert_array_equal(episode.observation["joint_position"][step], observation["joint_position"][0])
        action = policy.act(observation).actions[:, 0]
        np.testing.assert_array_equal(episode.action[step], action[0])
        observation, reward, *_ = env.step(action)
        total += float(reward[0])
    assert len(episode.reward) == numbers.episode_steps
    assert episode.reward.sum() == pytest.approx(total)
    assert set(episode.observation) == {signal.name for signal in task.contract.observation}
    pictures = episode.observation["wrist"]
    assert pictures.shape == (numbers.episode_steps + 1, 3, 84, 84, 3)
    stride = task.contract.signal("wrist").stride
    np.testing.assert_array_equal(pictures[stride:, 1], pictures[:-stride, 2])
    assert len(np.unique(pictures[:, -1].reshape(len(pictures), -1), axis=0)) > 50
    replay = recorded_replay(task.contract, [episode])
    batch = replay.sample(8, 0.99, 3, np.random.default_rng(0))
    assert batch.observation["wrist"].shape[1:] == (3, 84, 84, 3)
