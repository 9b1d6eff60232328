from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sample_contract import PENDULUM, UR5E

from isthmus import load_robot
from isthmus.kinematics import GRAVITY, Kinematics, quaternion

DESK = Path(__file__).parents[2] / "examples" / "my_lab" / "my_lab" / "robots"
ARM, ROD = Kinematics(UR5E.urdf_path), Kinematics(PENDULUM.urdf_path)
JOINTS = UR5E.joint_names
angles = arrays(np.float64, (3, 6), elements=st.floats(-6, 6))


def tool(position):
    return ARM.poses(JOINTS, position, ["tool0"])["tool0"]


def potential_energy(kinematics, joints, position):
    """Sum of m g z over the links, `[B]`, J: each link's centre from its pose."""
    poses = kinematics.poses(joints, position, kinematics.links)
    total = np.zeros(len(position))
    for link, inertial in kinematics._inertials.items():
        if inertial is not None:
            height = poses[link].position[:, 2] + poses[link].rotation[:, 2] @ inertial.center
            total += inertial.mass * GRAVITY * height
    return total


def test_the_stretched_ur5e_is_where_its_dimensions_say():
    # Upper arm 0.425 m and forearm 0.3922 m along -x of a base that the description turns by half a circle, wrist 0.1333 m and 0.0996 m across.
    pose = tool(np.zeros((1, 6)))
    np.testing.assert_allclose(pose.position[0], [0.425 + 0.3922, 0.1333 + 0.0996, 0.1625 - 0.0997], atol=1e-12)


@given(position=angles)
def test_rotations_are_orthonormal_and_quaternions_are_theirs(position):
    rotation = tool(position).rotation
    np.testing.assert_allclose(rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (3, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-12)
    x, y, z, w = quaternion(rotation).T
    np.testing.assert_allclose(x * x + y * y + z * z + w * w, 1, atol=1e-12)
    assert (w >= 0).all()
    np.testing.assert_allclose(rotation[:, 0, 0], 1 - 2 * (y * y + z * z), atol=1e-12)
    np.testing.assert_allclose(rotation[:, 1, 0], 2 * (x * y + w * z), atol=1e-12)
    np.testing.assert_allclose(rotation[:, 2, 1], 2 * (y * z + w * x), atol=1e-12)


@settings(max_examples=30)
@given(position=angles)
def test_joints_turn_the_tool_about_their_axes(position):
    step = 1e-6
    poses = ARM.poses(JOINTS, position, ARM.links)
    for index, name in enumerate(JOINTS):
        link = (
            name.replace("_joint", "_link")
            .replace("elbow", "forearm")
            .replace("shoulder_pan", "shoulder")
            .replace("shoulder_lift", "upper_arm")
        )
        turned = position.copy()
        turned[:, index] += step
        moved = (tool(turned).position - tool(position).position) / step
        axis, arm = poses[link].rotation[:, :, 2], tool(position).position - poses[link].position
        np.testing.assert_allclose(moved, np.cross(axis, arm), atol=1e-5)


@settings(max_examples=30)
@given(position=angles)
def test_gravity_torque_is_the_gradient_of_the_potential_energy(position):
    step = 1e-6
    gradient = np.empty_like(position)
    for index in range(6):
        up, down = position.copy(), position.copy()
        up[:, index] += step
        down[:, index] -= step
        gradient[:, index] = (potential_energy(ARM, JOINTS, up) - potential_energy(ARM, JOINTS, down)) / (2 * step)
    np.testing.assert_allclose(ARM.gravity(JOINTS, position), gradient, atol=1e-5)


def test_the_rod_needs_half_its_weight_times_its_length_when_level():
    np.testing.assert_allclose(ROD.gravity(("hinge",), np.array([[np.pi / 2], [0.0]])), [[-GRAVITY / 2], [0]], atol=1e-12)


@given(position=angles)
def test_rows_and_column_order_do_not_matter(position):
    order = [4, 2, 0, 5, 1, 3]
    shuffled = ARM.poses([JOINTS[index] for index in order], position[:, order], ["tool0"])["tool0"]
    np.testing.assert_array_equal(shuffled.vector(), tool(position).vector())
    for row in range(3):
        np.testing.assert_array_equal(tool(position[row : row + 1]).vector()[0], tool(position).vector()[row])
        np.testing.assert_array_equal(ARM.gravity(JOINTS, position[row : row + 1])[0], ARM.gravity(JOINTS, position)[row])
        np.testing.assert_array_equal(
            ARM.jacobian(JOINTS, position[row : row + 1], "tool0")[0], ARM.jacobian(JOINTS, position, "tool0")[row]
        )


@settings(max_examples=30)
@given(position=angles)
def test_jacobian_is_the_derivative_of_the_pose(position):
    step, here = 1e-6, tool(position)
    jacobian = ARM.jacobian(JOINTS, position, "tool0")
    for index in range(6):
        moved = tool(position + step * np.eye(6)[index])
        np.testing.assert_allclose(jacobian[:, :3, index], (moved.position - here.position) / step, atol=1e-5)
        turn = (moved.rotation - here.rotation) @ here.rotation.transpose(0, 2, 1) / step  # skew-symmetric
        np.testing.assert_allclose(jacobian[:, 3:, index], np.stack([turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0]], axis=1), atol=1e-5)


