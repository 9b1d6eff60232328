"""`isthmus deploy --start` arms and starts what it was told to, and nothing that somebody has stopped or armed meanwhile."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus_cli.deploy.command import _start
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import RosError


class Guarded:
    """What deploy sees of a guard and a policy; `meanwhile` happens once, at the first refusal of `refused`."""

    insist = Link.insist

    def __init__(self, refused, meanwhile):
        self.status = {"input.goal": "[1]", "rung": "pass", "armed": "false", "arming": ""}
        self.done, self._refused, self._meanwhile, self._armings = [], refused, meanwhile, 0

    def become(self, **status):
        self.status.update(status)

    def until(self, condition, seconds, otherwise):
        assert condition(), otherwise

    def check(self):
        """Nobody dies."""

    def spin(self, seconds):
        """Time does not matter."""

    def arm(self):
        self._ask("guard/arm")
        self._armings += 1
        self.become(armed="true", arming=f"arming {self._armings}")

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
def test_after_somebodys_stop_nothing_is_asked_any_more(refused):
    """On e253566 it was: whoever reset the guard to look had the arm armed and started by this tool."""
    with pytest.raises(RosError, match="refused"):
        begin(refused, lambda link: link.become(rung="stop", armed="false"))


@pytest.mark.parametrize("now", [{"arming": "somebody's"}, {"armed": "false"}])
def test_what_somebody_else_has_armed_or_disarmed_is_not_started(now):
    with pytest.raises(RosError, match="refused"):
        begin("policy/start", lambda link: link.become(**now))
