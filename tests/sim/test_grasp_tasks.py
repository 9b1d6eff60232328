import numpy as np
import pytest

import isthmus_sim
from isthmus import Command, load_robot
from isthmus_controllers.scripted import scripted_policy
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import make_plant, task_plant
from isthmus_sim.scene import Body, Scene, Shape
from isthmus_sim.tasks import get_task

ENGINES = ["mujoco", "pybullet"]
NAMES = ["rod", "door"]
EPISODES = {"mujoco": 20, "pybullet": 6}
TOOL = {"rod": "gripper_tcp", "door": "tool0"}


def solve(name, engine, *, count=None, parameters=None, told=None):
    """Results of the scripted policy and what was executed; `told` is added to what the policy is told."""
    task, commands = get_task(name), []
    seeds = list(range(count or EPISODES[engine]))
    plant = task_plant(engine, task, len(seeds))
    policy = scripted_policy(name, task.contract)
    act, signal = policy.act, task.contract.inputs[0].name
    if told is not None:
        policy.act = lambda observation: act({**observation, signal: observation[signal] + np.array(told)})
    results, _ = run_episodes(
        task, policy, plant, seeds, parameters=parameters, on_tick=lambda tick: commands.append(tick.decision.command.values.copy())
    )
    plant.close()
    return results, commands


def replay(name, engine, commands, parameters=None):
    """Truths after each period of the same commands, written past the guard."""
    task, count = get_task(name), len(commands[0])
    start = episode_start(task, range(count))
    plant = task_plant(engine, task, count)
    extra = {key: np.full(count, value) for key, value in (parameters or {}).items()}
    plant.reset(state=start.state, parameters={**start.parameters, **extra})
    truths = []
    for values in commands:
        plant.write(Command("velocity", task.contract.action.elements, values))
        plant.advance()
        truths.append(plant.truth())
    plant.close()
    return truths


def apart(truths, name):
    """Distance of a pose between two engines, `[T, B]`, m."""
    here, there = (np.array([truth.poses[name][:, :3] for truth in run]) for run in truths)
    return np.sqrt(((here - there) ** 2).sum(axis=2))


def tilt(pose):
    x, y, z, w = pose[..., 3:].T
    return np.rad2deg(np.arcsin(2 * (y * z + w * x))).T


def angle(pose):
    return 2 * np.arctan2(pose[..., 5], pose[..., 6])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_scripted_policy_solves_the_task(name, engine):
    results, _ = solve(name, engine)
    assert np.mean([result.success for result in results]) >= 0.9
    assert not any(result.stopped_by_guard or result.rungs["hold"] for result in results)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("offset", [-0.05, 0.05])
def test_rod_hangs_if_the_balance_point_is_wrong(engine, offset):
    results, _ = solve("rod", engine, told=[offset])
    assert not any(result.success for result in results)


@pytest.mark.parametrize("mass", [0.1, 0.4])
def test_balance_does_not_depend_on_the_mass(mass):
    results, _ = solve("rod", "mujoco", parameters={"rod.mass": mass})
    assert np.mean([result.success for result in results]) >= 0.9


@pytest.mark.parametrize("told", [(0.02, 0.0, 0.0), (-0.02, 0.0, 0.0), (0.0, 0.02, 0.0), (0.0, -0.02, 0.0)])
def test_door_forgives_two_centimetres(told):
    assert all(result.success for result in solve("door", "mujoco", told=told)[0])


@pytest.mark.parametrize("told", [(0.0, 0.05, 0.0), (0.0, -0.05, 0.0)])
def test_door_stays_closed_if_the_handle_is_elsewhere(told):
    assert np.mean([result.success for result in solve("door", "mujoco", told=told)[0]]) <= 0.1


