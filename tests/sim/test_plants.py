import numpy as np
import pytest

from isthmus import Command, load_robot
from isthmus.kinematics import Kinematics
from isthmus.robot import robot_names
from isthmus_sim.plants import make_plant, plant_names

ENGINES = ["mujoco", "pybullet"]
PHYSICAL = ["gravity", "payload", "joint_damping"]


def drive(plant, values, periods):
    for _ in range(periods):
        plant.write(Command(plant.robot.command_modes[0], plant.robot.joint_names, values))
        plant.advance()
    return plant.read()


def made(engine, robot="ur5e", mode="velocity", batch=1):
    return make_plant(engine, load_robot(robot), mode=mode, period=0.05, batch=batch)


def test_all_engines_are_listed():
    assert set(ENGINES) <= set(plant_names())


@pytest.mark.parametrize("engine", ENGINES)
def test_tool_pose_of_the_engine_is_that_of_the_core_kinematics(engine):
    plant = made(engine)
    kinematics = Kinematics(plant.robot.urdf_path)
    generator = np.random.default_rng(0)
    for _ in range(20):
        position = plant.robot.home[None] + generator.uniform(-1, 1, (1, 6))
        plant.reset(state={"position": position})
        truth = plant.truth().poses["tool0"]
        pose = kinematics.poses(plant.robot.joint_names, position, ["tool0"])["tool0"].vector()
        np.testing.assert_allclose(truth[:, :3], pose[:, :3], atol=1e-7)
        assert abs((truth[0, 3:] * pose[0, 3:]).sum()) == pytest.approx(1, abs=1e-6)  # q and −q are the same rotation


def test_gravity_torque_of_the_core_is_the_bias_force_of_mujoco():
    import mujoco

    from isthmus_sim.plants.mujoco import compile_model

    robot = load_robot("ur5e")
    model = compile_model(robot, "velocity", 0.005)
    data = mujoco.MjData(model)
    data.qpos[:] = robot.home + 0.3
    mujoco.mj_forward(model, data)
    expected = Kinematics(robot.urdf_path).gravity(robot.joint_names, data.qpos[None].copy())
    np.testing.assert_allclose(data.qfrc_bias, expected[0], atol=1e-9)


def test_engines_agree_on_the_free_motion_of_the_pendulum():
    states = []
    for engine in ENGINES:
        plant = made(engine, "pendulum", "effort")
        plant.reset(state={"position": np.array([[1.0]]), "velocity": np.array([[0.5]])}, parameters={"gravity": np.array([10.0])})
        final = drive(plant, np.array([[1.0]]), 40)
        states.append(np.concatenate([final.position[0], final.velocity[0]]))
        plant.close()
    np.testing.assert_allclose(states[0], states[1], atol=1e-6)


def test_pendulum_swings_like_gymnasium_s():
    gymnasium = pytest.importorskip("gymnasium")
    reference = gymnasium.make("Pendulum-v1").unwrapped
    reference.reset()
    reference.dt = 0.005  # the same equations at the step of the physics engine
    reference.state = np.array([2.5, -0.5])
    plant = made("mujoco", "pendulum", "effort")
    plant.reset(state={"position": np.array([[2.5]]), "velocity": np.array([[-0.5]])}, parameters={"gravity": np.array([10.0])})
    for _ in range(10):
        for _ in range(10):
            reference.step(np.array([1.5]))
        drive(plant, np.array([[1.5]]), 1)
    # Pendulum-v1's inertia is m l² / 3 about the hinge, and its velocity is integrated first.
    np.testing.assert_allclose([plant.read().position[0, 0], plant.read().velocity[0, 0]], reference.state, atol=0.02)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_held_arm_does_not_creep_under_gravity(engine, mode):
    plant = made(engine, mode=mode)
    plant.reset()
    rest = plant.robot.home[None] if mode == "position" else np.zeros((1, 6))
    for _ in range(20):
        plant.write(Command(mode, plant.robot.joint_names, rest))
        plant.advance()
    settled = plant.read().position
    for _ in range(200):  # ten seconds
        plant.advance()
    np.testing.assert_allclose(plant.read().position, settled, atol=1e-6)
    assert np.abs(settled - plant.robot.home).max() < 0.02  # a servo sags a little, once
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_velocity_servo_follows_its_command(engine):
    plant = made(engine)
    plant.reset()
    speed = np.array([[1.0, 0.5, -0.5, 0.8, -0.8, 1.5]])
    moving = drive(plant, speed, 20)
    np.testing.assert_allclose(moving.velocity, speed, atol=0.02)
    lag = speed - (moving.position - plant.robot.home)
    assert np.abs(lag).max() < 0.1
    at_rest = drive(plant, 0 * speed, 20)
    np.testing.assert_allclose(at_rest.position - plant.robot.home, speed, atol=0.02)
    plant.close()


