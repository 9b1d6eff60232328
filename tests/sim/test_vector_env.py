import dataclasses

import gymnasium
import numpy as np
import pytest

from isthmus_sim.dumps import load_dump
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Term, shared
from isthmus_sim.tasks import get_task, task_names
from isthmus_sim.vector_env import MOST_DUMPS, TaskEnv, TaskVectorEnv

ROWS = 5
ACTIONS = np.random.default_rng(1).uniform(-1.5, 1.5, (12, ROWS, 6)).astype(np.float32)
FASTEST = np.full((1, 6), 1e200)  # rad/s


def reach(rows=ROWS, *, dumps=None, **options):
    task = dataclasses.replace(get_task("reach"), **options)
    return TaskVectorEnv(task, task_plant("mujoco", task, rows), dumps=dumps)


def pendulum(rows, **options):
    task = get_task("pendulum")
    return TaskVectorEnv(task, task_plant("mujoco", task, rows), **options)


def explode(env, row):
    """Put a row where no integrator can follow, behind the back of the environment."""
    env.plant.reset(np.array([row]), state={"velocity": FASTEST[:, : len(env.plant.robot.joints)]})


def play(env, broken=None):
    """What every step returns; the row `broken` explodes in the middle."""
    seen = [(env.reset(seed=3)[0],)]
    for tick, action in enumerate(ACTIONS):
        if broken is not None and tick == 6:
            explode(env, broken)
        seen.append(env.step(action))
    return seen


def test_a_row_that_explodes_is_reset_and_other_rows_do_not_notice():
    whole, env = play(reach()), reach()
    broken = play(env, 2)
    others = [0, 1, 3, 4]
    for expected, got in zip(whole, broken, strict=True):
        for name, values in expected[0].items():
            np.testing.assert_array_equal(values[others], got[0][name][others])
        for first, second in zip(expected[1:4], got[1:4], strict=True):
            np.testing.assert_array_equal(first[others], second[others])
    marks = [step[4]["diverged"].tolist() for step in broken[1:]]
    assert [index for index, mark in enumerate(marks) if any(mark)] == [6]
    assert marks[6] == [False, False, True, False, False]
    assert env.diverged == 1


def test_an_exploded_row_ends_truncated_with_its_last_finite_observation_and_no_reward():
    env = reach()
    before = play(env)[-1][0]
    explode(env, 2)
    observation, reward, terminated, truncated, info = env.step(ACTIONS[0])
    assert (truncated[2], terminated[2], reward[2], info["success"][2]) == (True, False, 0.0, False)
    assert all(values[2] == 0 for values in info["terms"].values())
    for name, values in before.items():
        np.testing.assert_array_equal(values[2], info["final_obs"][name][2])
        assert np.isfinite(observation[name]).all()
    assert env.elapsed.tolist() == [13, 13, 0, 13, 13]
    assert np.isfinite(env.step(ACTIONS[0])[1]).all()


def test_the_first_explosions_are_saved_and_the_file_can_be_opened(tmp_path):
    env = pendulum(4, dumps=tmp_path)
    env.reset(seed=0)
    for _ in range(4):
        for row in range(4):
            explode(env, row)
        env.step(np.full((4, 1), 0.5))
    assert env.diverged == 16
    files = sorted(tmp_path.iterdir())
    assert len(files) == MOST_DUMPS
    dump = load_dump(files[0])
    assert dump.data.qvel[0] == FASTEST[0, 0]  # the state before the step that exploded
    assert dump.data.ctrl[0] == 0.5


def test_without_a_folder_nothing_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = pendulum(1)
    env.reset(seed=0)
    explode(env, 0)
    env.step(np.zeros((1, 1)))
    assert not list(tmp_path.glob("*.npz"))


def test_a_fallen_row_terminates_and_begins_anew():
    env = reach(fallen=lambda step: np.arange(ROWS) == 1)
    first = env.reset(seed=0)[0]
    observation, _, terminated, truncated, info = env.step(ACTIONS[0])
    assert terminated.tolist() == [False, True, False, False, False]
    assert not truncated.any()
    assert info["_final_obs"].tolist() == terminated.tolist()
    assert not np.array_equal(observation["goal"][1], first["goal"][1])
    np.testing.assert_array_equal(info["final_obs"]["goal"], first["goal"])


def test_sb3_does_not_bootstrap_where_a_row_fell():
    from isthmus_sim.sb3 import Sb3VecEnv

    env = Sb3VecEnv(reach(fallen=lambda step: np.arange(ROWS) == 1), seed=0)
    env.reset()
    _, _, done, infos = env.step(ACTIONS[0])
    assert done.tolist() == [False, True, False, False, False]
    assert infos[1]["TimeLimit.truncated"] is False


def test_without_a_guard_every_action_goes_through_as_it_is():
    env = reach()
    env.reset(seed=0)
    env.step(ACTIONS[0])
    assert not np.array_equal(env.plant._ctrl, ACTIONS[0])  # the guard limits acceleration
    task = get_task("reach")
    open_env = TaskVectorEnv(task, task_plant("mujoco", task, ROWS), guard=False)
    open_env.reset(seed=0)
    for action in ACTIONS:
        info = open_env.step(action)[4]
        np.testing.assert_array_equal(open_env.plant._ctrl, action)
        assert not info["rung"].any()


def test_rows_whose_age_is_set_end_when_they_are_old_enough():
    env = pendulum(3)
    env.reset(seed=0)
    env.elapsed[:] = env.task.episode_steps - np.array([1, 2, 3])
    ends = [np.flatnonzero(env.step(np.zeros((3, 1)))[3]).tolist() for _ in range(4)]
    assert ends == [[0], [1], [2], []]


def test_a_shared_value_is_computed_once_per_transition():
    calls = []

    @shared
    def distance(step):
        calls.append(step)
        return np.ones(ROWS)

    env = reach(reward=(Term("once", 1.0, "m", distance), Term("twice", 2.0, "m", distance)))
    env.reset(seed=0)
    assert env.step(ACTIONS[0])[1].tolist() == [3.0] * ROWS
    assert env.step(ACTIONS[1])[1].tolist() == [3.0] * ROWS
    assert len(calls) == 2


@pytest.mark.parametrize("name", task_names())
def test_the_checkers_of_gymnasium_and_stable_baselines_are_content(name):
    from gymnasium.utils.env_checker import check_env
    from stable_baselines3.common.env_checker import check_env as check_sb3

    task = get_task(name)
    env = TaskEnv(TaskVectorEnv(task, task_plant("mujoco", task, 1), autoreset=False))
    check_env(env, skip_render_check=True)
    check_sb3(env, warn=False, skip_render_check=True)
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    env.close()
