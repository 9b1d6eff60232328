"""`isthmus deploy --start` arms and starts what it was told to, and nothing that somebody has stopped or armed meanwhile."""

import math
import signal
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus_cli.deploy.command import _start
from isthmus_cli.deploy.node_graph import NodeGraph
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


@pytest.mark.parametrize(
    ("active", "code", "failures"),
    [
        ([], -signal.SIGINT, []),  # interrupted before it listened
        ([], 0, []),
        ([], 1, ["sim_node ended with exit code 1"]),
        (["sim_node"], -signal.SIGINT, ["sim_node ended with exit code -2"]),
    ],
)
def test_a_node_that_was_interrupted_while_it_started_has_not_failed(active, code, failures):
    graph = object.__new__(NodeGraph)
    process = SimpleNamespace(name="sim_node", exit_code=None, interrupt=lambda: None, end=lambda: code)
    graph.processes, graph.failures, graph._active, graph._watched = [process], [], active, []
    graph.link, graph._state_topic = SimpleNamespace(heard=-math.inf), "/joint_states"
    graph.down()
    assert graph.failures == failures
