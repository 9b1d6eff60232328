"""Stop services are asked until they answer: without DDS, with a clock of our own. On 0188891 they were called once and forgotten."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus.robot import RosProfile
from isthmus_ros.guard.stop_services import StopServices
from isthmus_ros.policy.policy_node import PolicyNode


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

    def __init__(self, *names, guard=True):
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
        options = {"armed": lambda: self.armed} if guard else {}
        self.services = StopServices(node, profile, "/", **options, clock=lambda: self.now)

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
    assert driver.log == [
        "a runaway: calling /halt",
        "nobody offers /halt; trying again until somebody does",
        "/halt is offered: calling it",
    ]


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
    assert ("/halt is not asked any more: it has not answered within 30 s" in driver.log) != armed
    driver.offered = True
    driver.passes(0.2)
    assert len(driver.asked) == armed  # else a driver that is started anew would be stopped


def test_a_policy_asks_until_it_is_answered():
    """It gave up after 30 s, as if the guard that it does not hear were disarmed."""
    driver = Driver(guard=False)
    driver.offered = False
    driver.services.call("the guard is silent")
    driver.passes(3600.0)
    assert not driver.services.answered
    driver.offered = True
    driver.passes(60.0)
    assert len(driver.asked) == 300  # five a second
    driver.asked[-1].said = True
    driver.passes(60.0)
    assert driver.services.answered
    assert len(driver.asked) == 300
    absent, offered = "nobody offers /halt; trying again until somebody does", "/halt is offered: calling it"
    assert driver.log == ["the guard is silent: calling /halt", absent, offered, "/halt has answered"]


def test_every_change_is_a_line(driver):
    """Only the first trouble was said."""
    driver.services.call("a runaway")
    for offered in (False, False, True, True, False, False):
        driver.offered = offered
        if driver.asked:
            driver.asked[-1].said = False
        driver.passes(0.2)
    absent, offered = "nobody offers /halt; trying again until somebody does", "/halt is offered: calling it"
    refused = "/halt has failed (busy); trying again until it succeeds"
    assert driver.log == ["a runaway: calling /halt", absent, offered, refused, absent]


@pytest.mark.parametrize("end", ["close", "give_up"])
def test_asking_ends_with_the_node_or_when_its_owner_says_so(end):
    driver = Driver(guard=False)
    driver.offered = False
    driver.services.call("the guard is silent")
    cause = "the node lets go of the robot"
    driver.services.close() if end == "close" else driver.services.give_up(cause)
    driver.offered = True
    driver.passes(2.0)
    assert driver.asked == []
    assert driver.services.answered
    assert driver.log[1:] == [f"/halt is not asked any more: {cause}"]


def test_a_motion_that_begins_ends_the_asking():
    """A driver that wakes up in the next motion would stop it."""
    driver, begun = Driver(guard=False), []
    driver.services.call("the guard is silent")
    motion = SimpleNamespace(moving=False, hung=False, start=begun.append)
    ways = [(None, ["the guard is not armed; call guard/arm first"]), (None, [])]
    bound = SimpleNamespace(way=lambda: ways.pop(0), stops=driver.services)
    node = SimpleNamespace(_ready=lambda: (motion, bound), _refuse_motion=lambda motion: None, _watcher=None, say_change=lambda *said: None)
    assert PolicyNode._start(node) == "the guard is not armed; call guard/arm first"
    assert not driver.services.answered
    assert PolicyNode._start(node) == ""
    assert driver.services.answered
    assert begun == [None]


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
