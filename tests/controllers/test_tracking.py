"""The joint tracker: it converges without overshoot, binds joints by name and lives in an artifact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.artifact import ArtifactError, load_policy
from isthmus.policy import Policy
from isthmus.robot import Joint, Robot, load_robot
from isthmus_controllers.tracking import TrackingPolicy, tracking_artifact, tracking_contract

UR5E = load_robot("ur5e")
CONTRACT = tracking_contract(UR5E, control_period=0.05)
angles = arrays(np.float64, (2, 6), elements=st.floats(-3, 3))


def act(policy, position, goal):
    return policy.act({"joint_position": position[:, None], "joint_goal": goal[:, None]}).actions


@given(start=angles, goal=angles, gain=st.floats(0.5, 20))
def test_joints_approach_the_goal_monotonically_within_bounds(start, goal, gain):
    policy = TrackingPolicy(CONTRACT, gain)
    position = start
    for _ in range(10):
        velocity = act(policy, position, goal)[:, 0]
        assert (np.abs(velocity) <= CONTRACT.action.high).all()
        following = position + velocity * CONTRACT.control_period
        assert (np.abs(goal - following) <= np.abs(goal - position)).all()
        assert ((goal - following) * (goal - start) >= -1e-12).all()
        position = following


def test_velocity_is_gain_times_error():
    goal = np.zeros((1, 6)) + 0.1
    np.testing.assert_allclose(act(TrackingPolicy(CONTRACT, 3.0), np.zeros((1, 6)), goal), np.full((1, 1, 6), 0.3))


@given(start=angles, goal=angles)
def test_chunk_is_what_single_decisions_would_do(start, goal):
    chunk = act(TrackingPolicy(replace(CONTRACT, horizon=4), 5.0), start, goal)
    single, position = TrackingPolicy(CONTRACT, 5.0), start
    for step in range(4):
        velocity = act(single, position, goal)[:, 0]
        np.testing.assert_array_equal(chunk[:, step], velocity)
        position = position + velocity * CONTRACT.control_period


def test_position_mode_commands_the_goal():
    contract = replace(tracking_contract(UR5E, 0.05, mode="position"), horizon=3)
    goal = np.arange(6.0)[None] / 10
    np.testing.assert_array_equal(act(TrackingPolicy(contract, 1.0), np.zeros((1, 6)), goal), np.tile(goal[:, None], (1, 3, 1)))


def test_joints_are_bound_by_name():
    observed = CONTRACT.observation[0]
    swapped = replace(observed, elements=observed.elements[::-1], low=observed.low[::-1], high=observed.high[::-1])
    policy = TrackingPolicy(replace(CONTRACT, observation=(swapped, CONTRACT.observation[1])), 2.0)
    position, goal = np.arange(6.0)[None] / 10, np.zeros((1, 6))
    np.testing.assert_array_equal(act(policy, position[:, ::-1], goal), act(TrackingPolicy(CONTRACT, 2.0), position, goal))


def test_tracker_runs_from_its_file_and_fits_its_robot(tmp_path):
    tracking_artifact(CONTRACT, gain=2.5).save(tmp_path / "a.isthmus")
    policy = load_policy(tmp_path / "a.isthmus")
    assert isinstance(policy, TrackingPolicy)
    assert isinstance(policy, Policy)
    assert policy.gain == 2.5
    assert policy.contract.fits(UR5E) == []


def test_continuous_joint_may_turn_once_either_way():
    wheel = Robot("wheel", "", "wheel.urdf", "base", "rim", (Joint("hub", 1.0, 2.0, 5.0, 5.0, 10.0, "continuous"),), ("position",))
    action = tracking_contract(wheel, 0.05).action
    assert (action.low[0], action.high[0]) == pytest.approx((1 - 2 * np.pi, 1 + 2 * np.pi))


def test_robots_that_cannot_be_tracked_are_refused():
    with pytest.raises(ValueError, match="tracking commands position or velocity; robot 'pendulum' accepts effort"):
        tracking_contract(load_robot("pendulum"), 0.05)
    with pytest.raises(ValueError, match="tracking commands effort; robot 'ur5e' accepts velocity, position, effort"):
        tracking_contract(UR5E, 0.05, mode="effort")
    with pytest.raises(ValueError, match="policy runs every 2 s; robot 'ur5e' can be commanded every"):
        tracking_contract(UR5E, 2.0)


def test_joints_that_slide_are_tracked_beside_those_that_turn():
    contract = tracking_contract(load_robot("ur5e_gripper"), 0.05, mode="position")
    assert contract.action.units == ("rad",) * 6 + ("m",) * 2
    assert contract.fits(load_robot("ur5e_gripper")) == []


def test_contracts_that_cannot_be_tracked_are_refused():
    position, goal = CONTRACT.observation
    effort = replace(CONTRACT.action, source="joint_effort", unit="N*m")
    fewer = replace(position, elements=position.elements[1:], low=position.low[1:], high=position.high[1:])
    for contract, message in [
        (replace(CONTRACT, action=effort), "tracking commands position or velocity; the contract's action is effort"),
        (replace(CONTRACT, observation=(fewer, goal)), "with shoulder_pan_joint, .*; the contract has joint_position with shoulder_lift"),
        (replace(CONTRACT, observation=(goal,)), "one joint_position signal with shoulder_pan_joint, .*; the contract has none"),
        (replace(CONTRACT, observation=(position, replace(goal, name="goal"))), "an input 'joint_goal' .*; the contract has goal with"),
    ]:
        with pytest.raises(ArtifactError, match=message):
            tracking_artifact(contract)
    for gain in (0.0, -1.0, 20.1):
        with pytest.raises(ArtifactError, match=f"gain must be > 0 and at most 1/control_period = 20 1/s, got {gain} 1/s"):
            tracking_artifact(CONTRACT, gain)


def test_missing_signal_is_named():
    with pytest.raises(KeyError, match="signal 'joint_goal' is missing; given: joint_position"):
        TrackingPolicy(CONTRACT, 1.0).act({"joint_position": np.zeros((1, 1, 6))})
