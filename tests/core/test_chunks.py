import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus import ActionChunk
from isthmus.chunks import Chunks, act_on


class Counting:
    """Action k of the n-th decision for row r is 100 r + 10 n + k."""

    class contract:
        horizon = 3

    def __init__(self):
        self.decided = {}

    def reset(self, rows=None, seed=None):
        self.decided = {}

    def act(self, observation):
        return self.act_rows(observation, np.arange(len(observation["row"])))

    def act_rows(self, observation, rows):
        assert observation["row"].tolist() == rows.tolist()
        self.decided |= {row: self.decided.get(row, -1) + 1 for row in rows.tolist()}
        first = np.array([100 * row + 10 * self.decided[row] for row in rows.tolist()])
        return ActionChunk((first[:, None, None] + np.arange(3)[None, :, None]).astype(float))


EVENTS = st.lists(st.lists(st.sampled_from(["", "", "", "drop", "end"]), min_size=4, max_size=4), min_size=1, max_size=12)


@settings(deadline=None)
@given(events=EVENTS, length=st.integers(1, 3))
def test_each_row_is_what_it_would_be_alone(events, length):
    policy, chunks = Counting(), Chunks(4, length, 1)
    expected = [{"decision": -1, "left": 0, "ended": False} for _ in range(4)]
    for happens in events:
        wanted = []
        for row, state in enumerate(expected):
            if not state["ended"] and state["left"] == 0:
                state["decision"], state["left"] = state["decision"] + 1, length
            wanted.append(np.nan if state["ended"] else 100 * row + 10 * state["decision"] + length - state["left"])
            state["left"] = max(state["left"] - 1, 0)
        if chunks.needs.any():
            chunks.ask(policy, {"row": np.arange(4)})
        action = chunks.next()
        np.testing.assert_array_equal(np.full(4, np.nan) if action is None else action[:, 0], wanted)
        chunks.drop(np.array([event == "drop" for event in happens]))
        chunks.end(np.array([event == "end" for event in happens]))
        for state, event in zip(expected, happens, strict=True):
            state["ended"] |= event == "end"
            state["left"] = 0 if event else state["left"]


def test_beginning_anew_forgets_what_was_left_and_who_had_ended():
    policy, chunks = Counting(), Chunks(2, 3, 1)
    chunks.ask(policy, {"row": np.arange(2)})
    chunks.end(np.array([True, False]))
    assert (chunks.needs.tolist(), chunks.next().ravel().tolist()[1]) == ([False, False], 100)
    chunks.begin()
    assert chunks.needs.all()
    assert chunks.next() is None


def test_actions_of_another_shape_are_refused():
    policy, chunks = Counting(), Chunks(2, 3, 2)
    with pytest.raises(ValueError, match=r"policy returned actions of shape \[2, 3, 1\], expected \[2, 3, 2\]"):
        chunks.ask(policy, {"row": np.arange(2)})


def test_a_policy_without_memory_of_rows_acts_on_them_as_on_any_batch():
    class Echo:
        contract = Counting.contract

        def reset(self, rows=None, seed=None):
            pass

        def act(self, observation):
            return ActionChunk(observation["row"][:, None, None].astype(float))

    assert act_on(Echo(), {"row": np.array([7, 9])}, np.array([1, 3])).actions.ravel().tolist() == [7, 9]
