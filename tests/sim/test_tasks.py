import dataclasses
import re

import numpy as np
import pytest

import isthmus_sim
from isthmus import Measurement, load_robot
from isthmus.testing import plant_conformance
from isthmus_sim.episodes import episode_start, run_episodes
from isthmus_sim.plants import make_plant
from isthmus_sim.task import Scorer, Transition
from isthmus_sim.tasks import get_task, task_names
from isthmus_sim.tasks.reach import reach_with


class Still:
    """A policy that does nothing."""

    def __init__(self, contract):
        self.contract = contract

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        from isthmus import ActionChunk

        batch = next(iter(observation.values())).shape[0]
        return ActionChunk(np.zeros((batch, 1, len(self.contract.action.elements))))


def test_tasks_are_listed_and_an_unknown_one_names_the_nearest():
    assert {"pendulum", "reach", "reach-wide"} <= set(task_names())
    with pytest.raises(ValueError, match=r"unknown task 'reech'; did you mean 'reach'\? Known: .*pendulum, .*reach, "):
        get_task("reech")


@pytest.mark.parametrize("name", task_names())
def test_contract_fits_the_robot_and_survives_json(name):
    contract = get_task(name).contract
    assert contract.fits(load_robot(contract.robot)) == []
    assert type(contract).from_json(contract.to_json()).digest() == contract.digest()


@pytest.mark.parametrize("name", task_names())
def test_equal_seeds_begin_equal_episodes_in_any_batch(name):
    task = get_task(name)
    together, alone = episode_start(task, [3, 4, 5]), episode_start(task, [4])
    for group in ("state", "inputs", "parameters"):
        for key, values in getattr(together, group).items():
            np.testing.assert_array_equal(values[1], getattr(alone, group)[key][0])


def test_reach_begins_within_the_start_pose_of_its_contract():
    task = get_task("reach")
    start = episode_start(task, range(200)).state["position"]
    for column, (home, tolerance) in enumerate(task.contract.start.values()):
        assert (np.abs(start[:, column] - home) <= tolerance).all()


@pytest.mark.parametrize("name", ["reach", "reach-wide"])
def test_goals_are_inside_the_declared_bounds(name):
    task = get_task(name)
    goals = episode_start(task, range(500)).inputs["goal"]
    signal = task.contract.signal("goal")
    assert (goals >= signal.low).all()
    assert (goals <= signal.high).all()


def test_every_wide_goal_is_reachable():
    """Inverse kinematics by damped least squares from the home pose and from random ones."""
    from isthmus.kinematics import Kinematics

    task, robot = get_task("reach-wide"), load_robot("ur5e")
    kinematics = Kinematics(robot.urdf_path)
    goals = episode_start(task, range(60)).inputs["goal"]
    generator = np.random.default_rng(0)

    def tool(position):
        return kinematics.poses(robot.joint_names, position, ["tool0"])["tool0"].position

    best = np.full(len(goals), np.inf)
    for attempt in range(6):
        q = robot.home + (generator.uniform(-1.5, 1.5, (len(goals), 6)) if attempt else np.zeros((len(goals), 6)))
        for _ in range(100):
            error = goals - tool(q)
            jacobian = np.stack([(tool(q + 1e-6 * np.eye(6)[joint]) - tool(q)) / 1e-6 for joint in range(6)], axis=2)
            step = jacobian.transpose(0, 2, 1) @ np.linalg.solve(
                jacobian @ jacobian.transpose(0, 2, 1) + 1e-3 * np.eye(3), error[:, :, None]
            )
            q = q + np.clip(step[:, :, 0], -0.3, 0.3)
        best = np.minimum(best, np.linalg.norm(goals - tool(q), axis=1))
    assert best.max() < 0.01


def test_pendulum_pays_what_gymnasium_pays():
    gymnasium = pytest.importorskip("gymnasium")
    reference = gymnasium.make("Pendulum-v1").unwrapped
    reference.reset()
    task = get_task("pendulum")
    scorer = Scorer(task, 1)
    generator = np.random.default_rng(0)
    for _ in range(100):
        angle, speed, effort = generator.uniform([-7, -8, -3], [7, 8, 3])
        reference.state = np.array([angle, speed])
        _, expected, *_ = reference.step(np.array([effort]))
        before = Measurement(np.zeros(1), ("hinge",), np.array([[angle]]), np.array([[speed]]))
        outcome = scorer.score(Transition(before, before, np.array([[effort]]), {}))
        assert outcome.reward[0] == pytest.approx(expected, abs=1e-9)


