import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus import Contract, Signal, load_robot
from isthmus.kinematics import quaternion
from isthmus_controllers.scripted.cartesian import CartesianMotion

ROBOT = load_robot("ur5e")
JOINTS, PERIOD = ROBOT.joint_names, 0.05
DOWN = np.array([0.0, 0.0, -1.0])
ONE = (1.5,) * 6


def contract(mode="velocity"):
    unit = {"velocity": "rad/s", "position": "rad", "effort": "N*m"}[mode]
    low, high = tuple(-value for value in ONE), ONE
    signals = (
        Signal("position", "joint_position", JOINTS, "rad", (-7.0,) * 6, (7.0,) * 6, dtype="float64"),
        Signal("previous", "previous_action", JOINTS, unit, low, high, dtype="float64"),
    )
    limits = dataclasses.replace(ROBOT.limits(), velocity=ONE)
    return Contract(ROBOT.name, "sample", signals, Signal("action", f"joint_{mode}", JOINTS, unit, low, high), limits, PERIOD)


def drive(motion, position, target, steps=120, **wishes):
    """Where ideal servos lead, and the fastest joint on the way."""
    fastest = 0.0
    for _ in range(steps):
        rates = motion.rates(position, target, **wishes)
        fastest = max(fastest, np.abs(rates).max())
        position = position + rates * PERIOD
    return position, fastest


near = arrays(np.float64, (2, 3), elements=st.floats(-0.15, 0.15))


@settings(max_examples=8, deadline=None)
@given(away=near)
def test_tip_arrives_with_the_tool_pointing_down(away):
    motion = CartesianMotion(contract(), tip=(0, 0, 0.2))
    home = np.tile(ROBOT.home, (2, 1))
    target = motion.pose(home)[0] + away
    position, fastest = drive(motion, home, target, direction=DOWN)
    tip, rotation = motion.pose(position)
    np.testing.assert_allclose(tip, target, atol=2e-3)
    np.testing.assert_allclose(rotation[:, :, 2], np.tile(DOWN, (2, 1)), atol=5e-3)
    assert fastest <= 1.5 + 1e-9


@settings(max_examples=8, deadline=None)
@given(axis=arrays(np.float64, 3, elements=st.floats(-1, 1)), angle=st.floats(-0.6, 0.6))
def test_whole_orientation_is_reached(axis, angle):
    axis = axis + np.array([0, 0, 1.5])
    axis = axis / np.linalg.norm(axis)
    motion = CartesianMotion(contract())
    tip, rotation = motion.pose(ROBOT.home[None])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turned = (np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew) @ rotation[0]
    wanted = quaternion(turned[None])
    for sign in (1, -1):  # two quaternions, one orientation
        position, _ = drive(motion, ROBOT.home[None], tip, orientation=sign * wanted)
        np.testing.assert_allclose(motion.pose(position)[1][0], turned, atol=5e-3)
        np.testing.assert_allclose(motion.pose(position)[0], tip, atol=2e-3)


def test_speed_limits_hold_and_a_moving_target_is_followed():
    motion = CartesianMotion(contract(), speed=0.2)
    position = ROBOT.home[None]
    start = motion.pose(position)[0]
    after = position + motion.rates(position, start + np.array([0.3, 0, 0]), posture=position) * PERIOD
    assert np.linalg.norm(motion.pose(after)[0] - start) == pytest.approx(0.2 * PERIOD, rel=0.02)
    target = start.copy()
    for _ in range(20):
        position = position + motion.rates(position, target, velocity=np.array([[0.0, 0.1, 0.0]]), posture=position) * PERIOD
        target = target + np.array([0, 0.1 * PERIOD, 0])
    np.testing.assert_allclose(motion.pose(position)[0], target, atol=1e-3)


def test_singular_poses_give_finite_rates_within_bounds():
    motion = CartesianMotion(contract())
    stretched = np.zeros((1, 6))
    rates = motion.rates(stretched, motion.pose(stretched)[0] + [1.0, 1.0, 1.0], direction=DOWN)
    assert np.isfinite(rates).all()
    assert np.abs(rates).max() <= 1.5 + 1e-9


def test_position_mode_moves_on_from_the_previous_command():
    motion = CartesianMotion(contract("position"))
    sagged, sent = ROBOT.home - 0.05, ROBOT.home
    observation = {"position": np.tile(sagged, (1, 1, 1)), "previous": np.tile(sent, (1, 1, 1))}
    np.testing.assert_allclose(motion.act(observation, motion.pose(sent[None])[0], posture=sent), sent[None], atol=1e-9)


def test_refusals_name_what_is_missing():
    effort = CartesianMotion(contract("effort"))
    with pytest.raises(ValueError, match="rates are no efforts"):
        effort.act({}, np.zeros((1, 3)))
    blind = dataclasses.replace(contract("position"), observation=contract().observation[:1])
    with pytest.raises(ValueError, match="in position mode observes previous_action; the contract has joint_position"):
        CartesianMotion(blind)
