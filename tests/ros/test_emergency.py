"""Who may stop the robot, and when it may go on: without DDS, with a clock of our own. Lines 1 of the issue fail on 0188891, which had one reader."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from std_msgs.msg import Bool

from isthmus_ros.common.attributed import Said
from isthmus_ros.guard.emergency import EmergencyStop, full_names


class Buttons:
    """A topic with publishers that come, speak and go."""

    name = "/emergency_stop"

    def __init__(self, required=()):
        self.there, self.time = {}, 0.0
        self._waiting, self._order = [], 0
        self.stop = EmergencyStop(self, required, lambda: self.time)

    def says(self, publisher, pressed, node=None, order=None):
        self._order += 1
        self.time += 0.001
        self.there.setdefault(publisher, node or f"/{publisher}")
        self._waiting.append(Said(publisher, self._order if order is None else order, Bool(data=pressed)))

    def goes(self, publisher):
        del self.there[publisher]
        self.time += 1

    def take(self):
        taken, self._waiting = self._waiting, []
        return taken

    def publishers(self):
        return self.there

    def problems(self):
        assert self.stop.poll() == ""
        self.time += 0.2
        return self.stop.problems()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
def test_any_true_is_reported_once_and_the_last_words_decide(said):
    buttons = Buttons()
    for publisher, pressed in said:
        buttons.says(publisher, pressed)
    assert bool(buttons.stop.poll()) == any(pressed for _, pressed in said)
    last = dict(said)
    assert buttons.problems() == [f"emergency_stop is true, says /{name}" for name in last if last[name]]


def test_a_sample_that_comes_late_is_reported_but_is_not_the_last_word():
    buttons = Buttons()
    buttons.says("a", False, order=3)
    buttons.stop.poll()
    buttons.says("a", True, order=2)
    assert buttons.stop.poll() == "emergency_stop is true, says /a"
    assert buttons.problems() == []


def test_another_buttons_false_takes_nothing_back():
    buttons = Buttons()
    buttons.says("a", True)
    buttons.says("b", False)
    assert buttons.stop.poll()
    assert buttons.problems() == ["emergency_stop is true, says /a"]
    buttons.says("a", False)
    assert buttons.problems() == []


def test_a_dead_buttons_true_is_taken_back_by_its_namesake_alone():
    buttons = Buttons()
    buttons.says("a", True)
    assert buttons.stop.poll()
    buttons.goes("a")
    buttons.says("b", False)
    (problem,) = buttons.problems()
    assert "said /a before it went" in problem
    assert 'ros2 topic pub --once --node-name a /emergency_stop std_msgs/msg/Bool "{data: false}"' in problem
    buttons.says("again", False, node="/a")
    buttons.stop.poll()
    buttons.goes("again")  # it need not stay
    assert buttons.problems() == []


def test_the_new_process_of_a_button_cannot_speak_for_the_old_one_while_that_may_live():
    buttons = Buttons()
    buttons.says("old", True, node="/panel")
    assert buttons.stop.poll()
    buttons.says("new", False, node="/panel")
    assert buttons.problems() == ["emergency_stop is true, says /panel"]
    buttons.goes("old")
    assert buttons.problems() == []


def test_a_button_that_went_before_it_had_a_name_counts_for_ever():
    buttons = Buttons()
    buttons.says("a", True, node="")
    buttons.there["a"] = ""
    assert buttons.stop.poll() == "emergency_stop is true, says a node whose name is not known"
    buttons.goes("a")
    buttons.says("b", False)
    buttons.there["b"] = ""
    for _ in range(5):
        (problem,) = buttons.problems()
        assert problem.endswith("before it went; this counts until guard_node is started anew")


def test_the_name_of_a_button_is_learnt_though_it_stays_for_a_tenth_of_a_second():
    """As `ros2 topic pub --once` does, whose node is discovered a moment after its publisher: nobody could take its `true` back."""
    buttons = Buttons()
    buttons.says("a", True)
    buttons.there["a"] = ""
    assert buttons.stop.poll() == "emergency_stop is true, says a node whose name is not known"
    for name in ("", "", "/panel"):
        buttons.there["a"] = name
        buttons.time += 0.005
        assert buttons.stop.poll() == ""
    buttons.goes("a")
    (problem,) = buttons.problems()
    assert "said /panel before it went" in problem


def test_each_required_button_must_be_heard_itself():
    buttons = Buttons(required=("/a", "/b"))
    buttons.says("a", False)
    buttons.says("b", False)
    assert buttons.problems() == []
    for _ in range(3):
        buttons.says("b", False)
        silent = buttons.problems()
    assert silent == ["emergency_stop is required from /a and was not heard for 0.5 s"]


def test_what_is_over_is_forgotten():
    buttons = Buttons()
    for number in range(50):
        buttons.says(f"cli_{number}", False)
        assert buttons.problems() == []
        buttons.goes(f"cli_{number}")
    assert buttons.problems() == []
    assert buttons.stop._speakers.words == []


def test_names_are_relative_to_the_node():
    node = SimpleNamespace(get_namespace=lambda: "/left")
    assert full_names(node, ["panel", "/door", ""]) == ("/left/panel", "/door")
    assert full_names(SimpleNamespace(get_namespace=lambda: "/"), ["panel"]) == ("/panel",)
