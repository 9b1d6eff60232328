import functools

import numpy as np
import pytest

import isthmus_sim
from isthmus import Command
from isthmus.kinematics import Kinematics
from isthmus.records import Measurement
from isthmus.robot import load_robot
from isthmus_controllers.scripted import scripted_policy
from isthmus_controllers.scripted.slide import SlidePolicy
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Transition
from isthmus_sim.tasks import get_task
from isthmus_sim.tasks.dodge import gap
from isthmus_sim.tasks.tabletop import tool_point, upright_pose

SEEDS = list(range(20))
NAMES = ["push", "slide", "reach", "reach-position"]
SECOND = 20  # control periods


def solve(name, engine="mujoco", policy=None, parameters=None, seeds=SEEDS):
    task, commands = get_task(name), []
    plant = task_plant(engine, task, len(seeds))
    policy = policy or scripted_policy(name, task.contract)
    results, _ = run_episodes(
        task, policy, plant, seeds, parameters=parameters, on_tick=lambda tick: commands.append(tick.decision.command.values.copy())
    )
    plant.close()
    return results, commands


@functools.cache
def solved(name):
    """The scripted policy on the task as it is."""
    return solve(name)


def replay(name, engine, commands):
    """Truths after each period of the same commands, written past the guard."""
    rows = len(commands[0])
    task, start = get_task(name), episode_start(get_task(name), SEEDS[:rows])
    plant = task_plant(engine, task, rows)
    plant.reset(state=start.state, parameters=start.parameters)
    truths = []
    for values in commands:
        plant.write(Command(task.contract.mode, task.contract.action.elements, values))
        plant.advance()
        truths.append(plant.truth())
    plant.close()
    return truths


def apart(truths, name, columns):
    """Distance of a pose between two engines, `[T, B]`, m."""
    here, there = (np.array([truth.poses[name][:, :columns] for truth in run]) for run in truths)
    return np.sqrt(((here - there) ** 2).sum(axis=2))


@pytest.mark.parametrize("name", [*NAMES, "reach-effort", "reach-wide"])
def test_scripted_policy_solves_the_task(name):
    results, _ = solved(name)
    assert np.mean([result.success for result in results]) >= 0.9
    assert not any(result.stopped_by_guard for result in results)


@pytest.mark.parametrize("name", ["push", "slide"])
def test_scripted_policy_solves_the_task_in_the_other_engine(name):
    results, _ = solve(name, "pybullet", seeds=SEEDS[:10])
    assert sum(result.success for result in results) >= 9


@pytest.mark.parametrize("name", NAMES)
def test_the_same_commands_keep_both_engines_in_the_stated_band(name):
    commands = [values[:10] for values in solved(name)[1]]
    truths = [replay(name, engine, commands) for engine in ("mujoco", "pybullet")]
    assert apart(truths, "tool0", 3).max() < 0.02
    if name == "push":
        puck = apart(truths, "puck", 2)
        assert puck[: 2 * SECOND].max() < 0.03
        assert np.median(puck[-1]) < 0.04
        assert puck[-1].max() < 0.15
    if name == "slide":
        assert apart(truths, "puck", 2).max() < 0.04


def test_slide_needs_the_friction_and_nothing_else():
    """What identification is for: the strike for the nominal friction misses on another lane, the strike for the true one hits."""
    contract, truth, seeds = get_task("slide").contract, {"puck.friction": 0.15}, SEEDS[:10]
    assert not any(result.success for result in solve("slide", parameters=truth, seeds=seeds)[0])
    told, _ = solve("slide", policy=SlidePolicy(contract, friction=0.15), parameters=truth, seeds=seeds)
    assert np.mean([result.success for result in told]) >= 0.9
    heavy, _ = solve("slide", parameters={"puck.mass": 1.0}, seeds=seeds)
    assert np.mean([result.success for result in heavy]) >= 0.9
    with pytest.raises(ValueError, match=r"friction must be > 0, got 0.0"):
        SlidePolicy(contract, friction=0.0)


@pytest.mark.parametrize("corner", [(0.1, 0.1, 0.0, 0.0), (1.0, 0.8, 0.01, 0.01)])
def test_feedback_makes_push_robust_to_what_it_does_not_know(corner):
    names = [parameter.name for parameter in get_task("push").identifiable]
    results, _ = solve("push", parameters=dict(zip(names, corner, strict=True)))
    assert np.mean([result.success for result in results]) >= 0.9


@pytest.mark.parametrize("name", ["push", "slide"])
def test_identifiable_parameters_are_told_by_what_they_do(name):
    """Each one, moved to the end of its range, moves the puck under the same commands."""
    task = get_task(name)
    start = episode_start(task, SEEDS[:4])
    commands = [values[:4] for values in solved(name)[1]]
    plant = task_plant("mujoco", task, 4)

    def turns(parameters):
        plant.reset(state=start.state, parameters={key: np.full(4, value) for key, value in parameters.items()})
        for values in commands:
            plant.write(Command("velocity", task.contract.action.elements, values))
            plant.advance()
        return plant.truth().poses["puck"]

    nominal = turns({})
    for parameter in task.identifiable:
        assert parameter.low < task.parameters[parameter.name].nominal + 1e-9 < parameter.high
        assert task.parameters[parameter.name].nominal == pytest.approx(parameter.nominal, abs=1e-9)
        assert np.abs(turns({parameter.name: parameter.high}) - nominal).max() > 1e-4, parameter.name
    plant.close()


