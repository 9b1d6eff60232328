"""What a word means must not depend on the engine, on the other rows, or on what a row did before."""

import numpy as np
import pytest

from isthmus import Command, load_robot
from isthmus_sim.episodes import episode_start
from isthmus_sim.plants import make_plant, task_plant
from isthmus_sim.scene import Body, Hinge, Scene, Shape
from isthmus_sim.tasks import get_task

ENGINES = ["mujoco", "pybullet"]
BALL = Body("ball", (Shape("sphere", (0.05,)),), mass=0.1, joint="free")


def drive(plant, task, periods):
    """Measurements of every period under slow waves."""
    low, high = np.array(task.contract.action.low), np.array(task.contract.action.high)
    measured = []
    for period in range(periods):
        wave = (low + high) / 2 + 0.2 * (high - low) / 2 * np.sin(0.2 * period)
        plant.write(Command(task.contract.mode, task.contract.action.elements, np.tile(wave, (plant.batch, 1))))
        plant.advance()
        measured.append(plant.read())
    return measured


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        ("walk", "action_delay", 0.03),
        ("walk", "action_lag", 0.03),
        ("push", "observation_delay", 0.07),
        ("push", "puck.com_x", 0.02),
        ("push", "payload", 1.5),
    ],
)
def test_the_parameters_of_one_row_change_no_bit_of_another(engine, task, name, value):
    task = get_task(task)
    start = episode_start(task, [5])
    alone = task_plant(engine, task)
    alone.reset(seeds=[7], state=start.state)
    both = task_plant(engine, task, 2)
    both.reset(np.array([0]), [1], None, {name: np.array([value])})
    both.reset(np.array([1]), [7], start.state)
    for expected, found in zip(drive(alone, task, 8), drive(both, task, 8), strict=True):
        for quantity in ("position", "velocity", "effort"):
            np.testing.assert_array_equal(getattr(found, quantity)[1], getattr(expected, quantity)[0], err_msg=quantity)
        for body, pose in expected.poses.items():
            np.testing.assert_array_equal(found.poses[body][1], pose[0], err_msg=body)
    alone.close()
    both.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_parameter_given_twice_means_the_same_the_second_time(engine):
    task = get_task("push")
    plant = task_plant(engine, task)
    ends = []
    for _ in range(3):
        plant.reset(seeds=[0], parameters={"payload": np.array([5.0])})
        ends.append(np.concatenate([sample.position[0] for sample in drive(plant, task, 6)]))
    np.testing.assert_array_equal(ends[1], ends[0])
    np.testing.assert_array_equal(ends[2], ends[0])
    plant.close()


def test_damping_makes_a_servo_lag_alike_in_both_engines():
    task = get_task("reach")
    shifts = []
    for engine in ENGINES:
        ends = []
        for damping in (0.0, 20.0):
            plant = task_plant(engine, task)
            plant.reset(parameters={"joint_damping": np.array([damping])})
            ends.append(drive(plant, task, 30)[-1].position[0])
            plant.close()
        shifts.append(ends[1] - ends[0])
    assert np.abs(shifts[0]).max() > 1e-3
    np.testing.assert_allclose(shifts[1], shifts[0], atol=0.3 * np.abs(shifts[0]).max())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("x", "height"), [(2.2, 0.1), (3.0, 0.4)])
def test_a_heightfield_begins_at_its_lowest_point_where_its_shape_is(engine, x, height):
    heights = ((0.2,) * 5, (0.2, 0.2, 0.5, 0.2, 0.2), (0.2,) * 5)
    shape = Shape("heightfield", (1.0, 0.5), heights=heights, position=(0.0, 0.0, 0.1))
    ground = Body("ground", (shape,), position=(3.0, 0.0, 0.0))
    robot = load_robot("pendulum")
    plant = make_plant(engine, robot, mode="effort", period=0.02, scene=Scene((ground, BALL), (("ball", "ground"),)))
    plant.reset(state={"ball": np.array([[x, 0.0, height + 0.3, 0.0, 0.0, 0.0, 1.0]])})
    lowest = np.inf
    for _ in range(16):
        plant.advance()
        lowest = min(lowest, plant.truth().poses["ball"][0, 2])
    assert lowest - 0.05 == pytest.approx(height, abs=0.02)
    np.testing.assert_allclose(plant.truth().poses["ground"][0], [3, 0, 0, 0, 0, 0, 1], atol=1e-12)
    plant.close()


def test_what_no_engine_could_mean_is_refused():
    box = Shape("box", (0.1, 0.1, 0.1))
    with pytest.raises(ValueError, match=r"body 'box': friction must be >= 0, got nan"):
        Body("box", (box,), friction=np.nan)
    with pytest.raises(ValueError, match=r"body 'box': rotation must be a unit quaternion qx, qy, qz, qw, got \(0, 0, 0, 0\)"):
        Body("box", (box,), rotation=(0, 0, 0, 0))
    with pytest.raises(ValueError, match=r"a box: position must be finite, got \(0, inf, 0\)"):
        Shape("box", (0.1, 0.1, 0.1), position=(0, np.inf, 0))
    with pytest.raises(ValueError, match=r"body 'floor': a plane or heightfield cannot be carried by robot link 'tool0'"):
        Body("floor", (Shape("plane", (1.0, 1.0)),), parent="tool0")
    for name in ("elbow_joint", "wrist_3_link"):
        for engine in ENGINES:
            with pytest.raises(ValueError, match=f"body '{name}' has the name of a link or joint of robot 'ur5e'"):
                make_plant(engine, load_robot("ur5e"), mode="velocity", period=0.05, scene=Scene((Body(name, (box,)),)))


def test_what_would_be_dropped_is_refused():
    with pytest.raises(ValueError, match=r"low and high must both be finite or both be infinite, got -inf and 0.3"):
        Hinge((0.0, 1.0, 0.0), high=0.3)
    terrain = Shape("heightfield", (1.0, 1.0), heights=((0.0, 0.1), (0.0, 0.1)))
    ground = Body("ground", (terrain, Shape("box", (0.1, 0.1, 0.1))))
    with pytest.raises(ValueError, match=r"'pybullet' cannot express body 'ground': a heightfield must be its only shape"):
        make_plant("pybullet", load_robot("pendulum"), mode="effort", period=0.02, scene=Scene((ground,)))


def test_a_world_put_back_with_other_parameters_of_the_robot_is_one_made_anew():
    task = get_task("push")
    parameters = {"gravity": 9.5, "elbow_joint.damping": 12.0, "position_noise": 1e-3, "observation_delay": 0.05, "puck.mass": 0.7}
    parameters = {name: np.array([value]) for name, value in parameters.items()}
    used, fresh = (task_plant("pybullet", task) for _ in range(2))
    for first in ({"payload": np.array([3.0])}, {**parameters, "elbow_joint.damping": np.array([40.0]), "gravity": np.array([12.0])}):
        used.reset(seeds=[1], parameters=first)
        drive(used, task, 4)
    for plant in (used, fresh):
        plant.reset(seeds=[2], parameters=parameters)
    for expected, found in zip(drive(fresh, task, 8), drive(used, task, 8), strict=True):
        np.testing.assert_array_equal(found.position, expected.position)
        np.testing.assert_array_equal(found.poses["puck"], expected.poses["puck"])
    used.close()
    fresh.close()
