"""The tasks of mobile robots, and how far their open-loop replays in two engines are apart."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.control import ControlStep
from isthmus.records import Command, Measurement
from isthmus.robot import load_robot
from isthmus_controllers import stl
from isthmus_controllers.scripted import scripted_policy
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import make_plant, task_plant
from isthmus_sim.task import Scorer, Transition
from isthmus_sim.tasks import get_task
from isthmus_sim.tasks.navigate import APART, CLEAR, CRATE, HULL, OBSTACLES, PILLAR, gap, goal_distance

ENGINES = ("mujoco", "pybullet")
NAVIGATE, WALK, ROUGH = get_task("navigate"), get_task("walk"), get_task("walk-rough")
DIFFBOT = load_robot("diffbot")


def transition(task, pose, inputs, twist=(0.0,) * 6):
    poses, twists = np.array([pose], float), np.array([twist], float)
    joints = np.zeros((1, len(task.contract.limits.joints)))
    truth = Measurement(np.zeros(1), task.contract.limits.joints, joints, joints, joints, {"base_link": poses}, {"base_link": twists})
    return Transition(truth, truth, np.zeros((1, len(task.contract.action.elements))), {name: np.array([v]) for name, v in inputs.items()})


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 10_000), x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_the_words_of_the_specification_mean_what_reward_and_success_do(seed, x, y):
    start = episode_start(NAVIGATE, [seed])
    step = transition(NAVIGATE, (x, y, 0, 0, 0, 0, 1), {name: values[0] for name, values in start.inputs.items()})
    bound = stl.BoundSpecification(NAVIGATE.specification, NAVIGATE.contract)
    signals = stl.MeasuredSignals(bound, NAVIGATE.contract, DIFFBOT, 1).read(step.after, step.inputs)
    np.testing.assert_allclose(signals["gap"], gap(step), atol=1e-6)
    np.testing.assert_allclose(signals["goal_distance"], goal_distance(step), atol=1e-6)


def commands_of(task, rows, seconds):
    """Executed commands of the scripted policy in MuJoCo, and where the episodes begin."""
    policy, start = scripted_policy(task.name, task.contract), episode_start(task, range(rows))
    step = ControlStep(task_plant("mujoco", task, rows), task.contract)
    step.reset(seeds=range(rows), state=start.state, parameters=start.parameters)
    commands = []
    for _ in range(round(seconds / task.contract.control_period)):
        commands.append(step.act(policy.act(step.observe(start.inputs)).actions[:, 0]).command)
        step.sense()
    step.plant.close()
    return start, commands


def replayed(task, engine, start, commands):
    rows = len(commands[0].values)
    plant = task_plant(engine, task, rows)
    plant.reset(seeds=range(rows), state=start.state, parameters=start.parameters)
    for command in commands:
        plant.write(command)
        plant.advance()
    pose = plant.truth().poses["base_link"]
    plant.close()
    return pose


@pytest.mark.parametrize(
    ("task", "metres", "radians"), [(NAVIGATE, 0.02, 0.03), (WALK, 0.25, 0.4), (ROUGH, 0.35, 0.5)], ids=lambda v: getattr(v, "name", None)
)
def test_open_loop_replays_of_two_seconds_stay_within_the_stated_band(task, metres, radians):
    start, commands = commands_of(task, 6, 2.0)
    first, second = (replayed(task, engine, start, commands) for engine in ENGINES)
    travelled = np.linalg.norm(first[:, :3] - start.state["base"][:, :3], axis=1)
    assert travelled.max() > 0.3
    assert np.linalg.norm(first[:, :3] - second[:, :3], axis=1).max() < metres
    assert 2 * np.arccos(np.abs((first[:, 3:] * second[:, 3:]).sum(axis=1)).clip(0, 1)).max() < radians


@pytest.mark.parametrize(
    ("task", "engine", "episodes"),
    [(NAVIGATE, "mujoco", 4), (NAVIGATE, "pybullet", 2), (WALK, "mujoco", 6), (WALK, "pybullet", 2), (ROUGH, "mujoco", 4)],
)
def test_the_scripted_policy_solves_the_task(task, engine, episodes):
    results, _ = run_episodes(task, scripted_policy(task.name, task.contract), task_plant(engine, task, episodes), range(episodes))
    assert [result.success for result in results] == [True] * episodes
    assert {result.stopped_by_guard for result in results} == {""}


class Straight:
    """Turns to the goal, then drives straight at it, obstacle or not."""

    def __init__(self, contract):
        self.contract = contract
        self.scripted = scripted_policy("navigate", contract)

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        away = np.full_like(observation["obstacles"], 50.0)
        return self.scripted.act({**observation, "obstacles": away})


@pytest.mark.parametrize("engine", ENGINES)
def test_who_does_not_see_the_obstacles_touches_one_and_fails(engine):
    plant = task_plant(engine, NAVIGATE, 3)
    results, _ = run_episodes(NAVIGATE, Straight(NAVIGATE.contract), plant, range(3))
    assert [result.success for result in results] == [False] * 3
    assert max(result.steps for result in results) < NAVIGATE.episode_steps
    assert {result.terms["touch"] for result in results} == {-20.0}


@pytest.mark.parametrize("engine", ENGINES)
def test_obstacles_are_solid_and_stand_where_the_episode_puts_them(engine):
    plant = make_plant(engine, task_plant("mujoco", NAVIGATE).robot, mode="twist", period=0.1, scene=NAVIGATE.scene)
    plant.reset(parameters={"pillar_1.x": np.array([1.0]), "pillar_1.y": np.array([0.0])})
    for step in range(60):
        plant.write(Command("twist", ("vx", "wz"), np.array([[min(0.09 * step, 0.4), 0.0]])))
        plant.advance()
    assert plant.truth().poses["base_link"][0, 0] == pytest.approx(1.0 - PILLAR - HULL, abs=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_episode_can_be_solved_but_not_by_driving_straight(seed):
    start = episode_start(NAVIGATE, [seed])
    goal, obstacles = start.inputs["goal"][0], start.inputs["obstacles"].reshape(-1, 2)
    apart = np.linalg.norm(obstacles[:, None] - obstacles[None], axis=2)[np.triu_indices(len(OBSTACLES), 1)]
    assert apart.min() > APART > 2 * (CRATE * np.sqrt(2) + HULL)
    assert np.linalg.norm(obstacles, axis=1).min() > CLEAR
    assert np.linalg.norm(obstacles - goal, axis=1).min() > CLEAR
    way = np.linspace(0, 1, 200)[:, None] * goal
    straight = [gap(transition(NAVIGATE, (x, y, 0, 0, 0, 0, 1), {"goal": goal, "obstacles": obstacles.ravel()}))[0] for x, y in way]
    assert min(straight) < 0
    assert {f"{name}.{axis}" for name in OBSTACLES for axis in "xy"} == set(start.parameters)


def test_the_gap_is_measured_to_the_surface_of_round_and_square_obstacles():
    far = dict.fromkeys(OBSTACLES, (50.0, 50.0))

    def at(name, place):
        obstacles = np.array([{**far, name: place}[other] for other in OBSTACLES]).ravel()
        return gap(transition(NAVIGATE, (0, 0, 0, 0, 0, 0, 1), {"goal": np.zeros(2), "obstacles": obstacles}))[0]

    assert at("pillar_2", (0.6, 0.8)) == pytest.approx(1.0 - PILLAR - HULL)
    assert at("crate_1", (0.0, -1.0)) == pytest.approx(1.0 - CRATE - HULL)
    assert at("crate_2", (1.0, 1.0)) == pytest.approx(np.sqrt(2) * (1.0 - CRATE) - HULL)
    assert at("crate_2", (0.1, 0.0)) == pytest.approx(0.1 - CRATE - HULL)


def test_the_specification_fits_into_an_episode():
    assert stl.BoundSpecification(NAVIGATE.specification, NAVIGATE.contract).formula.horizon < NAVIGATE.episode_steps


@pytest.mark.parametrize(
    ("pose", "falls"),
    [
        ((0, 0, 0.28, 0, 0, 0, 1), False),
        ((0, 0, 0.28, np.sin(0.45), 0, 0, np.cos(0.45)), False),
        ((0, 0, 0.28, np.sin(0.55), 0, 0, np.cos(0.55)), True),
        ((0, 0, 0.28, 0, np.sin(0.55), 0, np.cos(0.55)), True),
        ((0, 0, 0.14, 0, 0, 0, 1), True),
    ],
)
def test_a_trunk_that_tilts_or_drops_has_fallen(pose, falls):
    assert WALK.fallen(transition(WALK, pose, {"command": np.zeros(3)}))[0] == falls


def test_success_is_judged_by_the_mean_velocity():
    scorer = Scorer(WALK, 1)
    command = {"command": np.array([0.5, 0.0, 0.0])}
    for step in range(300):
        sway = 0.4 * (-1) ** step  # twice the tolerance, but nothing on average
        outcome = scorer.score(transition(WALK, (0, 0, 0.28, 0, 0, 0, 1), command, (0.45, sway, 0, 0, 0, sway)))
        assert outcome.success[0] == (step >= WALK.success_steps - 1)
    for _ in range(WALK.success_steps):
        outcome = scorer.score(transition(WALK, (0, 0, 0.28, 0, 0, 0, 1), command, (0.2, 0, 0, 0, 0, 0)))
    assert not outcome.success[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ground_is_where_the_task_thinks_it_is(engine):
    """A robot that only stands ends at its standing height above the bumps under it, anywhere on the field."""
    rows = 6
    start = episode_start(ROUGH, range(rows))
    plant = task_plant(engine, ROUGH, rows)
    plant.reset(state=start.state)
    for _ in range(75):
        plant.write(Command("position", plant.robot.joint_names, np.tile(plant.robot.home, (rows, 1))))
        plant.advance()
    truth = plant.truth()
    heights = dataclasses.replace(ROUGH).scene.body("ground").shapes[0].heights
    assert not ROUGH.fallen(Transition(truth, truth, truth.position, start.inputs)).any()
    resting = truth.poses["base_link"][:, 2]
    assert (resting > 0.26).all()
    assert (resting < 0.30 + np.max(heights)).all()


def test_walking_as_told_earns_more_than_standing():
    policy = scripted_policy("walk", WALK.contract)
    home = np.array([joint.home for joint in load_robot(WALK.contract.robot).joints])

    class Stand:
        contract = WALK.contract

        def reset(self, rows=None, seed=None):
            pass

        def act(self, observation):
            plan = policy.act(observation)
            return dataclasses.replace(plan, actions=np.broadcast_to(home, plan.actions.shape))

    walking, _ = run_episodes(WALK, policy, task_plant("mujoco", WALK, 4), range(4))
    standing, _ = run_episodes(dataclasses.replace(WALK, episode_steps=100), Stand(), task_plant("mujoco", WALK, 4), range(4))
    for one, other in zip(walking, standing, strict=True):
        assert one.total_reward / one.steps > other.total_reward / other.steps
        assert not other.success
