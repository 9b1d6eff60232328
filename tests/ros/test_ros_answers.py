"""What a policy makes of its guard's words: whom it is armed for, and when it counts as silent; issue 14, lines 2, 6 and 10."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import JointState

from isthmus_ros.common import wire
from isthmus_ros.policy.answers import GuardAnswers
from isthmus_ros.policy.remote import RemotePlant

OWN, OTHER, DIGEST, PERIOD = "0123abcd", "ffff0000", "f" * 64, 0.02
JOINTS = ["a", "b"]


class FakeNode:
    def __init__(self):
        self.heard = {}

    def create_subscription(self, kind, topic, callback, quality):
        self.heard[topic] = callback
        return topic

    def destroy_subscription(self, topic):
        del self.heard[topic]


class Heard:
    """GuardAnswers with a clock that the test turns, looked at as often as the node does."""

    def __init__(self, monkeypatch, mode="velocity", period=PERIOD):
        self.now = 100.0
        monkeypatch.setattr("isthmus_ros.policy.answers.steady", lambda: self.now)
        self.node = FakeNode()
        self.guard = GuardAnswers(self.node, mode, period, OWN, threading.Condition())

    def status(self, **values):
        said = {"rung": "pass", "armed": "true", "epoch": "", **values}
        self.node.heard["guard/status"](wire.diagnostics(wire.time_of(0), 0, "guard", "", "arm", said))

    def executed(self, sequence, values=(0.1, 0.2), epoch=OWN, mode="velocity"):
        message = JointState(name=JOINTS, **{mode: list(values)})
        message.header.frame_id = wire.frame_id(DIGEST, epoch, sequence)
        self.node.heard["guard/executed"](message)

    def silence(self, seconds):
        """The first complaint within that time; "" if there is none."""
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            if cause := self.guard.silence():
                return cause
        return ""


def test_what_passes_nothing_of_this_process_is_said(monkeypatch):
    heard = Heard(monkeypatch)
    assert heard.guard.refusal() == "nothing is heard of the guard on guard/status; is guard_node running?"
    heard.status(armed="false")
    assert heard.guard.refusal() == "the guard is not armed; call guard/arm first"
    heard.status(armed="false", rung="stop", cause="guard/stop was called")
    assert heard.guard.refusal() == "the guard is stopped (guard/stop was called); call guard/reset, then guard/arm"
    heard.status(epoch=OTHER)
    assert heard.guard.refusal() == "the guard was armed for another policy process; call guard/arm again"
    assert not heard.guard.ours
    for epoch in ("", OWN):
        heard.status(epoch=epoch)
        assert heard.guard.refusal() == ""
        assert heard.guard.ours


def test_a_motion_sends_under_a_new_name_after_each_arming_and_only_then():
    """A motion that ended unanswered just before the guard said whom it is bound to came back under another name, as a second sender."""
    plant = SimpleNamespace(guard=SimpleNamespace(arming="", epoch=OWN), epoch=OWN, _arming="")
    names = []
    for arming in ("a", "a", "b", "b", "a"):
        plant.guard.arming = arming
        RemotePlant.begin_motion(plant)
        assert plant.epoch == plant.guard.epoch
        names.append(plant.epoch)
    assert names[0] == names[1] != OWN
    assert names[2] == names[3]
    assert len(set(names)) == 3


def test_an_old_status_starts_nothing(monkeypatch):
    heard = Heard(monkeypatch)
    heard.status()
    heard.now += 0.99
    assert heard.guard.refusal() == ""
    heard.now += 0.02
    assert heard.guard.refusal() == "the guard's last status is 1.0 s old, 1 s are allowed; is guard_node running?"


def test_a_status_without_an_epoch_is_that_of_a_guard_that_is_bound_to_nobody(monkeypatch):
    heard = Heard(monkeypatch)
    heard.node.heard["guard/status"](wire.diagnostics(wire.time_of(0), 0, "guard", "", "arm", {"rung": "pass", "armed": "true"}))
    assert heard.guard.ours


@pytest.mark.parametrize("rung", ["pass", "clamp", "hold", "stop"])
def test_silence_counts_at_any_rung_while_the_guard_was_armed(monkeypatch, rung):
    """Line 6: on 0188891 the guard was killed while it braked for a stop, and nobody called the stop services."""
    heard = Heard(monkeypatch)
    heard.status(rung=rung)
    assert heard.silence(0.25) == ""
    assert heard.silence(0.1) == "the guard is armed and has been silent for 0.30 s, 0.25 s are allowed"


def test_an_unarmed_guard_may_be_silent_and_what_is_forgotten_is_not_missed(monkeypatch):
    heard = Heard(monkeypatch)
    heard.status(armed="false")
    assert heard.silence(5.0) == ""
    heard.status()
    heard.guard.forget()
    assert heard.silence(5.0) == ""


def test_either_topic_is_a_word_of_the_guard(monkeypatch):
    heard = Heard(monkeypatch)
    heard.status()
    for number in range(20):
        assert heard.silence(0.2) == ""
        (heard.status if number % 2 else lambda: heard.executed(-1, epoch=wire.new_epoch()))()


def test_a_slow_loop_is_given_five_periods(monkeypatch):
    heard = Heard(monkeypatch, period=0.2)
    heard.status()
    assert heard.silence(0.95) == ""
    assert "1.00 s are allowed" in heard.silence(0.2)


def test_who_was_asleep_cannot_tell_who_was_silent(monkeypatch):
    heard = Heard(monkeypatch)
    heard.status()
    assert heard.guard.silence() == ""
    heard.now += 3.0
    assert heard.silence(0.15) == "", "what came meanwhile has not been let in"
    assert heard.silence(0.1)


@pytest.mark.parametrize("late", [0.11, 0.2, 1.0])
def test_who_always_looks_late_finds_out_all_the_same(monkeypatch, late):
    """On fcddd72 each late look began the time anew, so that on a busy machine the stop services were never called."""
    heard = Heard(monkeypatch)
    heard.status()
    for _ in range(5):
        heard.now += late
        cause = heard.guard.silence()
    assert "has been silent" in cause
    heard.status()
    heard.now += late
    assert heard.guard.silence() == ""


def test_only_what_was_executed_for_this_process_is_an_answer(monkeypatch):
    heard = Heard(monkeypatch)
    heard.executed(10**9, epoch=OTHER)
    assert heard.guard.answered == -1
    assert heard.guard.answer(10**9) is None
    np.testing.assert_array_equal(heard.guard.executed.values, [[0.1, 0.2]])
    heard.executed(3, (0.3, 0.4))
    heard.executed(3, (0.0, 0.0))  # the guard brakes under the same number
    assert heard.guard.answered == 3
    np.testing.assert_array_equal(heard.guard.answer(3).values, [[0.3, 0.4]])
    np.testing.assert_array_equal(heard.guard.rate, 0.0)


def test_in_position_mode_the_rate_is_that_between_two_set_points(monkeypatch):
    heard = Heard(monkeypatch, "position")
    assert heard.guard.rate is None
    heard.executed(0, (1.0, 1.0), mode="position")
    np.testing.assert_array_equal(heard.guard.rate, 0.0)
    heard.executed(1, (1.01, 1.0), mode="position")
    np.testing.assert_allclose(heard.guard.rate, [[0.5, 0.0]])


def test_dropped_commands_are_counted_by_reason(monkeypatch):
    heard = Heard(monkeypatch)
    heard.status(**{"dropped.old": "3", "dropped.out of sequence": "12"})
    assert heard.guard.dropped == {"old": 3, "out of sequence": 12}
    heard.guard.close()
    assert not heard.node.heard
