import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transitions import small_contract

from isthmus.sequence import sequence_contract
from isthmus_policies.actions import ActionScale

CONTRACT = small_contract(actions=2)  # −1 … 3


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=2))
def test_executed_actions_are_shown_in_the_scale_of_chosen_ones(chosen):
    scale = ActionScale(sequence_contract(CONTRACT, 5))
    executed = scale.to_si(np.array([chosen]))
    assert (executed >= -1).all()
    assert (executed <= 3).all()
    back = scale.executed({"previous_action": executed[:, None]}, np.full((1, 2), 9.0))
    np.testing.assert_allclose(back, [chosen], atol=1e-6)


def test_where_no_executed_action_is_observed_the_chosen_one_counts():
    assert ActionScale(CONTRACT).executed({}, np.array([[0.5, -0.5]])).tolist() == [[0.5, -0.5]]
    assert ActionScale(CONTRACT).to_si(np.array([[-1.0, 1.0]])).tolist() == [[-1.0, pytest.approx(3.0)]]
