import numpy as np
import pytest

from isthmus.robot import load_robot
from isthmus_ros.robot_sim.controllers import HeldCommand
from isthmus_ros.robot_sim.faults import parse_faults
from isthmus_ros.robot_sim.robot import HOME, SimRobot
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task

PERIOD = 0.01


def robot_of(task_name, engine):
    task = get_task(task_name)
    profile, mode = load_robot(task.contract.robot), task.contract.mode
    plant = make_plant(engine, profile, mode=mode, period=PERIOD, scene=task.scene)
    robot = SimRobot(plant, HeldCommand(profile, profile.joint_names, mode, 0.0), profile.joint_names, mode)
    robot.reset(task, HOME, {}, 0.0)
    return robot


@pytest.fixture(params=[("reach", "pybullet"), ("reach-position", "mujoco"), ("reach-effort", "mujoco")], ids=lambda value: value[0])
def robot(request):
    made = robot_of(*request.param)
    yield made
    made.plant.close()


def run(robot, seconds, begin=0.0):
    for tick in range(round(seconds / PERIOD)):
        robot.advance(begin + (tick + 1) * PERIOD)
    return robot.plant.truth()


def put_on(robot, *entries):
    robot.faults = parse_faults(entries, robot.plant.robot.joint_names)


def test_robot_without_a_command_stands(robot):
    before = robot.plant.truth().position
    after = run(robot, 1.0)
    assert np.abs(after.position - before).max() < 0.02
    assert np.abs(after.velocity).max() < 0.02


def test_robot_stands_on_its_brakes_when_its_program_ends_and_forgets_its_command(robot):
    goal = {"velocity": np.full(6, 0.3), "position": robot.plant.robot.home + 0.5, "effort": np.array([20.0, 0, 0, 0, 0, 0])}
    robot.controller.receive(goal[robot._mode], 0.0)
    moving = run(robot, 0.2)
    assert np.abs(moving.velocity).max() > 0.1
    robot.end_control()
    assert (robot.running, robot.scaling) == (False, 0.0)
    assert np.abs(run(robot, 3.0, 0.2).velocity).max() < 0.02
    robot.resume()
    assert robot.running
    assert np.abs(run(robot, 0.5, 3.2).velocity).max() < 0.02


def test_a_reset_gives_external_control_again(robot):
    robot.end_control()
    robot.reset(get_task("reach"), 3, {}, 0.0)
    assert robot.running


def test_brakes_hold_a_runaway_motor():
    robot = robot_of("reach", "mujoco")
    put_on(robot, "runaway:=elbow_joint=0.5")
    assert run(robot, 0.5).velocity[0, 2] == pytest.approx(0.5, abs=0.05)
    robot.end_control()
    assert np.abs(run(robot, 0.5, 0.5).velocity).max() < 0.02
    robot.plant.close()
