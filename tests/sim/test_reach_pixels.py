"""Reach from pictures: the ball is told by the cameras alone, is in the picture, and is where the reward has it."""

import numpy as np
import pytest

import isthmus_sim
from isthmus import load_robot
from isthmus.kinematics import Kinematics
from isthmus_controllers.scripted import scripted_policy
from isthmus_sim.cameras import camera_view, project
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import task_plant
from isthmus_sim.tasks import get_task
from isthmus_sim.tasks.reach_pixels import BALL

CAMERAS = {"reach-pixels": ("side",), "reach-pixels-two": ("wrist", "side")}
ROBOT = load_robot("ur5e")
STATE = get_task("reach-pixels-state")


def views(camera, positions):
    links = Kinematics(ROBOT.urdf_path).poses(ROBOT.joint_names, positions, [camera.link])[camera.link]
    return [camera_view(camera, position, rotation) for position, rotation in zip(links.position, links.rotation, strict=True)]


@pytest.mark.parametrize("name", CAMERAS)
def test_pictures_are_all_that_tells_where_the_ball_is(name):
    env, task = isthmus_sim.make_vec(name, 1), get_task(name)
    numbers = {"joint_position", "joint_velocity", "tool0", "previous_action"}
    observation, _ = env.reset(seed=0)
    assert set(observation) == {*numbers, *CAMERAS[name]}
    env.plant.reset(state=episode_start(task, [0]).state, parameters={"ball.x": np.array([0.2])})
    moved = env.plant.read()
    for camera in CAMERAS[name]:
        assert observation[camera].shape == (1, 3, 84, 84, 3)
        np.testing.assert_array_equal(observation[camera][:, 0], observation[camera][:, 2])
    assert (np.abs(moved.images["side"].astype(int) - observation["side"][:, -1]) > 40).any(axis=3).sum() > 50
    first = observation["side"][:, -1].copy()
    observation = env.step(np.full((1, 6), 0.5))[0]
    np.testing.assert_array_equal(observation["side"][:, 1], first)  # successive frames
    env.close()


def test_the_camera_beside_the_table_sees_all_of_every_ball_as_large_as_it_is_near():
    start = episode_start(STATE, range(300))
    (camera,) = (camera for camera in ROBOT.cameras if camera.name == "side")
    for view, ball in zip(views(camera, start.state["position"]), start.inputs["ball"], strict=True):
        pixel = project(view, ball[None])[0]
        depth = (ball - view.position) @ view.rotation[:, 2]
        width, nearer = (2 * BALL * view.intrinsics[0] / away for away in (depth, depth - 0.03))
        assert ((pixel > width / 2) & (pixel < 83 - width / 2)).all()
        assert nearer - width > 0.6


def test_a_ball_is_where_the_reward_has_it_and_nothing_touches_it():
    task = get_task("reach-pixels")
    starts = [episode_start(each, range(3)) for each in (task, STATE)]
    for name, values in starts[0].parameters.items():
        np.testing.assert_array_equal(values, starts[1].parameters[name])
    assert starts[0].inputs == {}
    plant = task_plant("mujoco", STATE, 3)
    results, _ = run_episodes(STATE, scripted_policy("reach-pixels-state", STATE.contract), plant, range(3))
    np.testing.assert_allclose(plant.truth().poses["ball"][:, :3], starts[1].inputs["ball"], atol=1e-9)
    plant.close()
    assert all(result.success for result in results)  # inside of the ball


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_the_script_reaches_the_ball_and_the_guard_has_nothing_to_do(engine):
    seeds = range(20 if engine == "mujoco" else 4)
    plant = task_plant(engine, STATE, len(seeds))
    results, _ = run_episodes(STATE, scripted_policy("reach-pixels-state", STATE.contract), plant, seeds)
    plant.close()
    assert np.mean([result.success for result in results]) >= 0.9
    assert {rung for result in results for rung, count in result.rungs.items() if count} == {"pass"}


def test_a_tool_that_does_not_know_where_the_ball_is_seldom_reaches_it():
    """Not even from the middle of all of them."""
    start = episode_start(STATE, range(1000))
    away = start.inputs["ball"] - start.inputs["ball"].mean(axis=0)
    assert (np.linalg.norm(away, axis=1) < 0.03).mean() < 0.06
