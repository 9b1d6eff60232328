import numpy as np
import pytest

from isthmus.records import ActionChunk
from isthmus_cli.loop_gain import loop_gain
from isthmus_sim.tasks import get_task

TASK = get_task("reach")


class Linear:
    """Joint velocities that are factors of what was commanded and of what was measured."""

    contract = TASK.contract

    def __init__(self, commanded, measured):
        self.commanded, self.measured = np.asarray(commanded), np.asarray(measured)

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        action = self.commanded * observation["previous_action"][:, -1] + self.measured * observation["joint_velocity"][:, -1]
        return ActionChunk(action[:, None])


def test_a_command_that_copies_the_last_one_has_the_gain_of_the_copy():
    found = loop_gain(Linear(-0.5, 0.0), TASK, "mujoco")
    assert found.median == pytest.approx(0.5, abs=1e-3)
    assert (found.above_one, found.states) == (0.0, 280)
    assert loop_gain(Linear(-1.2, 0.0), TASK, "mujoco").above_one == 1.0


@pytest.mark.parametrize(
    ("plant", "followed"), [("mujoco", (0.32, 0.20, 0.32, 0.82, 0.83, 0.85)), ("pybullet", (0.43, 0.43, 0.43, 1, 1, 1))]
)
def test_what_is_measured_counts_as_far_as_each_joint_follows(plant, followed):
    for joint in (1, 5):
        measured = np.zeros(6)
        measured[joint] = -1.0
        assert loop_gain(Linear(0.0, measured), TASK, plant).median == pytest.approx(followed[joint], abs=0.06)


def test_the_doctor_tells_it_for_each_engine(isthmus, policies):
    _, out, _ = isthmus("doctor", policies / "pendulum.isthmus")
    assert "loop gain in mujoco" in out
    assert "loop gain in pybullet" in out
