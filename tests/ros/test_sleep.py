"""A process that was asleep must not carry out what waited for it. On e253566 a `policy/start` outlived a stop, a reset and an arming."""

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

import isthmus_ros
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.sleep import LOOK, Sleep


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def slept(seconds):
    clock = Clock()
    sleep = Sleep(clock)
    for _ in range(10):
        clock.now += LOOK
        sleep.look()
    assert sleep.problem == ""
    clock.now += seconds
    return clock, sleep


def test_a_late_look_is_no_sleep():
    _, sleep = slept(0.4)
    assert sleep.problem == ""


@pytest.mark.parametrize("looked", [False, True], ids=["the request comes first", "a look comes first"])
def test_after_a_sleep_nothing_begins_for_a_while(looked):
    clock, sleep = slept(6.0)
    if looked:
        sleep.look()
    assert sleep.problem == "this process did not run for 6.0 s, and what was asked meanwhile may come late; ask again in 4.0 s"
    clock.now += 0.45
    assert sleep.problem.endswith("ask again in 3.5 s")
    for _ in range(75):
        clock.now += LOOK
        sleep.look()
    assert sleep.problem == ""


@pytest.mark.parametrize(("busy", "problem"), [(6.0, False), (4.5, False), (0.1, True)])
def test_who_computed_or_waited_for_a_disk_has_not_slept(busy, problem):
    """On fcddd72 ten minutes of sleep within a transition were excused, too."""
    _, sleep = slept(6.0)
    sleep.excuse(busy)
    assert bool(sleep.problem) is problem


def test_a_transition_that_waited_too_does_not_hide_the_sleep_before_it():
    clock, sleep = slept(6.0)

    def busy():
        clock.now += 2.0

    CarefulNode._transition(SimpleNamespace(_sleep=sleep, _say_trial=lambda *words: None), "configure", busy)
    assert sleep.problem.startswith("this process did not run for 6.0 s")


@pytest.mark.parametrize("folder", ["guard", "policy"])
def test_guard_and_policy_measure_ages_on_one_clock_that_goes_on_in_a_sleep(folder):
    sources = list((Path(isthmus_ros.__file__).parent / folder).glob("*.py"))
    assert len(sources) > 5
    assert [source.name for source in sources if "monotonic" in source.read_text()] == []
