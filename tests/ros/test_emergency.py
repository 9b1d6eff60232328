"""Who may stop the robot, and when it may go on: without DDS, with a clock of our own. Lines 1 of the issue fail on 0188891, which had one reader."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from std_msgs.msg import Bool

from isthmus_ros.common.attributed import DEPTH, Said
from isthmus_ros.guard.emergency import EmergencyStop, full_names


class Buttons:
    """A topic with publishers that come, speak and go."""

    name = "/emergency_stop"

    def __init__(self, required=()):
        self.there, self.time, self.others = {}, 0.0, []
        self._waiting, self._orders = [], Counter()
        self.stop = EmergencyStop(self, required, lambda: self.time)

    def says(self, publisher, pressed, node=None, order=None, reader=0):
        self._orders[publisher] += 1
        self.time += 0.001
        self.comes(publisher, node)
        self._waiting.append(Said(publisher, self._orders[publisher] if order is None else order, Bool(data=pressed), reader))

    def comes(self, publisher, node=None):
        self.there.setdefault(publisher, node or f"/{publisher}")

    def goes(self, publisher):
        del self.there[publisher]
        self.time += 1

    def take(self):
        taken, self._waiting = self._waiting[-DEPTH:], []  # as the middleware keeps them
        return taken

    def publishers(self):
        return dict(self.there)

    def misfits(self):
        return self.others

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


@pytest.mark.parametrize("speaks", [True, False], ids=["speaks", "is_silent"])
def test_a_namesake_that_was_there_beside_a_button_cannot_speak_for_it_once_it_is_dead(speaks):
    """Two panels of one name: on 04e0de3 the heartbeat of one took back what the dead one had said."""
    buttons = Buttons()
    buttons.comes("beside", "/panel")
    buttons.says("pressed", True, node="/panel")
    if speaks:
        buttons.says("beside", False, node="/panel")
    assert buttons.stop.poll()
    assert buttons.problems() == ["emergency_stop is true, says /panel"]
    buttons.goes("pressed")
    for _ in range(3):
        buttons.says("beside", False, node="/panel")
        (problem,) = buttons.problems()
        assert "said /panel before it went; this counts until a node of that name that comes after it says false" in problem
    buttons.says("anew", False, node="/panel")
    assert buttons.problems() == []


def test_a_required_button_is_one_publisher():
    buttons = Buttons(required=("/panel",))
    buttons.says("a", False, node="/panel")
    assert buttons.problems() == []
    buttons.says("b", False, node="/panel")
    (problem,) = buttons.problems()
    assert problem.startswith("emergency_stop is required from /panel, and 2 publishers there have this name")
    buttons.goes("b")
    buttons.says("a", False, node="/panel")
    assert buttons.problems() == []


def test_a_button_that_speaks_another_type_is_a_problem():
    buttons = Buttons()
    buttons.others = ["/b publishes std_msgs/msg/Int8 on /emergency_stop, where std_msgs/msg/Bool belongs"]
    assert buttons.problems() == buttons.others


LOST = "messages on /emergency_stop were lost: "


def flood(buttons, count=DEPTH + 1):
    for _ in range(count):
        buttons.says("lamp", False)


def test_a_reader_that_was_full_stops_and_whoever_was_not_heard_since_may_be_pressed():
    """A node in a loop without a sleep: on 04e0de3 the others' true vanished, and reset and arm succeeded with the button pressed."""
    buttons = Buttons()
    buttons.says("pressed", False)
    buttons.says("lamp", False)
    buttons.comes("silent")
    assert buttons.problems() == []
    buttons.says("pressed", True)
    flood(buttons)
    assert buttons.stop.poll() == LOST + "more came than could be heard"
    assert buttons.stop.poll() == ""
    assert buttons.stop.problems()[0] == LOST + "more came than could be heard"
    buttons.time += 4
    buttons.says("lamp", False)
    may = " was not heard since messages on emergency_stop were lost, and may have said true; let it say false"
    assert sorted(buttons.problems()) == [f"/pressed{may}", f"/silent{may}"]
    buttons.says("pressed", False)
    buttons.says("silent", False)
    assert buttons.stop.poll() == LOST + "of /pressed"  # the true itself, as the numbers tell
    buttons.time += 4
    assert buttons.problems() == []


def test_a_button_that_another_reader_hears_is_not_lost_in_a_flood():
    buttons = Buttons()
    buttons.says("latched", False, reader=2)
    buttons.says("lamp", False)
    assert buttons.problems() == []
    for _ in range(DEPTH):
        buttons.says("lamp", False)
    assert buttons.stop.poll()
    buttons.time += 4
    assert buttons.problems() == []


def test_whoever_went_while_messages_were_lost_may_have_been_pressed():
    buttons = Buttons()
    buttons.says("pressed", False)
    buttons.says("gone", False)
    assert buttons.stop.poll() == ""
    buttons.goes("gone")
    assert buttons.stop.poll() == ""
    buttons.says("pressed", True)
    flood(buttons)
    buttons.goes("pressed")
    assert buttons.stop.poll()
    buttons.time += 4
    (problem,) = buttons.problems()
    assert problem.startswith("emergency_stop may be true, said /pressed before it went")


def test_a_gap_in_the_numbers_of_a_publisher_stops_once_and_forbids_arming_for_a_while():
    buttons = Buttons()
    buttons.says("a", False, order=7)
    assert buttons.stop.poll() == ""
    buttons.says("a", False, order=9)
    assert buttons.stop.poll() == LOST + "of /a"
    assert buttons.problems() == [LOST + "of /a"]
    buttons.time += 4
    assert buttons.problems() == []


def test_what_the_network_lost_and_a_more_demanding_reader_heard_is_not_lost():
    buttons = Buttons()
    for order in (1, 2, 4):
        buttons.says("a", False, order=order, reader=1)
    for order in (1, 2, 4, 9):
        buttons.says("a", False, order=order)
    assert buttons.stop.poll() == LOST + "of /a"  # 3, as the demanding one has left it out
    for order in (5, 6, 7, 8, 9):
        buttons.says("a", False, order=order, reader=1)
    buttons.says("a", False, order=20)
    assert buttons.stop.poll() == ""


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
