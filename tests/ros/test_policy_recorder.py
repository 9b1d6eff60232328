"""What a policy node records of its runs, whatever the guard or the robot did in them."""

import numpy as np
import pytest

from isthmus.guard import HOLD, PASS, Decision
from isthmus.records import ActionChunk, Command, Measurement
from isthmus.runner import Tick
from isthmus.trace import read_trace
from isthmus_sim.tasks import get_task

pytest.importorskip("rclpy")

CONTRACT = get_task("reach").contract
JOINTS = CONTRACT.action.elements


def tick(number, asked):
    """One control period; without `asked`, one in which nothing was asked for."""
    values = np.full((1, len(JOINTS)), 0.1 * number)
    command = Command(CONTRACT.mode, JOINTS, values + 2) if asked else None
    decision = Decision(command, np.array([PASS if asked else HOLD], dtype=np.int8), np.array([asked]), ("" if asked else "no new sample",))
    return Tick(
        index=number,
        measurement=Measurement(np.array([0.05 * number]), JOINTS, values, values),
        inputs={},
        rows=np.array([0] if asked else [], dtype=np.int64),
        observation=None,
        chunk=ActionChunk(np.zeros((1, CONTRACT.horizon, len(JOINTS)))) if asked else None,
        asked=values + 2 if asked else None,
        decision=decision,
        ended=np.zeros(1, dtype=bool),
    )


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_is_read_back_with_the_periods_in_which_nothing_was_sent(tmp_path, answers):
    from isthmus_ros.policy.recorder import Recorder

    sent = Command(CONTRACT.mode, JOINTS, np.full((1, len(JOINTS)), 9.0))
    recorder = Recorder(str(tmp_path / "run"), CONTRACT, "base", {}, None, answer=(lambda sequence: sent) if answers else None)
    number = -1
    for index, asked in enumerate([False, False, True, True, False, False, True]):
        number += asked  # commands are counted, periods without one are not
        recorder.record(tick(index, asked), number)
    recorder.end()
    trace = read_trace(tmp_path / "run-000.mcap")
    np.testing.assert_array_equal(trace.position[:, 0], 0.1 * np.arange(7))
    np.testing.assert_array_equal(np.isnan(trace.command[:, 0]), [True, True, False, False, True, True, False])
    assert trace.executed[2, 0] == (9.0 if answers else pytest.approx(2.2))
    assert trace.causes[4] == "no new sample"
