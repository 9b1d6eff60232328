from types import SimpleNamespace

import numpy as np
import pytest

from isthmus import Contract, Limits, Signal
from isthmus.sequence import default_replan, sequence_contract

JOINTS = ("a", "b")
LIMITS = Limits(JOINTS, (-3.0,) * 2, (3.0,) * 2, (1.0,) * 2, (np.inf,) * 2, (5.0,) * 2, (10.0,) * 2)
ACTION = Signal("speed", "joint_velocity", JOINTS, "rad/s", (-1.0, -2.0), (1.0, 2.0))
ANGLE = Signal("q", "joint_position", JOINTS, "rad", (-3.0,) * 2, (3.0,) * 2)
SHOWN = Signal("executed", "previous_action", JOINTS, "rad/s", (-1.0,) * 2, (1.0,) * 2)


def test_the_previous_action_is_added_with_the_bounds_of_the_action():
    made = sequence_contract(Contract("arm", "test", (ANGLE,), ACTION, LIMITS, 0.05), 8)
    assert made.horizon == 8
    assert made.observation == (ANGLE, Signal("previous_action", "previous_action", JOINTS, "rad/s", ACTION.low, ACTION.high))


def test_a_previous_action_that_is_observed_already_stays_the_only_one():
    assert sequence_contract(Contract("arm", "test", (ANGLE, SHOWN), ACTION, LIMITS, 0.05), 8).observation == (ANGLE, SHOWN)


def test_a_horizon_must_be_positive():
    with pytest.raises(ValueError, match="horizon must be >= 1, got 0"):
        sequence_contract(Contract("arm", "test", (ANGLE,), ACTION, LIMITS, 0.05), 0)


@pytest.mark.parametrize(
    ("told", "found"), [({}, None), ({"replan": 8}, 8), ({"replan": 31}, None), ({"replan": 0}, None), ({"replan": "8"}, None)]
)
def test_the_default_of_the_training_counts_where_it_is_possible(told, found):
    contract = sequence_contract(Contract("arm", "test", (ANGLE,), ACTION, LIMITS, 0.05), 30)
    assert default_replan(SimpleNamespace(contract=contract, training=told)) == found