def test_success_needs_the_condition_to_last():
    task = get_task("reach")
    scorer = Scorer(task, 1)

    def at(distance):
        pose = {"tool0": np.array([[distance, 0, 0, 0, 0, 0, 1.0]])}
        here = Measurement(np.zeros(1), (), np.zeros((1, 6)), np.zeros((1, 6)), poses=pose)
        return scorer.score(Transition(here, here, np.zeros((1, 6)), {"goal": np.zeros((1, 3))})).success[0]

    assert [at(0.02) for _ in range(10)] == [False] * 9 + [True]
    assert not at(0.04)
    assert [at(0.02) for _ in range(10)] == [False] * 9 + [True]


def test_reward_is_better_nearer_the_goal():
    task = get_task("reach")
    rewards = []
    for distance in (0.5, 0.1, 0.01):
        pose = {"tool0": np.array([[distance, 0, 0, 0, 0, 0, 1.0]])}
        here = Measurement(np.zeros(1), (), np.zeros((1, 6)), np.zeros((1, 6)), poses=pose)
        rewards.append(Scorer(task, 1).score(Transition(here, here, np.zeros((1, 6)), {"goal": np.zeros((1, 3))})).reward[0])
    assert rewards == sorted(rewards)


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_episodes_of_a_still_policy_run_to_their_end(engine):
    task = get_task("reach")
    plant = make_plant(engine, load_robot("ur5e"), mode="velocity", period=0.05, batch=2)
    results, cadence = run_episodes(task, Still(task.contract), plant, [0, 1])
    assert [result.steps for result in results] == [100, 100]
    assert all(result.stopped_by_guard == "" and result.rungs["pass"] == 100 for result in results)
    assert cadence.summary()["steps"] == 100
    plant.close()


def test_vector_environment_rows_equal_single_environments():
    vector = isthmus_sim.make_vec("reach", 3)
    observations, _ = vector.reset(seed=7)
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (120, 3, 6)).astype(np.float32)
    singles = [isthmus_sim.make("reach") for _ in range(3)]
    for row, single in enumerate(singles):
        first, _ = single.reset(seed=7 + row)
        for name, value in first.items():
            np.testing.assert_array_equal(value, observations[name][row])
    for action in actions:
        observations, rewards, _, truncated, info = vector.step(action)
        for row, single in enumerate(singles):
            observation, reward, _, ended, _ = single.step(action[row])
            source = info["final_obs"] if truncated[row] else observations
            for name, value in observation.items():
                np.testing.assert_array_equal(value, source[name][row])
            assert reward == rewards[row]
            assert ended == truncated[row]
            if ended:
                single.reset()


def test_single_environment_passes_gymnasium_s_checker():
    from gymnasium.utils.env_checker import check_env

    env = isthmus_sim.make("reach")
    check_env(env, skip_render_check=True)
    env.close()


def test_sb3_adapter_marks_time_limits_and_keeps_the_last_observation():
    from isthmus_sim.sb3 import Sb3VecEnv

    env = Sb3VecEnv(isthmus_sim.make_vec("pendulum", 2), seed=0)
    env.reset()
    for step in range(200):
        observation, reward, done, infos = env.step(np.zeros((2, 1)))
        assert done.all() == (step == 199)
    assert reward.shape == (2,)
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"]
        assert not np.array_equal(info["terminal_observation"]["joint_position"], observation["joint_position"][row])
    env.close()


@pytest.mark.parametrize("engine", ["mujoco", "pybullet"])
def test_a_task_and_a_robot_of_another_package_are_like_any_other(my_lab, engine):
    assert "desk-reach" in task_names()
    task = get_task("desk-reach")
    assert (task.contract.robot, task.contract.action.elements[0]) == ("desk_arm", "yaw_joint")
    plant_conformance(lambda batch: make_plant(engine, load_robot("desk_arm"), mode="velocity", period=0.05, batch=batch), mode="velocity")
    assert not task.contract.fits(load_robot("desk_arm"))


@pytest.mark.parametrize(
    ("value", "found"),
    [("lab_stuff:CONSTANT", "a int"), ("lab_stuff:nothing", "a NoneType"), ("lab_stuff:reach", "the task 'reach'")],
)
def test_what_a_package_offers_as_a_task_must_be_one_of_that_name(offer, value, found):
    source = "from isthmus_sim.tasks.reach import reach\ndef nothing(): pass\n"
    offer({"isthmus.tasks": {"mine": value, "reach": value}}, source=source)
    assert "mine" in task_names()
    with pytest.raises(ValueError, match=f"^isthmus.tasks: 'mine' is {value}, which must be a function .* Task of that name, got {found}$"):
        get_task("mine")
    with pytest.raises(ValueError, match=f"'reach' is offered by isthmus and {value}; one of them needs another name"):
        get_task("reach")


