import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import Command, Contract, Measurement, ObservationBuilder, Signal, load_robot
from isthmus.guard import CLAMP, PASS, STOP, LimitGuard
from isthmus.limits import Box
from isthmus.messages import command_field
from isthmus.robot import Base

DIFFBOT, QUADRUPED, UR5E = load_robot("diffbot"), load_robot("quadruped"), load_robot("ur5e")
TWIST = ("vx", "wz")
WHEELS = {"wheels": ("left", "right"), "wheel_radius": 0.03, "wheel_separation": 0.2, "wheel_effort": 1.0, "wheel_gain": 1.0}
PERIOD = 0.1


def twist_contract(**changes):
    low, high = (-0.2, -1.5), (0.4, 1.5)
    return dataclasses.replace(
        Contract(
            robot="diffbot",
            task="drive",
            observation=(
                Signal("base_link", "pose", ("x", "y", "qz", "qw"), "m", (-5.0,) * 4, (5.0,) * 4, frame="odom"),
                Signal("base_link_twist", "twist", TWIST, "m/s", (-1.0, -2.0), (1.0, 2.0), frame="base_link"),
                Signal("previous", "previous_action", TWIST, "m/s", low, high),
            ),
            action=Signal("twist", "twist", TWIST, "m/s", low, high),
            limits=DIFFBOT.limits(),
            control_period=PERIOD,
        ),
        **changes,
    )


def measured(position, velocity=(0.0, 0.0), stamp=0.0, **fields):
    return Measurement(np.array([stamp]), TWIST, np.array([position], float), np.array([velocity], float), **fields)


def test_the_profiles_have_the_published_sizes():
    assert (DIFFBOT.base.kind, DIFFBOT.base.wheels) == ("differential", ("left_wheel_joint", "right_wheel_joint"))
    assert DIFFBOT.limits().velocity == (0.46, 1.9)
    assert (QUADRUPED.base.kind, len(QUADRUPED.joints)) == ("floating", 12)
    assert set(QUADRUPED.limits().effort) == {33.5}
    assert set(QUADRUPED.limits().velocity) == {21.0}
    assert UR5E.base == Base()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "hovering"}, r"unknown kind 'hovering'; .*Known: differential, fixed, floating"),
        ({"kind": "differential", **WHEELS, "wheels": ("left",)}, "has two wheels, left and right, got left"),
        ({"kind": "differential", **WHEELS, "wheel_radius": 0.0}, "wheel_radius must be > 0, got 0.0"),
        ({"kind": "floating", "wheel_radius": 0.1}, "a floating base has no wheel_radius"),
    ],
)
def test_a_base_that_cannot_be_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Base(**fields)


def test_a_robot_that_contradicts_its_base_is_refused():
    with pytest.raises(ValueError, match="base_frame must be 'odom' on a mobile base and only there, got 'base_link'"):
        dataclasses.replace(QUADRUPED, base_frame="base_link")
    with pytest.raises(ValueError, match="a differential drive, and no other robot, has command mode twist"):
        dataclasses.replace(DIFFBOT, joints=DIFFBOT.joints[:1])
    with pytest.raises(ValueError, match="a workspace box needs a fixed base"):
        dataclasses.replace(QUADRUPED, workspace=Box((-1.0, -1.0, 0.0), (1.0, 1.0, 1.0)))


def test_a_twist_contract_fits_its_robot_and_no_other():
    contract = twist_contract()
    assert contract.mode == "twist"
    assert contract.fits(DIFFBOT) == []
    assert any("'twist' expects joint 'vx'" in problem for problem in contract.fits(UR5E))
    assert Contract.from_json(contract.to_json()) == contract


def test_joint_signals_of_a_base_must_have_the_unit_of_their_element():
    wheel = Signal("turn", "joint_velocity", ("wz",), "m/s", (-2.0,), (2.0,))
    problems = twist_contract(observation=(*twist_contract().observation, wheel)).fits(DIFFBOT)
    assert problems == ["signal 'turn' has wz in m/s, but wz of 'diffbot' is continuous"]


def test_a_twist_is_in_the_frame_of_the_base_and_a_pose_is_not():
    pose = Signal("base_link", "pose", ("x",), "m", (-5.0,), (5.0,), frame="base_link")
    assert twist_contract(observation=(pose,)).fits(DIFFBOT) == [
        "signal 'base_link' is in frame 'base_link'; this robot's base frame is 'odom'"
    ]


def test_pose_and_twist_of_a_mobile_base_are_those_measured():
    builder = ObservationBuilder(twist_contract(), DIFFBOT, 1)
    pose, twist = np.array([[1.0, 2.0, 0.036, 0.0, 0.0, 0.6, 0.8]]), np.array([[0.3, 0.0, 0.0, 0.0, 0.0, 0.5]])
    builder.push(measured((9.0, 9.0), poses={"base_link": pose}, twists={"base_link": twist}), None)
    observation = builder.build()
    np.testing.assert_allclose(observation["base_link"][0, 0], [1.0, 2.0, 0.6, 0.8])
    np.testing.assert_allclose(observation["base_link_twist"][0, 0], [0.3, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(observation["previous"], np.zeros((1, 1, 2)))
    with pytest.raises(KeyError, match="twist 'base_link' is missing from the measurement; there are: none"):
        builder.push(measured((9.0, 9.0), poses={"base_link": pose}), None)


@given(asked=st.lists(st.tuples(st.floats(-3, 3), st.floats(-10, 10)), min_size=1, max_size=20))
def test_guarded_twists_keep_speed_and_acceleration(asked):
    limits = DIFFBOT.limits()
    guard = LimitGuard(DIFFBOT, limits, "twist")
    state = guard.initial(1, armed=True)
    position, before = np.zeros(2), np.zeros(2)
    for step, twist in enumerate(asked):
        decision, state = guard.check(state, Command("twist", TWIST, np.array([twist])), measured(position, before, step * PERIOD), PERIOD)
        executed = decision.command.values[0]
        assert (np.abs(executed) <= np.array(limits.velocity) + 1e-12).all()
        assert (np.abs(executed - before) <= np.array(limits.acceleration) * PERIOD + 1e-12).all()
        assert decision.rung[0] == (PASS if np.array_equal(executed, twist) else CLAMP)
        position, before = position + executed * PERIOD, executed


def test_a_blocked_base_is_stopped():
    guard = LimitGuard(DIFFBOT, DIFFBOT.limits(), "twist")
    state = guard.initial(1, armed=True)
    for step in range(20):
        wiggle = 1e-6 * step  # wheels that tremble are not a frozen sensor
        decision, state = guard.check(
            state, Command("twist", TWIST, np.array([[0.4, 0.0]])), measured((wiggle, 0.0), (0, 0), step * PERIOD), PERIOD
        )
        if decision.rung[0] == STOP:
            break
    assert decision.cause[0] == "vx does not follow its command"
    assert step * PERIOD < 1.5


def test_twists_are_recorded_as_joint_velocities():
    assert [command_field(mode) for mode in ("position", "velocity", "effort", "twist")] == ["position", "velocity", "effort", "velocity"]