def test_batch_of_64_equals_64_single_runs_bit_for_bit():
    generator = np.random.default_rng(1)
    commands = generator.uniform(-1.5, 1.5, (30, 64, 6))
    starts = load_robot("ur5e").home + generator.uniform(-0.2, 0.2, (64, 6))
    batch, single = made("mujoco", batch=64), made("mujoco")
    batch.reset(state={"position": starts})
    readings = []
    for command in commands:
        drive(batch, command, 1)
        readings.append((batch.read(), batch.truth().poses["tool0"]))
    for row in range(64):
        single.reset(state={"position": starts[row : row + 1]})
        for command, (reading, pose) in zip(commands, readings, strict=True):
            alone = drive(single, command[row : row + 1], 1)
            np.testing.assert_array_equal(alone.position[0], reading.position[row])
            np.testing.assert_array_equal(alone.velocity[0], reading.velocity[row])
            np.testing.assert_array_equal(single.truth().poses["tool0"][0], pose[row])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PHYSICAL)
def test_every_parameter_changes_the_motion_and_goes_back_to_nominal(engine, name):
    plant = made(engine, "pendulum", "effort")

    def swing(parameters):
        plant.reset(state={"position": np.array([[1.0]])}, parameters=parameters)
        return drive(plant, np.array([[0.5]]), 20).position[0, 0]

    nominal = swing({})
    changed = swing({name: np.array([1.0])})
    assert abs(changed - nominal) > 1e-3
    assert swing({}) == nominal
    plant.close()


@pytest.mark.parametrize("name", PHYSICAL)
def test_engines_agree_on_what_a_parameter_means(name):
    ends = []
    for engine in ENGINES:
        plant = made(engine, "pendulum", "effort")
        plant.reset(state={"position": np.array([[1.0]])}, parameters={name: np.array([0.7])})
        ends.append(drive(plant, np.array([[0.5]]), 20).position[0, 0])
        plant.close()
    assert ends[0] == pytest.approx(ends[1], abs=2e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_undriven_pendulum_keeps_its_energy(engine):
    plant = made(engine, "pendulum", "effort")
    plant.reset(state={"position": np.array([[2.0]]), "velocity": np.array([[1.0]])})

    def energy():
        reading = plant.read()
        return reading.velocity[0, 0] ** 2 / 6 + 9.81 * 0.5 * np.cos(reading.position[0, 0])  # m l² / 3, 1 m, 1 kg

    before = energy()
    drive(plant, np.zeros((1, 1)), 200)
    assert energy() == pytest.approx(before, abs=0.15)  # of 9.81 J between top and bottom, after ten seconds
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_damped_joint_reaches_its_terminal_velocity(engine):
    plant = made(engine, "pendulum", "effort")
    plant.reset(parameters={"gravity": np.zeros(1), "hinge.damping": np.array([0.8])})
    assert drive(plant, np.array([[1.2]]), 100).velocity[0, 0] == pytest.approx(1.2 / 0.8, rel=1e-3)
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_effort_beyond_the_limit_does_no_more_than_the_limit(engine):
    speeds = []
    for effort in (2.0, 50.0):
        plant = made(engine, "pendulum", "effort")
        plant.reset(parameters={"gravity": np.zeros(1)})
        speeds.append(drive(plant, np.array([[effort]]), 4).velocity[0, 0])
        plant.close()
    assert speeds[0] == speeds[1]


def test_one_thread_and_two_give_the_same_bits():
    from isthmus_sim.plants.mujoco import MujocoPlant

    commands = np.random.default_rng(3).uniform(-1.5, 1.5, (20, 8, 6))
    readings = []
    for threads in (1, 2):
        plant = MujocoPlant(load_robot("ur5e"), mode="velocity", period=0.05, batch=8, threads=threads)
        assert plant.threads == threads
        for command in commands:
            reading = drive(plant, command, 1)
        readings.append(reading)
    np.testing.assert_array_equal(readings[0].position, readings[1].position)
    np.testing.assert_array_equal(readings[0].velocity, readings[1].velocity)


@pytest.mark.parametrize("engine", ENGINES)
def test_joints_are_bound_by_name(engine):
    plant = made(engine)
    ends = []
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]):
        plant.reset()
        names = tuple(plant.robot.joint_names[index] for index in order)
        for _ in range(5):
            plant.write(Command("velocity", names, np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])[:, order]))
            plant.advance()
        ends.append(plant.read().position)
    np.testing.assert_array_equal(ends[0], ends[1])
    plant.close()


