"""Stop services are asked until they answer: without DDS, with a clock of our own. On 0188891 they were called once and forgotten."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus.robot import RosProfile
from isthmus_ros.guard.stop_services import StopServices


class Answer:
    def __init__(self):
        self.said = None

    def done(self):
        return self.said is not None

    def exception(self):
        return None

    def result(self):
        return SimpleNamespace(success=self.said, message="busy")


class Driver:
    """Services of a driver that are offered, and answer, when they are told to."""

    def __init__(self, *names):
        self.now, self.armed, self.offered, self.log, self.asked = 0.0, False, True, [], []
        self.said = self.log.append
        logger = SimpleNamespace(error=lambda line: self.said(line), warning=lambda line: self.said(line))
        node = SimpleNamespace(
            create_client=lambda kind, name: self,
            create_timer=lambda period, callback, clock: callback,
            destroy_client=lambda client: None,
            destroy_timer=lambda timer: None,
            get_logger=lambda: logger,
        )
        profile = RosProfile({}, stop_services=names or ("halt",))
        self.services = StopServices(node, profile, "/", armed=lambda: self.armed, clock=lambda: self.now)

    def service_is_ready(self):
        return self.offered

    def call_async(self, request):
        self.asked.append(Answer())
        return self.asked[-1]

    def remove_pending_request(self, answer):
        pass

    def passes(self, seconds):
        for _ in range(round(seconds / 0.2)):
            self.now += 0.2
            self.services.poll()


@pytest.fixture
def driver():
    return Driver()


def test_it_is_asked_at_once_and_then_until_it_has_succeeded(driver):
    assert driver.services.answered
    driver.services.call("the guard is silent")
    assert len(driver.asked) == 1
    assert not driver.services.answered
    driver.passes(1.0)
    assert len(driver.asked) == 6
    driver.asked[2].said = True  # an answer that comes late is one
    driver.passes(1.0)
    assert driver.services.answered
    assert len(driver.asked) == 6
    assert driver.log == ["the guard is silent: calling /halt", "/halt has answered"]


def test_all_are_asked_before_a_word_is_said():
    """A log line may have to wait for a terminal; the robot must not."""
    driver = Driver("halt", "release")
    said = []
    driver.said = lambda line: said.append((line, len(driver.asked)))
    driver.services.call("a runaway")
    assert said == [("a runaway: calling /halt", 2), ("a runaway: calling /release", 2)]


def test_a_refusal_is_said_once_and_asked_again(driver):
    driver.services.call("a runaway")
    driver.asked[0].said = False
    driver.passes(0.2)
    driver.asked[1].said = False
    driver.passes(0.2)
    assert len(driver.asked) == 3
    assert driver.log == ["a runaway: calling /halt", "/halt has failed (busy); trying again until it succeeds"]


def test_what_is_not_offered_is_asked_as_soon_as_it_is(driver):
    driver.offered = False
    driver.services.call("a runaway")
    driver.passes(2.0)
    assert driver.asked == []
    driver.offered = True
    driver.passes(0.2)
    assert len(driver.asked) == 1
    assert driver.log == ["a runaway: calling /halt", "nobody offers /halt; trying again until somebody does"]


def test_calls_are_one_while_answers_are_pending(driver):
    for _ in range(10):
        driver.services.call("a runaway")
    assert len(driver.asked) == 1
    driver.asked[0].said = True
    driver.passes(0.2)
    driver.services.call("a runaway")
    assert len(driver.asked) == 1  # it has just been answered
    for _ in range(10):
        driver.passes(0.2)
        driver.services.call("a runaway")
    assert len(driver.asked) > 1  # the robot still moves, so the answer was not true
    assert not driver.services.answered


@pytest.mark.parametrize("armed", [True, False])
def test_nobody_gives_up_while_the_guard_is_armed(driver, armed):
    driver.armed, driver.offered = armed, False
    driver.services.call("a runaway")
    driver.passes(60.0)
    assert driver.services.answered != armed
    assert ("/halt has not answered within 30 s; given up" in driver.log) != armed
    driver.offered = True
    driver.passes(0.2)
    assert len(driver.asked) == armed  # else a driver that is started anew would be stopped


def test_each_service_is_asked_for_itself():
    driver = Driver("halt", "release")
    driver.services.call("a runaway")
    driver.asked[0].said = True
    driver.passes(0.2)
    assert len(driver.asked) == 3
    assert not driver.services.answered


def test_a_profile_without_services_is_said():
    driver = Driver()
    driver.services._services = []
    driver.services.call("a runaway")
    assert driver.log == ["a runaway, and the robot's profile names no stop_services"]
