"""Outside suites: contracts derived from spaces, the conventions of the vector environment, refusals."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import isthmus_sim
from isthmus import Contract, load_robot
from isthmus_sim.suites import SuiteVectorEnv, get_suite_task, reports_success, run_suite_episodes
from isthmus_sim.suites.derive import derive_contract, read_signals
from isthmus_sim.suites.repeat import Repeat
from isthmus_sim.suites.suite import SuiteEnv, SuiteTask


class Script(gymnasium.Env):
    """Plays a list of (reward, terminated, info); its observation counts the steps."""

    action_space = Box(-1, 1, (2,), np.float32)
    observation_space = Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self, script):
        self.script = script

    def reset(self, *, seed=None, options=None):
        self.step_count = 0
        return np.zeros(1), {}

    def step(self, action):
        reward, terminated, info = self.script[self.step_count]
        self.step_count += 1
        return np.array([float(self.step_count)]), reward, terminated, False, info


class Spaces(gymnasium.Env):
    def __init__(self, observation, action=Script.action_space):
        self.observation_space, self.action_space = observation, action


class Still:
    def __init__(self, contract):
        self.contract = contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        from isthmus import ActionChunk

        batch = next(iter(observation.values())).shape[0]
        return ActionChunk(np.zeros((batch, 1, len(self.contract.action.elements))))


def scripted(script, *, steps=100, success_once=False):
    contract = derive_contract("gym:Script", Script(script), 0.1)
    return SuiteTask("gym:Script", "gym", "", contract, steps, success_once, lambda size: SuiteEnv(Script(script), 0.1, steps))


def still_actions(task, rows=1):
    return np.zeros((rows, len(task.contract.action.elements)))


def test_contract_of_half_cheetah_comes_from_its_spaces():
    contract = get_suite_task("gym:HalfCheetah-v5").contract
    (signal,) = contract.observation
    assert (signal.source, signal.unit, signal.elements) == ("input", "1", tuple(f"o{index}" for index in range(17)))
    assert (contract.mode, contract.action.low, contract.action.high) == ("raw", (-1.0,) * 6, (1.0,) * 6)
    assert contract.control_period == pytest.approx(0.05)
    assert Contract.from_json(contract.to_json()).digest() == contract.digest()


def test_no_robot_accepts_raw_actions():
    contract = get_suite_task("gym:HalfCheetah-v5").contract
    (problem,) = contract.fits(load_robot("pendulum"))
    assert problem.startswith("the policy was made for 'gym:HalfCheetah-v5', whose actions are in a scale of their own")


def test_each_key_of_a_nested_observation_is_a_signal():
    space = Dict({"goal": Box(-1, 1, (3,)), "arm": Dict({"wrist camera": Box(0, 255, (40, 50, 3), np.uint8), "q": Box(-1, 1, (2, 2))})})
    contract = derive_contract("gym:Made-v0", Spaces(space), 0.1)
    shapes = {signal.name: (signal.source, signal.history, signal.shape) for signal in contract.observation}
    expected = {"arm_q": ("input", 1, (4,)), "arm_wrist_camera": ("image", 3, (40, 50, 3)), "goal": ("input", 1, (3,))}
    assert shapes == expected
    sample = space.sample()
    np.testing.assert_array_equal(read_signals(contract, sample)["arm_wrist_camera"], sample["arm"]["wrist camera"])


def test_two_arrays_that_would_get_one_name_are_refused():
    space = Dict({"arm q": Box(-1, 1, (1,)), "arm_q": Box(-1, 1, (1,))})
    with pytest.raises(ValueError, match="two arrays of the observation would both be named 'arm_q'"):
        derive_contract("gym:Made-v0", Spaces(space), 0.1)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6, width=32)))
def test_reading_an_observation_keeps_every_number_in_order(observation):
    contract = derive_contract("gym:Made-v0", Spaces(Box(-np.inf, np.inf, observation.shape)), 0.1)
    np.testing.assert_array_equal(read_signals(contract, observation)["observation"], observation.ravel())


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (Discrete(4), Script.action_space, r"gym:Made-v0 has an observation 'observation' in Discrete\(4\); only a Box"),
        (Box(-1, 1, (2,)), Discrete(2), r"gym:Made-v0 has actions in Discrete\(2\); only a Box with one axis"),
        (Box(-1, 1, (2,)), Box(-np.inf, np.inf, (2,)), "gym:Made-v0 has unbounded actions"),
    ],
)
def test_spaces_that_no_contract_describes_are_refused(observation, action, message):
    with pytest.raises(ValueError, match=message):
        derive_contract("gym:Made-v0", Spaces(observation, action), 0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gmy:HalfCheetah-v5", r"unknown suite 'gmy'; did you mean 'gym'\? Known: dmc, gym, metaworld"),
        ("gym:HalfCheeta-v5", r"unknown task 'gym:HalfCheeta-v5'; did you mean gym:HalfCheetah-v5 or .*`isthmus tasks gym:` lists all"),
        ("gym:os:path", "unknown task 'gym:os:path'"),
        ("gym:HalfCheetah-v5@", "side of the pictures in pixels, 36 to 512, got ''"),
        ("gym:HalfCheetah-v5@20", "side of the pictures in pixels, 36 to 512, got '20'"),
        ("gym:HalfCheetah-v5@84x", "how many steps an action lasts, 1 to 10, got ''"),
        ("gym:HalfCheetah-v5@84x0", "how many steps an action lasts, 1 to 10, got '0'"),
        ("gym:Pendulum-v1@84", "gym:Pendulum-v1 cannot be made here with pictures of 84 × 84"),
    ],
)
def test_what_does_not_exist_is_refused_in_one_sentence(name, message):
    with pytest.raises(ValueError, match=message):
        get_suite_task(name)


def test_an_environment_that_fails_without_a_word_is_named_with_the_place(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(ValueError, match=r"gym:Pendulum-v1 cannot be made here: RuntimeError in .*test_suites.py, line \d+"):
        get_suite_task("gym:Pendulum-v1")


def test_a_missing_suite_names_its_extra(monkeypatch):
    monkeypatch.setitem(isthmus_sim.suites.SUITES, "dmc", ("DeepMind control suite", "no_such_package", "pip install 'isthmus[suites]'"))
    with pytest.raises(
        ModuleNotFoundError, match=r"need no_such_package, which is not installed; install it with: pip install 'isthmus\[suites\]'"
    ):
        get_suite_task("dmc:cartpole-swingup")


def test_rows_equal_the_suite_s_own_environment_and_time_limits_truncate():
    env = isthmus_sim.make_vec("gym:Pendulum-v1", 2)
    own = [gymnasium.make("Pendulum-v1") for _ in range(2)]
    observation, _ = env.reset(seed=5)
    for row, single in enumerate(own):
        np.testing.assert_array_equal(observation["observation"][row, 0], single.reset(seed=5 + row)[0])
    actions = np.random.default_rng(0).uniform(-2, 2, (205, 2, 1)).astype(np.float32)
    for step, action in enumerate(actions):
        observation, reward, terminated, truncated, info = env.step(action)
        assert not terminated.any()
        assert truncated.all() == truncated.any() == (step == 199)
        source = info["final_obs"] if truncated[0] else observation
        for row, single in enumerate(own):
            expected, expected_reward, *_ = single.step(action[row])
            np.testing.assert_array_equal(source["observation"][row, 0], expected)
            assert reward[row] == pytest.approx(expected_reward)
            if truncated[row]:
                np.testing.assert_array_equal(observation["observation"][row, 0], single.reset()[0])
    env.close()


def test_a_fall_is_a_termination_for_the_learner_and_a_time_limit_is_not():
    from isthmus_sim.sb3 import Sb3VecEnv

    fall = [(1.0, False, {}), (2.0, True, {})]
    for script, steps, time_limit in ((fall, 100, False), (fall, 1, True), (fall, 2, False)):
        env = Sb3VecEnv(SuiteVectorEnv(scripted(script, steps=steps), 1), 0)
        env.reset()
        done = [False]
        while not done[0]:
            observation, _, done, (info,) = env.step(np.zeros((1, 2)))
        assert info["TimeLimit.truncated"] is time_limit
        assert info["terminal_observation"]["observation"][0, 0] == min(steps, 2)
        assert observation["observation"][0, 0, 0] == 0
        assert "is_success" not in info


@pytest.mark.parametrize(("once", "expected"), [(True, True), (False, False)])
def test_success_counts_at_any_step_or_at_the_last_one(once, expected):
    script = [(0.0, False, {"success": 0.0}), (0.0, False, {"success": 1.0}), (0.0, True, {"success": 0.0})]
    task = scripted(script, success_once=once)
    (episode,), _ = run_suite_episodes(task, Still(task.contract), [0])
    assert (episode.success, episode.steps) == (expected, 3)


def test_success_is_unknown_where_the_suite_is_silent_and_rewards_stop_at_the_end():
    task = scripted([(1.5, False, {}), (2.0, True, {})])
    (episode,), cadence = run_suite_episodes(task, Still(task.contract), [7])
    assert (episode.seed, episode.total_reward, episode.success) == (7, 3.5, None)
    assert cadence.steps == 2


@pytest.mark.parametrize(
    ("script", "reported"),
    [
        ([(0.0, False, {"success": False})], True),
        ([(0.0, False, {}), (0.0, True, {"is_success": 0.0})], True),
        ([(0.0, False, {}), (0.0, True, {})], False),
    ],
)
def test_whether_success_is_reported_takes_one_episode_to_find_out(script, reported):
    assert reports_success(scripted(script)) is reported


class Asking(Still):
    """Asks for NaN in the third decision, in the second row that it is asked for."""

    decisions = 0

    def act(self, observation):
        chunk = super().act(observation)
        self.decisions += 1
        if self.decisions == 3:
            chunk.actions[1, 0, 1] = np.nan
        return chunk


def test_a_row_that_diverges_ends_truncated_and_marked():
    env = SuiteVectorEnv(scripted([(-1.0, False, {"success": True}), (np.nan, False, {})]), 2)
    env.reset(seed=0)
    before = env.step(still_actions(env.task, 2))[0]
    _, reward, terminated, truncated, info = env.step(still_actions(env.task, 2))
    assert (reward.tolist(), terminated.tolist(), truncated.tolist()) == ([0.0, 0.0], [False, False], [True, True])
    assert info["diverged"].all()
    assert not info["success"].any()
    np.testing.assert_array_equal(info["final_obs"]["observation"], before["observation"])
    assert env.diverged == 2


def test_a_row_that_is_asked_for_nan_is_not_stepped_and_the_others_are():
    env = SuiteVectorEnv(scripted([(-1.0, False, {})] * 5), 2)
    env.reset(seed=0)
    actions = still_actions(env.task, 2)
    actions[0, 1] = np.nan
    observation, reward, _, truncated, info = env.step(actions)
    assert info["invalid"].tolist() == truncated.tolist() == [True, False]
    assert reward.tolist() == [0.0, -1.0]
    assert observation["observation"].ravel().tolist() == [0.0, 1.0]


def test_an_episode_that_breaks_costs_its_worst_step_for_each_that_is_left():
    task = scripted([(-1.0, False, {}), (-3.0, False, {}), (-2.0, False, {}), (-2.0, True, {})], steps=10)
    results, _ = run_suite_episodes(task, Asking(task.contract), range(3))
    assert [result.total_reward for result in results] == [-8.0, -4.0 - 8 * 3.0, -8.0]
    assert [result.invalid for result in results] == ["", "command of a1 is not finite", ""]
    assert [result.steps for result in results] == [4, 2, 4]
    diverging = scripted([(-1.0, False, {}), (np.nan, False, {})], steps=10)
    ((result,), _) = run_suite_episodes(diverging, Still(diverging.contract), [0])
    assert (result.total_reward, result.steps, result.diverged) == (-10.0, 1, True)


def test_pictures_are_stacked_and_the_first_fills_the_stack():
    task = get_suite_task("gym:HalfCheetah-v5@48")
    env = SuiteVectorEnv(task, 1)
    observation, _ = env.reset(seed=0)
    camera = observation["camera"][0]
    assert camera.shape == (3, 48, 48, 3)
    assert camera.std() > 10
    np.testing.assert_array_equal(camera[0], camera[2])
    for _ in range(3):
        observation, *_ = env.step(np.ones((1, 6)))
    assert not np.array_equal(observation["camera"][0, 0], observation["camera"][0, 2])
    env.close()


def test_an_action_may_last_several_steps_whose_rewards_are_summed_until_the_end():
    played = Repeat(Script([(1.0, False, {"success": True}), (2.0, False, {"success": False}), (4.0, True, {}), (8.0, False, {})]), 2)
    played.reset()
    first, second = (played.step(np.zeros(2))[1:] for _ in range(2))
    assert first == (3.0, False, False, {"success": True})  # in between
    assert second == (4.0, True, False, {})


def test_a_decision_of_several_steps_is_a_longer_period_with_one_picture():
    once, twice = (get_suite_task(f"gym:HalfCheetah-v5@48{repeat}") for repeat in ("", "x2"))
    assert twice.contract.control_period == 2 * once.contract.control_period
    assert (once.episode_steps, twice.episode_steps) == (1000, 500)
    rewards, pictures = [], []
    for task, steps in ((once, 6), (twice, 3)):
        env = SuiteVectorEnv(task, 1)
        env.reset(seed=0)
        played = [env.step(np.full((1, 6), 0.5)) for _ in range(steps)]
        rewards.append(sum(reward[0] for _, reward, *_ in played))
        pictures.append(played[-1][0]["camera"][0])
        env.close()
    assert rewards[0] == pytest.approx(rewards[1])
    assert pictures[0].shape == pictures[1].shape == (3, 48, 48, 3)


def test_suites_load_neither_a_plant_nor_the_batch():
    program = (
        "import sys; from isthmus_sim.suites import SuiteVectorEnv, get_suite_task; "
        "env = SuiteVectorEnv(get_suite_task('gym:HalfCheetah-v5'), 1); env.reset(seed=0); env.step(env.action_space.sample()); "
        "print([name for name in sys.modules if name == 'mujoco.batch' or name.startswith('isthmus_sim.plants')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["cartpole-swingup", "humanoid-walk"])
def test_control_suite_tasks_have_a_signal_per_observation_and_obey_seeds(name):
    pytest.importorskip("dm_control")
    task = get_suite_task(f"dmc:{name}")
    env = SuiteVectorEnv(task, 2)
    runs = []
    for seeds in ([3, 4], [3, 3]):
        env.reset(seed=seeds)
        runs.append(env.step(still_actions(task, 2))[0])
    assert set(runs[0]) == {signal.name for signal in task.contract.observation}
    for values, again in zip(runs[0].values(), runs[1].values(), strict=True):
        np.testing.assert_array_equal(values[0], again[0])
        np.testing.assert_array_equal(again[0], again[1])
    assert any(not np.array_equal(values[0], values[1]) for values in runs[0].values())
    env.close()


def test_a_control_suite_episode_ends_by_its_time_limit():
    pytest.importorskip("dm_control")
    task = get_suite_task("dmc:cartpole-swingup")
    env = SuiteVectorEnv(task, 1)
    env.reset(seed=0)
    ends = [env.step(still_actions(task))[2:4] for _ in range(1000)]
    assert [bool(truncated[0]) for _, truncated in ends] == [False] * 999 + [True]
    assert not any(terminated[0] for terminated, _ in ends)
    env.close()


def test_adroit_reports_success():
    pytest.importorskip("gymnasium_robotics")
    task = get_suite_task("gym:AdroitHandDoor-v1")
    env = SuiteVectorEnv(task, 1)
    env.reset(seed=0)
    assert not env.step(still_actions(task))[4]["success"][0]
    env.close()
