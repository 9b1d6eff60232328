"""What people do wrong with an environment is one sentence, by Gymnasium's conventions where it has one."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode

import isthmus_sim
from isthmus.robot import load_robot
from isthmus_sim.identification.calibration import load_calibration
from isthmus_sim.plants import make_plant
from isthmus_sim.randomization import load_randomization

ROWS = 3


@pytest.fixture(scope="module")
def vector():
    env = isthmus_sim.make_vec("pendulum", ROWS)
    yield env
    env.close()


@pytest.fixture(scope="module")
def single():
    env = isthmus_sim.make("pendulum")
    yield env
    env.close()


@pytest.mark.parametrize("task", ["pendulum", "gym:Pendulum-v1"])
def test_a_step_before_reset_says_so(task):
    single, vector = isthmus_sim.make(task), isthmus_sim.make_vec(task, 2)
    for env in (single, vector):
        with pytest.raises(ResetNeeded, match=r"Cannot call env\.step\(\) before calling env\.reset\(\)"):
            env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded, match="the first reset must be of all rows"):
        vector.reset(options={"reset_mask": np.array([True, False])})
    single.close()
    vector.close()


@pytest.mark.parametrize("task", ["pendulum", "gym:Pendulum-v1"])
def test_a_step_after_close_says_so(task):
    for env in (isthmus_sim.make(task), isthmus_sim.make_vec(task, 2)):
        env.reset(seed=0)
        env.close()
        with pytest.raises(ClosedEnvironmentError, match=r"^Cannot call env\.step\(\) after env\.close\(\)$"):
            env.step(env.action_space.sample())


@pytest.mark.parametrize(
    ("seed", "sentence"),
    [
        ([1, 2], "one seed for each of the 3 rows, got \\[1, 2\\]"),
        ([1, 2, 3, 4], "one seed for each of the 3 rows"),
        (np.arange(2), "one seed for each of the 3 rows"),
        (-1, "whole number >= 0, got -1"),
        (True, "whole number >= 0, got True"),
        (1.5, "whole number >= 0, got 1.5"),
        ("3", "whole number >= 0, got '3'"),
        ([1, 2, "x"], "whole number >= 0, got 'x'"),
    ],
)
def test_wrong_seeds_are_refused(vector, single, seed, sentence):
    with pytest.raises(ValueError, match=sentence):
        vector.reset(seed=seed)
    with pytest.raises(ValueError, match="whole number >= 0"):
        single.reset(seed=seed)


@pytest.mark.parametrize("rows", [0, -1, 1.5, 1e9, 10**9, "4", None, True, float("nan")])
@pytest.mark.parametrize("task", ["pendulum", "gym:Pendulum-v1"])
def test_a_wrong_number_of_rows_is_refused(task, rows):
    with pytest.raises(ValueError, match=f"num_envs must be a whole number from 1 to 1000000, got {re.escape(repr(rows))}$"):
        isthmus_sim.make_vec(task, rows)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"batch": 0}, "batch must be a whole number from 1 to 1000000, got 0"),
        ({"batch": 10**9}, "batch must be a whole number from 1 to 1000000, got 1000000000"),
        ({"batch": None}, "batch must be a whole number from 1 to 1000000, got None"),
        ({"period": "x"}, "control period must be > 0 s, got 'x' s"),
        ({"period": None}, "control period must be > 0 s, got None s"),
        ({"cameras": "wrist"}, "cameras must be a list of names, got 'wrist'"),
        ({"cameras": None}, "cameras must be a list of names, got None"),
        ({"scene": "table"}, "scene must be of type Scene, got 'table'"),
        ({"appearance": 3}, "appearance must be of type AppearanceRanges, got 3"),
        ({"mode": None}, "has no command mode None; it has: effort"),
        ({"robot": "pendulum"}, r"robot must be what load_robot\(NAME\) returns, got 'pendulum'"),
    ],
)
@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_what_a_plant_cannot_be_made_of_is_refused(engine, asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_plant(engine, **{"robot": load_robot("pendulum"), "mode": "effort", "period": 0.02, **asked})


@pytest.mark.parametrize("load", [load_randomization, load_calibration])
def test_what_is_no_path_of_a_file_is_refused(load, tmp_path):
    for wrong in (None, 3, b"x.yaml", ["x.yaml"]):
        with pytest.raises(ValueError, match="a YAML file is named by its path, got"):
            load(wrong)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        load("nowhere.yaml")


def test_more_rows_than_memory_holds_are_refused(monkeypatch):
    def full(*arguments):
        raise ValueError("std::bad_alloc")

    monkeypatch.setattr("isthmus_sim.randomization.randomized_plant", full)
    with pytest.raises(ValueError, match="1000 rows of 'pendulum' do not fit into memory"):
        isthmus_sim.make_vec("pendulum", 1000)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"task": None}, "unknown task None; Known: dodge"),
        ({"task": ["reach"]}, r"unknown task \['reach'\]; Known: dodge"),
        ({"task": 3}, "unknown task 3; Known: dodge"),
        ({"plant": None}, "unknown plant None; Known: isaacgym, mujoco, pybullet"),
        ({"plant": ["mujoco"]}, r"unknown plant \['mujoco'\]; Known: isaacgym"),
        ({"render_mode": 3}, "unknown render_mode 3; Known: rgb_array"),
        ({"randomization": "x"}, r"randomization must be what load_randomization\(FILE\) returns, or None, got 'x'"),
        ({"randomization": {}}, r"randomization must be what load_randomization\(FILE\) returns, or None, got {}"),
        ({"calibration": "nowhere.yaml"}, "calibration nowhere.yaml cannot be read: No such file or directory"),
        ({"calibration": 3}, "calibration must be a path, got 3"),
        ({"calibration": b"x"}, "calibration must be a path, got b'x'"),
    ],
)
def test_what_an_environment_cannot_be_made_of_is_refused(asked, sentence):
    for make in (isthmus_sim.make, lambda **words: isthmus_sim.make_vec(num_envs=2, **words)):
        with pytest.raises(ValueError, match=sentence):
            make(**{"task": "pendulum", **asked})


@pytest.mark.parametrize("task", ["pendulum", "reach"])
@pytest.mark.parametrize("value", [1e10, -1e30, 1e300])
def test_an_action_that_nobody_means_is_marked_and_does_not_count(task, value):
    env = isthmus_sim.make_vec(task, ROWS)
    env.reset(seed=0)
    actions = np.zeros(env.action_space.shape)
    quiet = env.step(actions)
    env.reset(seed=0)
    actions[1] = value
    observation, reward, _, truncated, info = env.step(actions)
    assert info["invalid"].tolist() == truncated.tolist() == [False, True, False]
    assert np.abs(reward).max() < 1e3
    np.testing.assert_array_equal(reward[[0, 2]], quiet[1][[0, 2]])
    assert all(np.isfinite(values).all() for values in observation.values())
    env.close()


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), (3, 4, 5), np.array([3, 4, 5]), [3, np.int32(4), 5]])
def test_seeds_of_numpy_are_seeds(vector, seed):
    expected, _ = vector.reset(seed=3)
    found, _ = vector.reset(seed=seed)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_single_environment_takes_a_seed_of_numpy(single):
    expected, _ = single.reset(seed=3)
    for name, values in single.reset(seed=np.int64(3))[0].items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("task", ["pendulum", "gym:Pendulum-v1"])
def test_a_mask_begins_its_rows_only(task):
    env = isthmus_sim.make_vec(task, ROWS)
    env.reset(seed=0)
    before, *_ = env.step(np.full(env.action_space.shape, 0.1))
    mask = np.array([True, False, False])
    options = {"reset_mask": mask}
    after, _ = env.reset(seed=[7, None, None], options=options)
    fresh, _ = isthmus_sim.make_vec(task, 1).reset(seed=7)
    assert list(options) == ["reset_mask"]
    for name, values in after.items():
        np.testing.assert_array_equal(values[1:], before[name][1:])
        np.testing.assert_array_equal(values[:1], fresh[name])
    env.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (3, "options of reset map names to values, such as {'reset_mask': mask}, got 3"),
        ("reset_mask", "options of reset map names to values, such as {'reset_mask': mask}, got 'reset_mask'"),
        ({"reset_mask": [True, False, True]}, "reset_mask must be a numpy array \\[3\\] of bool"),
        ({"reset_mask": np.ones(2, bool)}, "reset_mask must be"),
        ({"reset_mask": np.ones(3)}, "reset_mask must be"),
        ({"reset_mask": np.zeros(3, bool)}, "with at least one True"),
        ({"reset_masks": np.ones(3, bool)}, "unknown option 'reset_masks' of reset; did you mean 'reset_mask'"),
    ],
)
def test_wrong_options_are_refused(vector, options, sentence):
    vector.reset(seed=0)
    with pytest.raises(ValueError, match=sentence):
        vector.reset(options=options)


def test_actions_of_another_shape_are_refused(vector, single):
    vector.reset(seed=0)
    single.reset(seed=0)
    for wrong in (np.zeros((ROWS, 2)), np.zeros((2, 1)), np.zeros(ROWS), 0.0, np.zeros((1, ROWS, 1))):
        with pytest.raises(ValueError, match=r"an action must have shape \[3, 1\], got \["):
            vector.step(wrong)
    with pytest.raises(ValueError, match=r"an action must have shape \[1\], got \[2\]"):
        single.step(np.zeros(2))
    with pytest.raises(ValueError, match=r"an action must be numbers of shape \[1\]"):
        single.step(["left"])
    with pytest.raises(ValueError, match=r"an action must be numbers of shape \[1\]: they are complex"):
        single.step(np.zeros(1, dtype=complex))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_action_that_is_not_finite_ends_its_row_with_a_finite_reward(vector, bad):
    vector.reset(seed=0)
    actions = np.zeros((ROWS, 1))
    actions[1] = bad
    observation, reward, terminated, truncated, info = vector.step(actions)
    assert np.isfinite(reward).all()
    assert (terminated | truncated).tolist() == [False, True, False]
    assert info["invalid"].tolist() == [False, True, False]
    assert all(np.isfinite(values).all() for values in observation.values())


def test_metadata_says_the_true_autoreset_mode(vector):
    from isthmus_sim.tasks import get_task
    from isthmus_sim.vector_env import TaskVectorEnv

    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    manual = TaskVectorEnv(get_task("pendulum"), vector.plant, autoreset=False)
    assert manual.metadata["autoreset_mode"] is AutoresetMode.DISABLED


def test_gymnasium_makes_our_tasks():
    env = gymnasium.make("isthmus/pendulum-v0")
    assert env.render_mode is None
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    expected, _ = isthmus_sim.make("pendulum").reset(seed=0)
    np.testing.assert_array_equal(observation["joint_velocity"], expected["joint_velocity"])
    env.close()
    assert "isthmus/reach-v0" in gymnasium.registry
    rows = gymnasium.make_vec("isthmus/pendulum", 2)
    assert rows.reset(seed=0)[0]["joint_velocity"].shape[0] == 2
    rows.close()


def test_the_render_mode_is_honoured():
    env = isthmus_sim.make("pendulum", render_mode=None)
    assert env.render() is None
    env.close()
    with pytest.raises(ValueError, match="unknown render_mode 'human'"):
        isthmus_sim.make("pendulum", render_mode="human")


def test_spaces_have_the_bounds_of_the_contract():
    from isthmus_sim.spaces import observation_space
    from isthmus_sim.tasks import get_task

    contract = get_task("reach").contract
    spaces = observation_space(contract)
    for signal in contract.observation:
        space, measured = spaces[signal.name], signal.source in ("joint_velocity", "joint_effort", "twist", "wrench")
        reach = 0.01 * np.subtract(signal.high, signal.low) if signal.source in ("joint_position", "pose") else 0.0
        np.testing.assert_allclose(
            space.low[0], np.full(space.shape[1], -np.inf) if measured else np.subtract(signal.low, reach), rtol=1e-6
        )
        np.testing.assert_allclose(space.high[0], np.full(space.shape[1], np.inf) if measured else np.add(signal.high, reach), rtol=1e-6)
    assert np.isfinite(spaces["goal"].high).all()