@pytest.mark.parametrize("name", ["push", "slide"])
def test_episode_ends_when_the_puck_falls(name):
    env = isthmus_sim.make_vec(name, 2)
    env.reset(seed=0)
    pose = upright_pose(np.array([5.0]), np.array([0.0]), np.array([0.0]))
    env.plant.reset(np.array([1]), state={"puck": pose})
    ended = np.zeros(2, dtype=bool)
    for _ in range(10):
        _, _, terminated, _, info = env.step(np.zeros((2, 6)))
        ended |= terminated
        assert not info["success"].any()
    assert ended.tolist() == [False, True]
    env.close()


@pytest.mark.parametrize("name", ["push", "slide"])
def test_starts_leave_room_between_tool_and_puck_and_stay_in_the_contract(name):
    task = get_task(name)
    start = episode_start(task, range(200))
    for column, (value, tolerance) in enumerate(task.contract.start.values()):
        assert (np.abs(start.state["position"][:, column] - value) < tolerance).all()
    signal = task.contract.signal("goal")
    assert (start.inputs["goal"] >= signal.low).all()
    assert (start.inputs["goal"] <= signal.high).all()
    plant = task_plant("mujoco", task, 200)
    plant.reset(state=start.state)
    still = plant.truth().poses["puck"].copy()
    for _ in range(4):
        plant.advance()
    np.testing.assert_allclose(plant.truth().poses["puck"][:, :2], still[:, :2], atol=2e-3)  # neither touched nor falling
    plant.close()


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_a_batch_equal_single_episodes_bit_for_bit(name):
    together, alone = solve(name, seeds=[3, 4, 5])[1], solve(name, seeds=[4])[1]
    np.testing.assert_array_equal(np.array(together)[:, 1], np.array(alone)[:, 0])


def test_a_puck_that_slides_past_the_line_is_no_success():
    task = get_task("slide")

    def reached(miss, speed):
        poses = {"puck": np.array([[0.9 + miss, -0.6, 0.02, 0, 0, 0, 1]])}
        here = Measurement(
            np.zeros(1), (), np.zeros((1, 6)), np.zeros((1, 6)), poses=poses, twists={"puck": np.array([[speed, 0, 0, 0, 0, 0]])}
        )
        return task.reached(Transition(here, here, np.zeros((1, 6)), {"goal": np.array([[0.9, -0.6]])}))[0]

    assert reached(0.029, 0.0)
    assert not reached(0.029, 0.1)
    assert not reached(-0.031, 0.0)


def test_tool_point_follows_the_axis_of_its_frame():
    down = np.array([[0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5)]])
    np.testing.assert_allclose(tool_point(down, 0.2), [[0.1, 0.2, 0.1], [0.3, 0.2, 0.3]], atol=1e-12)


def test_efforts_are_refused_in_an_engine_without_rotors():
    task = get_task("reach-effort")
    with pytest.raises(ValueError, match="task 'reach-effort' runs on mujoco, not on 'pybullet'"):
        task_plant("pybullet", task)
    assert task.contract.control_period * task.episode_steps == pytest.approx(5.0)


def test_a_ball_crosses_the_way_and_leaves_start_and_goal_alone():
    task = get_task("dodge")
    start = episode_start(task, range(200))
    balls, goals = start.inputs["ball"], start.inputs["goal"]
    robot = load_robot("ur5e")
    tools = Kinematics(robot.urdf_path).positions(robot.joint_names, start.state["position"], ["tool0"])["tool0"]
    times = np.arange(0, 4.05, 0.05)
    for tool, goal, ball in zip(tools, goals, balls, strict=True):
        assert gap(tool[None], ball[None], np.zeros(1))[0] > 0.05
        assert gap(np.repeat(goal[None], len(times), 0), np.repeat(ball[None], len(times), 0), times).min() > 0.05
    straight = np.minimum(times / 1.0, 1.0)[:, None]
    met = [
        gap(tool + straight * (goal - tool), np.repeat(ball[None], len(times), 0), times).min() < 0
        for tool, goal, ball in zip(tools, goals, balls, strict=True)
    ]
    assert 0.2 < np.mean(met) < 0.9


def test_too_close_to_the_ball_ends_the_episode():
    task = get_task("dodge")
    env = isthmus_sim.make_vec("dodge", 30, "mujoco")
    policy = scripted_policy("reach", get_task("reach").contract)
    observation, _ = env.reset(seed=0)
    touched = 0
    for _ in range(task.episode_steps - 1):
        before = observation
        observation, _, terminated, _, info = env.step(policy.act(before).actions[:, 0])
        if terminated.any():
            final = info["final_obs"]
            close = gap(final["tool0"][:, -1], final["ball"][:, -1], final["time"][:, -1, 0])
            assert (close[terminated] < 1e-4).all()
            touched += int(terminated.sum())
    env.close()
    assert 0 < touched < 30