def test_jacobian_is_that_of_mujoco():
    mujoco = pytest.importorskip("mujoco")
    spec = mujoco.MjSpec.from_file(str(UR5E.urdf_path))
    spec.compiler.fusestatic = False
    model = spec.compile()
    data, linear, angular = mujoco.MjData(model), np.zeros((3, 6)), np.zeros((3, 6))
    for position in np.random.default_rng(0).uniform(-3, 3, (20, 6)):
        data.qpos[:] = position
        mujoco.mj_forward(model, data)
        mujoco.mj_jacBody(model, data, linear, angular, model.body("tool0").id)
        np.testing.assert_allclose(ARM.jacobian(JOINTS, position[None], "tool0")[0], [*linear, *angular], atol=1e-9)


def test_joints_that_do_not_carry_a_link_do_not_move_it():
    jacobian = ARM.jacobian(JOINTS, np.zeros((2, 6)), "forearm_link")
    assert (jacobian[:, :, 3:] == 0).all()
    assert (jacobian[:, :, :3] != 0).any()


def test_a_slider_moves_along_its_axis(tmp_path):
    path = tmp_path / "slider.urdf"
    path.write_text(
        '<robot name="slider"><link name="base"/>'
        '<joint name="slide" type="prismatic"><parent link="base"/><child link="cart"/>'
        '<origin xyz="1 0 0" rpy="0 1.5707963267948966 0"/><axis xyz="0 0 1"/></joint>'
        '<link name="cart"><inertial><mass value="2"/></inertial></link></robot>'
    )
    slider = Kinematics(path)
    np.testing.assert_allclose(slider.poses(["slide"], np.array([[0.5]]), ["cart"])["cart"].position, [[1.5, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(slider.gravity(["slide"], np.array([[0.5]])), [[0]], atol=1e-12)
    np.testing.assert_allclose(slider.jacobian(["slide"], np.array([[0.5]]), "cart"), [[[1], [0], [0], [0], [0], [0]]], atol=1e-12)


def test_an_unknown_link_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"unknown link 'tip0'; known: base_link, rod, tip"):
        ROD.poses(("hinge",), np.zeros((1, 1)), ["tip0"])
    path = tmp_path / "two.urdf"
    path.write_text('<robot name="two"><link name="a"/><link name="b"/></robot>')
    with pytest.raises(ValueError, match="exactly one root link, found a, b"):
        Kinematics(path)


def odd_arm(tmp_path):
    """A turn about a tilted axis, a slide along another one, and a turn about x, with offsets and rotations between them."""
    axes = [("revolute", "0.3 -0.5 0.8", "0.1 0.2 0.3"), ("prismatic", "1 2 -0.5", "0 -0.4 0"), ("continuous", "1 0 0", "0.2 0 0.1")]
    links = "".join(f'<link name="l{number}"/>' for number in range(5))
    joints = "".join(
        f'<joint name="j{number}" type="{kind}"><parent link="l{number}"/><child link="l{number + 1}"/>'
        f'<origin xyz="{offset}" rpy="0.4 -0.2 {number}"/><axis xyz="{axis}"/></joint>'
        for number, (kind, axis, offset) in enumerate(axes)
    )
    end = '<joint name="end" type="fixed"><parent link="l3"/><child link="l4"/><origin xyz="0.05 0.06 0.07" rpy="0 0 0"/></joint>'
    path = tmp_path / "odd.urdf"
    path.write_text(f'<robot name="odd">{links}{joints}{end}</robot>')
    return Kinematics(path), ("j0", "j1", "j2")


def test_positions_are_those_of_the_poses_and_rows_equal_singles_bit_for_bit(tmp_path):
    generator = np.random.default_rng(0)
    for kinematics, joints in ((ARM, JOINTS), odd_arm(tmp_path)):
        angle = generator.uniform(-3, 3, (67, len(joints)))
        poses, points = kinematics.poses(joints, angle, kinematics.links), kinematics.positions(joints, angle, kinematics.links)
        for link, pose in poses.items():
            np.testing.assert_allclose(points[link], pose.position, atol=1e-14)
        last = kinematics.links[-1]
        for row in range(67):
            one = angle[row : row + 1]
            np.testing.assert_array_equal(kinematics.positions(joints, one, [last])[last][0], points[last][row])
            np.testing.assert_array_equal(kinematics.poses(joints, one, [last])[last].vector()[0], poses[last].vector()[row])


def test_any_axis_turns_like_the_rotation_formula(tmp_path):
    kinematics, joints = odd_arm(tmp_path)
    still, turned = (kinematics.poses(joints, np.array([[angle, 0.0, 0.0]]), ["l1"])["l1"].rotation[0] for angle in (0.0, 0.7))
    axis = np.array([0.3, -0.5, 0.8]) / np.sqrt(0.98)
    skew = np.cross(np.eye(3), axis)
    np.testing.assert_allclose(still.T @ turned, np.eye(3) + np.sin(0.7) * skew + (1 - np.cos(0.7)) * skew @ skew, atol=1e-12)


def test_reach_bounds_every_pose_and_is_reached_by_a_stretched_arm():
    robot = load_robot("desk_arm", [DESK])
    kinematics = Kinematics(robot.urdf_path)
    shoulder, length = kinematics.reach("tool0")
    position = np.random.default_rng(0).uniform(-3, 3, (2000, 4))
    position[0] = 0  # upright
    tools = kinematics.poses(robot.joint_names, position, ["tool0"])["tool0"].position
    distance = np.linalg.norm(tools - shoulder, axis=1)
    assert distance.max() == pytest.approx(distance[0]) == pytest.approx(length)
    with pytest.raises(ValueError, match="no joint moves link 'base_link'"):
        kinematics.reach("base_link")
    with pytest.raises(ValueError, match="unknown link 'tol0'; known: base_link, "):
        kinematics.reach("tol0")