@pytest.mark.parametrize("friction", [(0.1, 0.0), (5.0, 3.0)])
def test_door_opens_however_heavily_it_turns(friction):
    results, _ = solve("door", "mujoco", parameters=dict(zip(["door.damping", "door.frictionloss"], friction, strict=True)))
    assert all(result.success for result in results)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_commands_keep_both_engines_in_the_stated_band(name):
    _, commands = solve(name, "mujoco", count=8)
    truths = [replay(name, engine, commands) for engine in ENGINES]
    assert apart(truths, TOOL[name]).max() < 0.02
    poses = [np.array([truth.poses[name] for truth in run]) for run in truths]
    if name == "rod":
        assert apart(truths, "rod").max() < 0.02
        assert np.abs(tilt(poses[0]) - tilt(poses[1])).max() < 15
        assert min(pose[-1, :, 2].min() for pose in poses) > 0.1  # lifted in both
    else:
        assert np.abs(angle(poses[0]) - angle(poses[1])).max() < 0.02
        assert min(angle(pose[-1]).min() for pose in poses) > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_every_identifiable_parameter_shows_in_what_moves(name):
    task = get_task(name)
    _, commands = solve(name, "mujoco", count=4)
    nominal = np.array([truth.poses[name] for truth in replay(name, "mujoco", commands)])
    for parameter in task.identifiable:
        assert task.parameters[parameter.name].nominal == pytest.approx(parameter.nominal, abs=1e-9)
        assert task.parameters[parameter.name].low <= parameter.low < parameter.high <= task.parameters[parameter.name].high
        moved = np.array([truth.poses[name] for truth in replay(name, "mujoco", commands, {parameter.name: parameter.high})])
        assert np.abs(moved - nominal).max() > 1e-4, parameter.name


@pytest.mark.parametrize("name", NAMES)
def test_starts_stay_in_the_contract_and_touch_nothing(name):
    task = get_task(name)
    start = episode_start(task, range(200))
    for column, (value, tolerance) in enumerate(task.contract.start.values()):
        assert (np.abs(start.state["position"][:, column] - value) < tolerance).all()
    for signal in task.contract.inputs:
        assert (start.inputs[signal.name] >= signal.low).all()
        assert (start.inputs[signal.name] <= signal.high).all()
    plant = task_plant("mujoco", task, 200)
    plant.reset(state=start.state, parameters=start.parameters)
    still = plant.truth().poses[name].copy()
    for _ in range(4):
        plant.advance()
    np.testing.assert_allclose(plant.truth().poses[name], still, atol=1e-3)
    plant.close()


def test_episode_ends_when_the_rod_falls():
    env = isthmus_sim.make_vec("rod", 2)
    env.reset(seed=0)
    env.plant.reset(np.array([1]), state={"rod": np.array([[5.0, 0, 0, 0, 0, 0, 1]])})
    ended = np.zeros(2, dtype=bool)
    for _ in range(10):
        _, _, terminated, _, info = env.step(np.zeros((2, 8)))
        ended |= terminated
        assert not info["success"].any()
    assert ended.tolist() == [False, True]
    env.close()


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_batch_equal_single_episodes_bit_for_bit(name):
    together, alone = solve(name, "mujoco", count=3)[1], solve(name, "mujoco", count=1)[1]
    np.testing.assert_array_equal(np.array(together)[:, 0], np.array(alone)[:, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_two_fingers_pinch_in_the_middle_with_the_force_of_their_springs(engine):
    robot = load_robot("ur5e_gripper")
    links = ("left_finger_link", "right_finger_link")
    cube = Body("cube", (Shape("box", (0.02,) * 3),), mass=0.2, joint="free", friction=0.5)
    plant = make_plant(engine, robot, mode="velocity", period=0.05, scene=Scene((cube,), tuple((link, "cube") for link in links)))
    command = Command("velocity", robot.joint_names, np.array([[0.0] * 6 + [-0.06] * 2]))
    grip = plant.truth().poses["gripper_tcp"][0]
    plant.reset(state={"cube": np.array([[grip[0] + 0.004, grip[1], grip[2], 0, 0, 0, 1]])}, parameters={"gravity": np.zeros(1)})
    for _ in range(40):
        plant.write(command)
        plant.advance()
    truth = plant.truth()
    np.testing.assert_allclose(truth.position[0, 6:], 0.02, atol=6e-4)  # 4 mm off before
    np.testing.assert_allclose(truth.effort[0, 6:], -50.0, atol=2.0)  # 2500 N/m over 20 mm
    assert truth.poses["cube"][0, 0] == pytest.approx(truth.poses["gripper_tcp"][0, 0], abs=1e-3)
    plant.close()
