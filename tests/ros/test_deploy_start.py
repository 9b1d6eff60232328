"""`isthmus deploy --start` arms and starts what it was told to, and nothing that somebody has stopped or armed meanwhile."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus_cli.deploy.command import _start
from isthmus_ros.common.signals import held_back
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import RosError


class Guarded:
    """What deploy sees of a guard and a policy; `meanwhile` happens once, at the first refusal of `refused`."""

    insist = Link.insist

    def __init__(self, refused, meanwhile):
        self.status = {"input.goal": "[1]", "rung": "pass", "turns": "0"}
        self.done, self._refused, self._meanwhile = [], refused, meanwhile

    def become(self, **status):
        """Somebody arms, disarms, stops or resets the guard."""
        self.status.update(status, turns=str(int(self.status["turns"]) + 1))

    def until(self, condition, seconds, otherwise):
        assert condition(), otherwise

    def find(self, kind, name):
        """All are found."""

    def check(self):
        """Nobody dies."""

    def spin(self, seconds):
        """Time does not matter."""

    def arm(self):
        self._ask("guard/arm")
        self.become(armed="true")

    def trigger(self, name):
        self._ask(name)

    def _ask(self, name):
        if name == self._refused:
            self._refused = ""
            self._meanwhile(self)
            raise RosError(f"{name} refused")
        if self.status["rung"] == "stop":
            raise RosError("the guard is stopped")
        self.done.append(name)


def begin(refused, meanwhile):
    link = Guarded(refused, meanwhile)
    _start(SimpleNamespace(link=link, shadow=False), ["goal"])
    return link.done


@pytest.mark.parametrize("refused", ["", "guard/arm", "policy/start"])
def test_what_is_refused_at_first_is_asked_again(refused):
    assert begin(refused, lambda link: None) == ["guard/arm", "policy/start"]


@pytest.mark.parametrize("refused", ["guard/arm", "policy/start"])
@pytest.mark.parametrize("then", [[], [{"rung": "pass"}]], ids=["a stop", "a stop and a reset"])
def test_after_somebodys_stop_nothing_is_asked_any_more(refused, then):
    """On e253566 it was: whoever reset the guard to look had the arm armed and started by this tool. On fcddd72 it still was, if both fell between
    two looks of this process, as where it was suspended."""

    def meanwhile(link):
        for status in [{"rung": "stop", "armed": "false"}, *then]:
            link.become(**status)

    with pytest.raises(RosError, match="refused; the guard was stopped, disarmed, armed or reset meanwhile"):
        begin(refused, meanwhile)


@pytest.mark.parametrize("now", [{"armed": "true"}, {"armed": "false"}])
def test_what_somebody_else_has_armed_or_disarmed_is_not_started(now):
    with pytest.raises(RosError, match="so nothing begins from here"):
        begin("policy/start", lambda link: link.become(**now))


def test_a_guard_that_was_stopped_and_reset_while_the_policy_came_up_is_not_armed():
    """On fcddd72 deploy armed and started 1.6 s after the reset."""
    link = Guarded("", None)
    link.become(rung="stop")
    link.become(rung="pass")
    with pytest.raises(RosError, match="so nothing begins from here"):
        _start(SimpleNamespace(link=link, shadow=False), ["goal"])
    assert link.done == []


@pytest.mark.parametrize("slept", [2.0, 600.0])
def test_who_was_suspended_asks_no_more(monkeypatch, slept):
    """On fcddd72 a suspended process asked once more when it was woken, however long that took; what was done meanwhile it had not heard yet."""
    now = [100.0]
    monkeypatch.setattr("isthmus_ros.evaluation.link.steady", lambda: now[0])

    def woken_late(seconds):
        now[0] += slept

    link = Guarded("guard/arm", lambda link: None)
    link.spin = woken_late
    with pytest.raises(RosError, match="guard/arm refused"):
        _start(SimpleNamespace(link=link, shadow=False), ["goal"])
    assert link.done == []


def test_a_pause_of_a_busy_computer_ends_nothing_but_what_happened_in_it_is_heard_first(monkeypatch):
    """On 8ed61cf a pause of 0.6 s gave up, with a refusal that had passed."""
    now, asked = [100.0], []
    monkeypatch.setattr("isthmus_ros.evaluation.link.steady", lambda: now[0])
    link = Guarded("guard/arm", lambda link: None)
    pauses = iter([0.7])

    def spin(seconds):
        now[0] += next(pauses, seconds)

    def arm():
        asked.append(now[0])
        Guarded.arm(link)

    link.spin, link.arm = spin, arm
    _start(SimpleNamespace(link=link, shadow=False), ["goal"])
    assert link.done == ["guard/arm", "policy/start"]
    assert len(asked) == 2
    assert 4.0 < asked[1] - asked[0] < 5.0


STARTING = """
import signal, time
time.sleep(0.5)  # as long as imports take
from isthmus_ros.common import signals
signals.listen()
while not signals.ENDED.is_set():
    time.sleep(0.001)
from isthmus_ros.common.spin import run_node
code = run_node(lambda: 1 / 0, [])
raise SystemExit(code or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN)  # another one would hit the interpreter's exit
"""


def test_a_node_that_is_interrupted_while_it_starts_ends_as_soon_as_it_listens():
    with held_back():
        process = subprocess.Popen([sys.executable, "-c", STARTING], stderr=subprocess.PIPE, text=True)
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
