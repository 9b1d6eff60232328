"""Open-loop exploration: motions keep the limits of their contract, begin and end at rest, and the search finds the best of them."""

import numpy as np
import pytest

from isthmus.kinds.excitation import ExcitationPolicy, excitation_artifact
from isthmus.robot import load_robot
from isthmus_policies.asid.motion import excitation_contract, motion_space
from isthmus_policies.asid.search import SearchConfig, search
from isthmus_sim.tasks import get_task


@pytest.mark.parametrize(("name", "tool"), [("slide", True), ("rod", True), ("reach-position", False)])
def test_a_motion_keeps_the_limits_however_large_its_numbers_are(name, tool):
    contract = get_task(name).contract
    space = motion_space(contract, load_robot(contract.robot), tool=tool, duration=2.0, harmonics=3)
    numbers = 50 * np.random.default_rng(0).standard_normal(space.size)
    artifact = excitation_artifact(excitation_contract(contract), space.motion(numbers))  # refuses what leaves the action's bounds
    policy = artifact.policy()
    time = np.arange(0.0, 2.0, 0.001)[:, None, None]
    commands = policy.act({"time": time}).actions[:, 0]
    rest = space.base if space.position else 0 * space.base
    assert commands[0] == pytest.approx(rest)
    assert policy.act({"time": np.full((1, 1, 1), 2.0)}).actions[0, 0] == pytest.approx(rest)
    inside = slice(250, -250)  # between the fades
    speeds = np.gradient(commands, 0.001, axis=0)[inside]
    if space.position:
        speeds = np.gradient(speeds, 0.001, axis=0)
    assert (np.abs(speeds) <= 1.001 * space.acceleration).all()


def test_numbers_are_sines_of_the_tools_velocity():
    contract = get_task("slide").contract
    robot = load_robot("ur5e")
    space = motion_space(contract, robot, tool=True, duration=2.0, harmonics=2)
    numbers = np.zeros(space.size)
    numbers[0] = 0.1  # m/s along x, once up and down
    policy = ExcitationPolicy(excitation_contract(contract), space.motion(numbers))
    command = policy.act({"time": np.full((1, 1, 1), 0.5)}).actions[0, 0]
    from isthmus.kinematics import Kinematics

    tool = Kinematics(robot.urdf_path).jacobian(robot.joint_names, space.base[None], robot.tool_frame)[0] @ command
    assert tool == pytest.approx([0.1, 0, 0, 0, 0, 0], abs=1e-6)


def test_efforts_are_refused():
    contract = get_task("reach-effort").contract
    with pytest.raises(ValueError, match="takes effort commands"):
        motion_space(contract, load_robot("ur5e"), tool=True, duration=2.0, harmonics=2)


def test_the_search_finds_a_maximum_and_tells_of_its_rounds():
    goal, told = np.array([0.5, -1.0, 2.0]), []
    found = search(
        lambda points, _: -((points - goal) ** 2).sum(1),
        np.ones(3),
        SearchConfig(40, 1, 15, 3),
        progress=lambda *news: told.append(news[:2]),
    )
    assert found[0].numbers == pytest.approx(goal, abs=0.2)
    assert len(found) == 3
    assert told[-1] == (15, 15)
    with pytest.raises(ValueError, match="population must be >= 4"):
        SearchConfig(population=2)
