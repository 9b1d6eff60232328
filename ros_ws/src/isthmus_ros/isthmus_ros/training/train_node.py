"""`train_node`: a `policy_node` whose decisions come from a process that learns. `isthmus train … --plant ros` starts it as its child.

Services, topics, cameras, corrections, recordings and the way through the guard are those of `policy_node`. The policy file gives the contract alone.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.runner import Tick
from isthmus_ros.common.parameters import declare
from isthmus_ros.common.spin import run_node
from isthmus_ros.policy.policy_node import PolicyNode
from isthmus_ros.training.asked_policy import AskedPolicy
from isthmus_ros.training.exchange import Channel

__all__ = ["NAME", "TrainNode", "main"]

NAME = "train_node"


class TrainNode(PolicyNode):
    """Lifecycle node around an `AskedPolicy`."""

    def __init__(self) -> None:
        super().__init__(NAME)
        declare(self, "learner", "", "path of the socket on which the learner listens")
        declare(self, "episode", 1, "control periods of an episode", low=1, high=2**31 - 1)
        self._asked: AskedPolicy | None = None

    def configure(self) -> None:
        """As `PolicyNode.configure`.

        Raises:
            ValueError: nobody listens, or efforts are commanded in passing time, where nothing would hold the robot between two episodes.
        """
        super().configure()
        if self._asked is not None:
            self._asked.motion = self.motion

    def decider(self, artifact: Artifact) -> Policy:
        """The learner."""
        contract, realtime = artifact.contract, self.text("clock") == "wall"
        if contract.mode == "effort" and realtime:
            raise ValueError("a robot that is commanded by efforts cannot wait for a learner between two episodes: nothing would hold it")
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(self.text("learner"))
        except OSError as error:
            raise ValueError(f"no learner listens on {self.text('learner')!r}: {error}") from None
        steps = int(self.get_parameter("episode").value)
        self._asked = AskedPolicy(contract, Channel(end), steps, realtime=realtime, take_over=self._take_over)
        return self._asked

    def deciding(self, artifact: Artifact) -> str:
        """No policy file says how the learner decides, least of all that of its contract, from which a training may have begun."""
        return ""

    def correction(self) -> Array | None:
        """See `PolicyNode.correction`; while the robot stands and waits for the learner, nobody moves it."""
        return None if self._asked is not None and self._asked.standing else super().correction()

    def begun(self) -> None:
        """See `PolicyNode.begun`."""
        if self._asked is not None:
            self._asked.begin()
        super().begun()

    def ticked(self, tick: Tick) -> None:
        """See `PolicyNode.ticked`."""
        if self._asked is not None:  # first: whatever becomes of a recording, the learner is told
            self._asked.watch(tick)
        super().ticked(tick)

    def ended(self) -> None:
        """See `PolicyNode.ended`."""
        if self._asked is not None:
            self._asked.end()
        super().ended()

    def _take_over(self) -> None:
        if self.bound is not None and self.bound.hand_over is not None:
            self.bound.hand_over.begin()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(TrainNode, arguments)
