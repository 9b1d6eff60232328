"""Ctrl-C in an evaluation over ROS 2: the motion is ended, and the episodes that are finished are kept."""

import contextlib
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from isthmus_evidence.enough import EnoughError
from isthmus_evidence.ros_evaluation import Nodes, evaluate_ros
from isthmus_ros.evaluation import coordinator
from isthmus_ros.evaluation.coordinator import RosEpisode, RosError
from isthmus_ros.evaluation.link import Link
from isthmus_sim.tasks import get_task

TASK = get_task("reach")


class Nobody:
    """Nodes that already run, and a policy that goes on moving the robot until it is told to stop."""

    until, check = Link.until, Link.check

    def __init__(self):
        self.link, self.clock, self.robot, self.prefix = self, "wall", None, ""
        self._processes, self.called, self.status, self.cadence = [], [], {"policy": "idle"}, {}

    def watch(self, watched):
        self._processes.append(watched)

    def bring_up(self, name):
        self.check()

    def _listen(self, seconds):
        """Nothing comes."""

    def trigger(self, name):
        self.check()
        self.called.append(name)
        self.status["policy"] = "idle"


@pytest.fixture
def nodes(monkeypatch):
    """The nodes; `fail` ends the second episode, which else goes on for ever."""
    there = Nobody()

    class Course:
        steps, seconds = 10, 1.0

        def __init__(self, *arguments, **options):
            pass

        def run(self, seed):
            there.status["policy"] = "run"
            if seed == 1:
                there.until(lambda: there.fail, 5.0, "nobody interrupts")
                raise RosError("the policy failed")
            there.status["policy"] = "idle"
            return RosEpisode(seed, -1.0, True, 10, "")

    there.fail = False
    monkeypatch.setattr(coordinator, "running", lambda *arguments, **options: contextlib.nullcontext(there))
    monkeypatch.setattr(coordinator, "Course", Course)
    return there


def evaluate(tmp_path, progress=None):
    return evaluate_ros(TASK, tmp_path / "policy.isthmus", episodes=3, seed=0, nodes=Nodes(attach=True), progress=progress)


def test_what_is_finished_is_kept_and_the_motion_is_ended(nodes, tmp_path):
    """On 8ed61cf it was lost, and a policy that already ran went on moving the robot."""
    told = []

    def progress(done, total, news=""):
        told.append((done, total, news))
        if nodes.status["policy"] == "run":
            raise EnoughError

    summary = evaluate(tmp_path, progress)
    assert (summary["episodes"], summary["per_episode"][0]["seed"]) == (1, 0)
    assert nodes.called == ["policy/stop"]
    assert [news for _, _, news in told if news] == ["return -1.0"]


def test_before_anything_is_finished_nothing_is_told(nodes, tmp_path):
    def progress(done, total, news=""):
        raise EnoughError

    with pytest.raises(EnoughError):
        evaluate(tmp_path, progress)
    assert nodes.called == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RosError])
def test_whatever_ends_an_evaluation_ends_the_motion(error, nodes, tmp_path):
    if error is RosError:
        nodes.fail = True
    else:
        nodes.watch(SimpleNamespace(check=lambda: interrupt(nodes)))
    with pytest.raises(ValueError if error is RosError else KeyboardInterrupt):
        evaluate(tmp_path)
    assert nodes.called == ["policy/stop"]


def interrupt(nodes):
    if nodes.status["policy"] == "run" and not nodes.fail:
        nodes.fail = True
        raise KeyboardInterrupt