def test_reach_with_an_arm_of_its_own_modes_and_limits():
    arm = load_robot("ros2_control_arm")
    slow = dataclasses.replace(arm, joints=tuple(dataclasses.replace(joint, velocity=0.5) for joint in arm.joints))
    task = reach_with(slow, "mine", half_box=(0.1, 0.1, 0.1))
    assert task.contract.action.high == task.contract.limits.velocity == (0.5,) * 6
    goal = task.contract.signal("goal")
    np.testing.assert_allclose(np.array(goal.high) - goal.low, 0.2, atol=1e-9)
    tight = dataclasses.replace(
        arm, joints=tuple(dataclasses.replace(joint, position=(joint.home - 0.1, joint.home + 0.1)) for joint in arm.joints)
    )
    begin = reach_with(tight, "mine", mode="position")
    assert np.abs(np.array(begin.contract.action.high) - tight.home).max() <= 0.1 + 1e-12
    start = begin.start([np.random.default_rng(seed) for seed in range(20)]).state["position"]
    assert np.abs(start - tight.home).max() == pytest.approx(0.1)
    quick = dataclasses.replace(arm, control_period=(0.002, 0.02))
    assert reach_with(quick, "mine").contract.fits(quick) == []


@pytest.mark.parametrize(
    ("robot", "options", "sentence"),
    [
        ("ros2_control_arm", {"mode": "effort"}, "mode of robot 'ros2_control_arm' must be one of velocity, position, got 'effort'"),
        ("ur5e", {"half_box": (0.1, 0.1)}, "half_box must be three lengths > 0 m, got (0.1, 0.1)"),
        ("ur5e", {"half_box": (0.1, 0.1, 0)}, "half_box must be three lengths > 0 m, got (0.1, 0.1, 0)"),
        ("ur5e", {"half_box": (1, 0.1, 0.1)}, "m is beyond reachable = 1.1 m"),
        ("ur5e", {"half_box": (1, 0.1, 0.1), "reachable": 3}, "m from the first joint, but robot 'ur5e' reaches 1."),
        ("ur5e", {"reachable": 0.1}, "m is beyond reachable = 0.1 m"),
        ("quadruped", {"mode": "position"}, "robot 'quadruped' is no arm on a fixed base"),
        ("diffbot", {"mode": "twist"}, "robot 'diffbot' is no arm on a fixed base"),
    ],
)
def test_reach_is_refused_where_it_cannot_be_done(robot, options, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        reach_with(load_robot(robot), "mine", **options)


@pytest.mark.parametrize("robot", ["fr3", "ur5e_gripper", "ros2_control_arm"])
def test_every_arm_has_a_reach_of_its_own(robot):
    task = get_task(f"reach-{robot}")
    assert (task.name, task.contract.robot) == (f"reach-{robot}", robot)
    assert task.contract.fits(load_robot(robot)) == []
    joints = load_robot(robot).joints
    for joint, begin in zip(joints, task.start([np.random.default_rng(0)]).state["position"][0], strict=True):
        assert joint.position[0] <= begin <= joint.position[1]
        if joint.type == "prismatic":
            assert task.contract.start[joint.name][1] < joint.position[1] - joint.position[0]
    goals = task.contract.signal("goal")
    assert (np.array(goals.high) - goals.low).min() >= 0.1


def test_goals_of_an_arm_without_a_box_are_held_by_its_motors():
    """The pendulum's motor lifts its rod by 24°."""
    task, rod = get_task("reach-pendulum"), load_robot("pendulum")
    goals = task.start([np.random.default_rng(seed) for seed in range(50)]).inputs["goal"]
    np.testing.assert_allclose(np.linalg.norm(goals, axis=1), 1.0, atol=1e-6)
    assert np.abs(np.arctan2(goals[:, 0], -goals[:, 2])).max() <= np.arcsin(rod.joints[0].effort / (9.81 * 0.5)) + 1e-6
    env = isthmus_sim.make_vec("reach-pendulum", 2)
    env.reset(seed=0)
    assert np.isfinite(env.step(np.zeros((2, 1)))[1]).all()


def test_goals_without_a_box_are_in_the_contract():
    task = reach_with(load_robot("ur5e"), "mine", None)
    goals, told = task.start([np.random.default_rng(seed) for seed in range(50)]).inputs["goal"], task.contract.signal("goal")
    assert (goals >= told.low).all()
    assert (goals <= told.high).all()
    assert np.ptp(goals, axis=0).min() > 0.3


def test_reach_of_what_is_no_arm_is_refused():
    with pytest.raises(ValueError, match="robot 'quadruped' is no arm on a fixed base"):
        get_task("reach-quadruped")
    with pytest.raises(ValueError, match="unknown task 'reach-r2d2'"):
        get_task("reach-r2d2")


def test_a_stretched_arm_has_no_box_around_its_tool():
    arm = load_robot("ur5e")
    upright = dataclasses.replace(
        arm, joints=tuple(dataclasses.replace(joint, home=-np.pi / 2 * (number in (1, 3))) for number, joint in enumerate(arm.joints))
    )
    with pytest.raises(ValueError, match="or the robot a home pose with a bent arm"):
        reach_with(upright, "mine", reachable=2.0)