def test_diverged_row_shows_as_nan_instead_of_being_reset_silently():
    plant = made("mujoco", "pendulum", "effort", batch=2)
    plant.reset(state={"position": np.ones((2, 1)), "velocity": np.array([[0.0], [1e200]])})
    reading = drive(plant, np.zeros((2, 1)), 2)
    assert np.isfinite(reading.position[0]).all()
    assert not np.isfinite(reading.position[1]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_picture_shows_the_robot(engine):
    plant = made(engine)
    picture = plant.render(height=120, width=160, markers=((0.3, -0.3, 0.5),))
    assert picture.shape == (120, 160, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5  # not one flat colour
    plant.close()


def test_refusals_name_the_bad_value():
    with pytest.raises(ValueError, match=r"unknown plant 'mujco'; did you mean 'mujoco'\? Known: "):
        made("mujco")
    with pytest.raises(ValueError, match="robot 'ur5e' has no command mode 'twist'; it has: velocity, position, effort"):
        made("mujoco", mode="twist")
    plant = made("mujoco", batch=2)
    with pytest.raises(ValueError, match=r"unknown parameter 'gravty'; did you mean 'gravity'\?"):
        plant.reset(parameters={"gravty": np.ones(2)})
    with pytest.raises(ValueError, match=r"parameter 'payload' must be in 0 … 20 kg, got -1"):
        plant.reset(parameters={"payload": np.array([0.0, -1.0])})
    with pytest.raises(ValueError, match=r"unknown state 'positions'; did you mean 'position'\? Known: position, velocity"):
        plant.reset(state={"positions": np.zeros((2, 6))})
    with pytest.raises(ValueError, match=r"rows must be sorted, unique and in 0 … 1, got \[1, 0\]"):
        plant.reset(rows=np.array([1, 0]))
    with pytest.raises(ValueError, match="this plant was made for velocity commands, got position"):
        plant.write(Command("position", plant.robot.joint_names, np.zeros((2, 6))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("robot", "mode"), [(name, mode) for name in robot_names() for mode in load_robot(name).command_modes])
def test_plant_conforms(engine, robot, mode):
    from isthmus.testing import plant_conformance

    if (engine, robot, mode) == ("pybullet", "ur5e", "effort"):
        with pytest.raises(ValueError, match="cannot drive 'ur5e' by effort: it has no rotor inertia, and shoulder_pan_joint has"):
            made(engine, robot, mode)
        return
    period = 0.02 if mode == "effort" else 0.05  # an arm held by torques needs short periods
    plant_conformance(lambda batch: make_plant(engine, load_robot(robot), mode=mode, period=period, batch=batch), mode=mode)


@pytest.mark.parametrize("engine", ENGINES)
def test_velocity_set_point_does_not_wind_up_behind_a_joint_limit(engine):
    plant = made(engine)
    start = plant.robot.home[None].copy()
    start[0, 2] = 3.0  # the elbow ends at π
    plant.reset(state={"position": start})
    push = np.zeros((1, 6))
    push[0, 2] = 1.0
    at_limit = drive(plant, push, 40).position[0, 2]
    assert drive(plant, -push, 10).position[0, 2] < at_limit - 0.3
    plant.close()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["payload", "joint_damping", "gravity", "elbow_joint.damping"])
def test_two_resets_with_a_parameter_are_one(engine, name):
    ends = []
    for resets in (1, 3):
        plant = made(engine)
        for _ in range(resets):
            plant.reset(parameters={name: np.array([3.0])})
            end = drive(plant, np.full((1, 6), 0.3), 10)
        ends.append(np.concatenate([end.position, end.velocity, end.effort]))
        plant.close()
    np.testing.assert_array_equal(ends[0], ends[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_motor_gives_what_the_damping_of_its_joint_takes(engine):
    """On f4b068e PyBullet's did not say so, and nobody could identify it."""
    efforts = []
    for damping in (0.0, 4.0):
        plant = made(engine)
        plant.reset(parameters={"shoulder_pan_joint.damping": np.array([damping])})
        efforts.append(drive(plant, np.array([[0.5, 0.0, 0.0, 0.0, 0.0, 0.0]]), 20).effort[0, 0])
        plant.close()
    assert efforts[1] - efforts[0] == pytest.approx(4.0 * 0.5, rel=0.02)
