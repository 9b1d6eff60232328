"""What finite differences tell of a policy's inputs."""

import numpy as np

from isthmus.records import ActionChunk
from isthmus_evidence.inputs import (
    constant_inputs,
    dead_inputs,
    extreme_actions,
    joint_fingerprint,
    outside_inputs,
    sample_observations,
    sensitivities,
)
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract
JOINTS = CONTRACT.action.elements
ORDER = [0, 2, 1, 3, 4, 5]


class Damping:
    """Brakes each joint, in an order of its own."""

    contract = CONTRACT

    def __init__(self, order, gain=0.5):
        self.order, self.gain = order, gain

    def reset(self, rows=None, seed=None):
        pass

    def act(self, observation):
        velocity = observation["joint_velocity"][:, -1, self.order]
        return ActionChunk((-self.gain * velocity + 0.01 * velocity.sum(axis=1, keepdims=True))[:, None])


def test_a_permutation_is_found_in_the_derivatives_and_the_right_order_is_left_alone():
    observation = sample_observations(CONTRACT)
    (right,) = [f for f in joint_fingerprint(CONTRACT, sensitivities(Damping(range(6)), observation)) if f.signal == "joint_velocity"]
    assert (right.wrong, right.order) == (False, JOINTS)
    (wrong,) = [f for f in joint_fingerprint(CONTRACT, sensitivities(Damping(ORDER), observation)) if f.signal == "joint_velocity"]
    assert wrong.wrong
    assert wrong.order == tuple(JOINTS[index] for index in ORDER)


def test_dead_inputs_are_named():
    derivatives = sensitivities(Damping(range(6)), sample_observations(CONTRACT))
    assert dead_inputs(CONTRACT, derivatives) == ["joint_position", "tool0", "goal", "previous_action"]


def test_constant_saturated_and_far_inputs_are_named():
    known = sample_observations(CONTRACT)
    recorded = {name: values.copy() for name, values in known.items()}
    recorded["joint_velocity"][:, -1, 3] = 0.0
    recorded["joint_position"][:, -1, 2] = CONTRACT.signal("joint_position").high[2]
    recorded["joint_position"][0, -1, 2] = 0.0
    assert constant_inputs(CONTRACT, recorded) == (["joint_velocity.wrist_1_joint"], ["joint_position.elbow_joint"])
    recorded["tool0"][0, -1, 0] = 50.0
    assert [name for name, *_ in outside_inputs(CONTRACT, recorded, known)] == ["tool0.x"]


def test_actions_at_extremes():
    assert all("leaves its bounds" in problem for problem in extreme_actions(Damping(range(6), gain=1e3)))
    assert extreme_actions(Damping(range(6), gain=np.nan)) == [f"{joint} is not finite" for joint in JOINTS]
