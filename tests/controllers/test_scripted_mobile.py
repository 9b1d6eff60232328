import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from isthmus import load_robot
from isthmus.kinematics import Kinematics
from isthmus_controllers.scripted.navigate import first_corner
from isthmus_controllers.scripted.walk import HIPS, LEGS, SIDES, leg_angles, leg_torques

ROBOT = load_robot("quadruped")
KINEMATICS = Kinematics(ROBOT.urdf_path)
PARTS = ("hip", "thigh", "calf")


def foot_of(leg, angles):
    """Position of a foot in the frame of its hip, by the robot's own kinematics."""
    joints = [f"{LEGS[leg]}_{part}_joint" for part in PARTS]
    place = KINEMATICS.poses(joints, np.array([angles]), [f"{LEGS[leg]}_foot"])[f"{LEGS[leg]}_foot"].position[0]
    return place - np.array([*HIPS[leg], 0.0])


legs = st.integers(0, 3)
angles = st.tuples(st.floats(-0.7, 0.7), st.floats(-0.5, 2.0), st.floats(-2.4, -0.95))


@given(leg=legs, angles=angles)
def test_leg_angles_invert_the_kinematics_of_the_urdf(leg, angles):
    foot = foot_of(leg, angles)
    assume(np.cos(angles[1]) + np.cos(angles[1] + angles[2]) > 0.1)  # the foot is below the hip
    np.testing.assert_allclose(foot_of(leg, leg_angles(foot, SIDES[leg])), foot, atol=1e-9)


@given(leg=legs, angles=angles)
def test_leg_torques_carry_the_load(leg, angles):
    torque = leg_torques(np.array(angles), SIDES[leg], np.array(60.0))
    step = 1e-6
    for joint in range(3):
        moved = np.array(angles)
        moved[joint] += step
        raised = (foot_of(leg, moved) - foot_of(leg, angles))[2] / step
        assert torque[joint] == pytest.approx(-60.0 * raised, abs=1e-3)


def test_a_foot_out_of_reach_is_pulled_into_reach():
    far = leg_angles(np.array([0.0, 0.084, -0.6]), 1.0)
    assert np.isfinite(far).all()
    np.testing.assert_allclose(foot_of(1, far), [0.0, 0.084, -0.385], atol=1e-9)


def test_the_way_is_straight_where_nothing_is_in_it():
    corner = first_corner(np.zeros((1, 2)), np.array([[2.0, 0.0]]), np.array([[[1.0, 1.0]]]), np.array([0.4]))
    np.testing.assert_array_equal(corner, [[2.0, 0.0]])


@given(aside=st.floats(-0.3, 0.3), radius=st.floats(0.35, 0.5))
def test_the_way_leads_around_an_obstacle_on_its_nearer_side(aside, radius):
    center = np.array([1.0, aside])
    position, goal, sides = np.zeros((1, 2)), np.array([[2.0, 0.0]]), []
    for _ in range(20):
        corner = first_corner(position, goal, center[None, None], np.array([radius]))
        share = np.linspace(0, 1, 50)[:, None]
        assert np.sqrt((((1 - share) * position + share * corner - center) ** 2).sum(axis=1)).min() > radius - 0.02
        sides.append(corner[0, 1])
        position = corner
        if np.array_equal(corner, goal):
            break
    assert np.array_equal(position, goal)
    if abs(aside) > 0.05:
        assert np.sign(sides[0]) == -np.sign(aside)


def test_without_a_way_the_robot_stays():
    walls = np.array([[[0.9 * np.cos(a), 0.9 * np.sin(a)] for a in np.linspace(0, 2 * np.pi, 12, endpoint=False)]])
    np.testing.assert_array_equal(first_corner(np.zeros((1, 2)), np.array([[3.0, 0.3]]), walls, np.full(12, 0.4)), [[0.0, 0.0]])


def test_rows_of_a_batch_are_planned_alone():
    generator = np.random.default_rng(1)
    start, goal, centers = generator.normal(size=(5, 2)), generator.normal(size=(5, 2)) + 3, generator.normal(size=(5, 3, 2)) + 1.5
    together = first_corner(start, goal, centers, np.full(3, 0.4))
    alone = [first_corner(start[i : i + 1], goal[i : i + 1], centers[i : i + 1], np.full(3, 0.4))[0] for i in range(5)]
    np.testing.assert_array_equal(together, alone)
