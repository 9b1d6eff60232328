"""Who may command: one epoch from arming on, in sequence, in time, at the rate of the contract."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.records import Command
from isthmus.senders import Asked, Gate, Inbox, Verdict

PERIOD = 0.05
COMMAND = Command("velocity", ("a",), np.zeros((1, 1)))


def asked(sequence, epoch="0a1b2c3d", age=0.0):
    return Asked(epoch, sequence, 0, age, COMMAND)


def gate(realtime=True):
    return Gate(PERIOD, realtime=realtime)


def test_the_first_command_after_opening_binds_its_sender_whatever_its_number():
    found = gate()
    assert found.judge(asked(83), 0.0).dropped == ""
    assert found.epoch == "0a1b2c3d"
    found.drop("not a command")
    found.open()
    assert (found.epoch, found.reason) == ("", "")
    assert found.judge(asked(0, "ffffffff"), 1.0).dropped == ""
    assert gate().judge(asked(-1), 0.0).dropped == "out of sequence"


def test_whoever_was_heard_before_arming_commands_nothing_after_it():
    """A sender at 8 Hz, or one that was stopped for a moment: on 04e0de3 its next command moved the arm without any policy/start."""
    found = gate()
    found.hear("0a1b2c3d")
    found.open()
    found.hear("0a1b2c3d")
    assert found.judge(asked(4), 0.0).dropped == "begun before arming"
    assert found.epoch == ""
    found.hear("ffffffff")
    assert found.judge(asked(0, "ffffffff"), 0.1).dropped == ""
    assert "a second sender (0a1b2c3d)" in found.judge(asked(5), 0.2).stop


def test_who_was_heard_is_remembered_within_bounds():
    found = gate()
    for number in range(1001):
        found.hear(f"{number:08x}")
    found.open()
    assert found.judge(asked(0, f"{1:08x}"), 0.0).dropped == "begun before arming"
    assert found.judge(asked(0, f"{0:08x}"), 0.0).dropped == ""
    found.hear(f"{2:08x}")  # again, so that it is the newest
    for number in range(999):
        found.hear(f"again {number}")
    found.open()
    assert found.judge(asked(0, f"{2:08x}"), 0.0).dropped == "begun before arming"


def test_a_second_sender_is_dropped_and_is_a_reason_to_stop():
    found = gate()
    found.judge(asked(3), 0.0)
    verdict = found.judge(asked(4, "ffffffff"), 0.05)
    assert verdict.dropped == found.reason == "another sender"
    assert dict(found.counts) == {"another sender": 1}
    assert "a second sender (ffffffff) commands on guard/command; the guard was armed for 0a1b2c3d" in verdict.stop
    assert found.judge(asked(4), 0.10).dropped == ""
    assert found.reason == ""


def test_one_message_with_a_huge_number_stops_instead_of_muting_the_sender():
    found = gate()
    found.judge(asked(3), 0.0)
    assert found.judge(asked(10**9), 0.05) == Verdict("out of sequence", "the sequence leaps from 3 to 1000000000")
    assert dict(found.counts) == {"out of sequence": 1}
    assert found.judge(asked(4), 0.10).dropped == ""
    assert found.judge(asked(1004), 0.15).dropped == ""
    assert found.judge(asked(1005), 0.20).dropped == ""
    assert found.judge(asked(2006), 0.25).stop == "the sequence leaps from 1005 to 2006"


def test_two_commands_may_come_at_once_and_no_third():
    found = gate()
    assert [found.judge(asked(number), 7.0).dropped for number in range(3)] == ["", "", "surplus"]


@pytest.mark.parametrize(("age", "reason"), [(0.086, "old"), (-0.051, "stamped ahead"), (3600.0, "old"), (-3600.0, "stamped ahead")])
def test_stamps_too_old_or_ahead_are_dropped_in_passing_time_only(age, reason):
    found = gate()
    assert found.judge(asked(0, age=age), 0.0).dropped == reason
    assert found.epoch == ""  # what does not count binds nobody
    assert gate(realtime=False).judge(asked(0, age=age), 0.0).dropped == ""


@pytest.mark.parametrize("age", [0.085, -0.05])
def test_stamps_may_be_as_old_as_the_time_out_and_as_far_ahead_as_is_allowed(age):
    assert gate().judge(asked(0, age=age), 0.0) == Verdict()


def test_what_was_overtaken_counts_for_who_sends_it_alone():
    found = gate()
    assert found.judge(asked(3), 0.0, overtaken=True).dropped == "overtaken"
    assert found.epoch == "0a1b2c3d"
    for sequence in range(4, 60):  # spends nothing
        assert found.judge(asked(sequence), 0.0, overtaken=True) == Verdict("overtaken")
    assert found.judge(asked(60), 0.0) == Verdict()
    assert found.judge(asked(59), 0.0, overtaken=True).dropped == "out of sequence"
    assert "a second sender" in found.judge(asked(61, "ffffffff"), 0.0, overtaken=True).stop


def test_each_arming_has_a_name_of_its_own():
    found = gate()
    names = [found.arming]
    for _ in range(100):
        found.open()
        names.append(found.arming)
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {8}


def test_repeated_and_old_numbers_are_dropped_and_counted():
    found = gate()
    for sequence in (0, 1, 1, 0, 2):
        found.judge(asked(sequence), 0.05 * sequence)
    assert dict(found.counts) == {"out of sequence": 2}


@given(st.lists(st.floats(-0.49, 0.49), min_size=30, max_size=30))
def test_jitter_of_half_a_period_lets_every_command_in(jitter):
    found = gate()
    times = [PERIOD * (1 + number + shift) for number, shift in enumerate(jitter)]
    assert [found.judge(asked(number), now).dropped for number, now in enumerate(times)] == [""] * 30


def test_twice_the_rate_is_halved_and_stops_after_a_second():
    found = gate()
    verdicts = [found.judge(asked(number), 100.0 + number * PERIOD / 2) for number in range(60)]
    assert sum(verdict.dropped == "surplus" for verdict in verdicts) in range(28, 31)
    assert [bool(verdict.stop) for verdict in verdicts].index(True) * PERIOD / 2 == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("lull", "stops"), [(5, True), (6, False)])
def test_more_than_five_periods_without_a_surplus_command_begin_the_second_anew(lull, stops):
    period, number = 1 / 16, 0
    found, verdict = Gate(period, realtime=True), Verdict()
    for beat in (*range(10), *range(9 + lull, 20 + lull)):
        for _ in range(3):
            verdict, number = found.judge(asked(number), 64 + beat * period), number + 1
    assert verdict == Verdict("surplus", "commands come faster than every 0.0625 s" if stops else "")


def test_messages_count_as_a_stream_for_a_time_out_and_those_to_a_guard_that_is_not_armed_for_a_second():
    for armed, lasting in ((True, 0.085), (False, 1.0)):
        inbox = Inbox(PERIOD, realtime=True)
        assert not inbox.streaming(0.0)
        inbox.ignore("not a command", 0.0, armed=armed)
        assert inbox.streaming(lasting)
        assert not inbox.streaming(lasting + 1e-9)
        assert inbox.gate.counts["not a command"] == 1


def test_what_has_come_by_and_by_is_taken_together():
    inbox = Inbox(PERIOD, realtime=True)
    first, second = asked(3), asked(4)
    inbox.put((first,), 0.0, armed=True)
    inbox.put((second,), 0.01, armed=True)
    assert inbox.take() == [(first, True), (second, False)]
    assert inbox.take() == []
    inbox.put((first,), 0.0, armed=True)
    inbox.open()
    assert inbox.take() == []
