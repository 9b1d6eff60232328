import dataclasses

import numpy as np
import pytest

from isthmus import Command, load_robot
from isthmus_sim.plants import make_plant
from isthmus_sim.plants.command_path import CommandPath

ENGINES = ["mujoco", "pybullet"]
PERIOD = 0.05


def made(engine, robot, mode="effort", batch=1):
    return make_plant(engine, robot, mode=mode, period=PERIOD, batch=batch)


def rod(**servo):
    """The pendulum, whose inertia about its hinge is 1/3 kg·m², with another drive."""
    robot = load_robot("pendulum")
    joint = dataclasses.replace(robot.joints[0], servo=dataclasses.replace(robot.joints[0].servo, **servo))
    return dataclasses.replace(robot, joints=(joint,))


def spin(plant, effort, seconds, **parameters):
    rows = plant.batch
    plant.reset(parameters={"gravity": np.zeros(rows), **{name: np.broadcast_to(value, rows) for name, value in parameters.items()}})
    for _ in range(round(seconds / PERIOD)):
        plant.write(Command("effort", plant.robot.joint_names, np.full((rows, 1), effort)))
        plant.advance()
    return plant.read().velocity[:, 0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fastest", [4.0, 12.0])
def test_dc_motor_loses_its_torque_with_speed(engine, fastest):
    plant = made(engine, rod(no_load_speed=fastest))
    speed = spin(plant, 2.0, 1.0)[0]
    assert speed == pytest.approx(fastest * (1 - np.exp(-2.0 / (fastest / 3))), rel=5e-3)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_may_have_different_motors(engine):
    plant = made(engine, rod(no_load_speed=10.0), batch=3)
    speeds = spin(plant, 2.0, 3.0, **{"hinge.no_load_speed": np.array([3.0, 10.0, 30.0])})
    assert speeds[0] == pytest.approx(3.0, rel=0.02)
    assert speeds[0] < speeds[1] < speeds[2]
    plant.close()


def test_dc_motor_without_its_limit_is_the_plain_motor_and_servo():
    arm = load_robot("ur5e")
    motors = dataclasses.replace(
        arm, joints=tuple(dataclasses.replace(joint, servo=dataclasses.replace(joint.servo, no_load_speed=1e9)) for joint in arm.joints)
    )
    ends = []
    for robot in (arm, motors):
        plant = made("mujoco", robot, "position")
        plant.reset()
        for _ in range(20):
            plant.write(Command("position", robot.joint_names, robot.home[None] + 0.2))
            plant.advance()
        ends.append(plant.read().position)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_command_lag_is_a_first_order_filter(engine):
    plant = made(engine, load_robot("pendulum"))
    lag, seconds = 0.2, 1.0
    expected = 3 * 1.0 * (seconds - lag * (1 - np.exp(-seconds / lag)))  # ∫ (1 − e^(−t/τ)) dt / I
    assert spin(plant, 1.0, seconds, action_lag=lag)[0] == pytest.approx(expected, rel=0.01)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_dry_friction_takes_a_constant_torque_and_holds_below_it(engine):
    plant = made(engine, load_robot("pendulum"))
    assert spin(plant, 1.0, 1.0, **{"hinge.frictionloss": 0.4})[0] == pytest.approx(3 * 0.6, rel=0.02)
    assert abs(spin(plant, 0.3, 1.0, **{"hinge.frictionloss": 0.4})[0]) < 0.02
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_profile_gives_the_nominal_delay_and_lag(engine):
    slow = dataclasses.replace(load_robot("pendulum"), command_delay=0.1, command_lag=0.05)
    plant = made(engine, slow)
    assert (plant.parameters["action_delay"].nominal, plant.parameters["action_lag"].nominal) == (0.1, 0.05)
    assert spin(plant, 1.0, 0.1)[0] == pytest.approx(0.0, abs=1e-9)
    own = spin(plant, 1.0, 0.5)[0]
    plant.close()
    plain = made(engine, load_robot("pendulum"))
    assert spin(plain, 1.0, 0.5, action_delay=0.1, action_lag=0.05)[0] == own
    plain.close()


def test_rows_with_and_without_a_lag_do_not_disturb_each_other():
    path = CommandPath(2, 1, PERIOD, 10)
    path.reset(np.array([0, 1]), 0.0, np.array([0.0, 0.1]), np.zeros((2, 1)))
    seen = path.push(np.ones((2, 1)))
    np.testing.assert_array_equal(seen[0], 1.0)
    np.testing.assert_allclose(seen[1, :, 0], 1 - np.exp(-np.arange(1, 11) * 0.005 / 0.1))


def test_what_an_engine_cannot_express_is_refused():
    arm = load_robot("ur5e")
    motors = dataclasses.replace(
        arm, joints=tuple(dataclasses.replace(joint, servo=dataclasses.replace(joint.servo, no_load_speed=5.0)) for joint in arm.joints)
    )
    with pytest.raises(
        ValueError, match=r"joint 'shoulder_pan_joint': a torque that depends on speed .* needs position or effort commands"
    ):
        made("mujoco", motors, "velocity")
    with pytest.raises(ValueError, match="plant 'pybullet' cannot express a torque that depends on speed"):
        made("pybullet", motors, "position")
