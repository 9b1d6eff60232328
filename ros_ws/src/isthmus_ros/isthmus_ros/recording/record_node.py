"""`record_node`: an MCAP recording of everything that the policy saw and did, which rosbag2 and Foxglove open.

It only listens. Messages are kept as the bytes that came, and a disk that is slow or full costs recorded messages, never a command.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import TransitionCallbackReturn

from isthmus.robot import load_robot
from isthmus_ros.common import wire
from isthmus_ros.common.contract_file import read_contract
from isthmus_ros.common.definitions import definition_of, type_name
from isthmus_ros.common.doubled import DoubledJoints, doubled_joints
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.listening import hear_everybody
from isthmus_ros.common.parameters import declare
from isthmus_ros.common.spin import run_node
from isthmus_ros.recording.bag import Bag, BagTopic
from isthmus_ros.recording.bag_thread import BagThread
from isthmus_ros.recording.recorded import Recorded, recorded_topics

__all__ = ["RecordNode", "main"]

_MEGABYTE = 10**6
_PATIENCE = 3.0  # s for the disk to take what waits
_QUIET = 0.5  # s without a command of the guard after which nothing is left to be recorded


class RecordNode(CarefulNode):
    """Lifecycle node around `BagThread`: it records from activation to deactivation, each time into a new folder."""

    def __init__(self) -> None:
        super().__init__("record_node")
        declare(self, "policy", "", "path of the policy file whose contract names inputs and cameras")
        declare(self, "robot", "", "name of the robot profile; empty means the one that the policy names")
        declare(self, "robots_dir", "", "folder with robot profiles of your own, searched first")
        declare(self, "folder", "recordings", "folder in which each recording becomes a folder, named by date and time (UTC)")
        declare(
            self, "queue", 64.0, "megabytes of messages that may wait for the disk; what comes beyond them is dropped", low=0.1, high=10_000
        )
        declare(self, "max_size", 0.0, "megabytes of the file after which recording stops; 0 means any", low=0, high=1e7)
        declare(self, "min_free", 500.0, "megabytes that are left free on the disk; with less, recording stops", low=0, high=1e7)
        declare(self, "simulated", False, "whether the robot is simulated; the recording says so")
        declare(self, "missing_evidence", "", "evidence that the robot demands and the policy lacks; the recording says so")
        declare(self, "autostart", True, "configure and activate without being asked")
        self._topics: list[Recorded] = []
        self._metadata: dict[str, str] = {}
        self._recording: list[list[Any]] = []
        self._state_topic = ""
        self._doubled: DoubledJoints | None = None
        self._twice = ""  # who publishes the same joint
        self._thread: BagThread | None = None
        self._folder = ""
        self._warned = ""
        self._executed = -1
        self._heard = 0.0
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self.create_timer(1.0, self.published, clock=self._steady)
        self.create_timer(0.2, self._look, clock=self._steady)
        if self.get_parameter("autostart").value:
            self._begin()

    def configure(self) -> None:
        """Find out which topics there are."""
        if not self.text("policy"):
            raise ValueError("parameter policy is empty; give the path of a policy file: -p policy:=…/policy.isthmus")
        contract = read_contract(self.text("policy"))
        folder = self.text("robots_dir")
        robot = load_robot(self.text("robot") or contract.robot, [Path(folder)] if folder else [])
        clock = bool(self.get_parameter("use_sim_time").value)
        self._topics = recorded_topics(robot, contract, self.get_namespace(), clock=clock)
        self._state_topic = wire.joined(self.get_namespace(), robot.ros.state_topic) if robot.ros else ""
        self._metadata = {
            "robot": robot.name,
            "contract": contract.to_json().decode(),
            "digest": contract.digest(),
            "simulated": str(bool(self.get_parameter("simulated").value)).lower(),
            "missing_evidence": self.text("missing_evidence"),
        }

    def activate(self) -> None:
        """Open a new recording and subscribe."""
        names = [self.resolve_topic_name(topic.name) for topic in self._topics]
        topics = [
            BagTopic(name, type_name(topic.kind), definition_of(topic.kind), topic.latched)
            for name, topic in zip(names, self._topics, strict=True)
        ]
        root = Path(self.text("folder")).expanduser()
        bag = Bag(_unused(root / time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime())), topics, self._metadata)
        self._folder, self._warned = str(bag.folder), ""
        self._thread = BagThread(bag, queue=self._bytes("queue"), max_size=self._bytes("max_size"), min_free=self._bytes("min_free"))
        self._executed = names.index(self.resolve_topic_name("guard/executed"))
        self._recording = [self._listen(topic, self._keeper(index)) for index, topic in enumerate(self._topics)]
        self._doubled = doubled_joints(self, str(self.resolve_topic_name(self._state_topic)))
        self.get_logger().info(f"recording {len(topics)} topics into {bag.folder}")

    def deactivate(self) -> None:
        """Close the recording."""
        for subscription in itertools.chain(*self._recording):
            self.destroy_subscription(subscription)
        self._recording = []
        if self._doubled is not None:
            self._doubled.close()
        self._doubled, self._twice = None, ""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if not thread.close(_PATIENCE):
            self.get_logger().warning(f"the disk has not taken the end of {self._folder} within {_PATIENCE:g} s")
        elif not thread.failure:
            self.get_logger().info(f"{self._folder}: {thread.written} messages, {thread.dropped} dropped")

    def clean_up(self) -> None:
        """Forget the topics."""
        self._topics = []

    def rest(self) -> bool:
        """Close the recording once the guard sends nothing any more: how the robot came to rest belongs to it."""
        if self._thread is not None and time.monotonic() - self._heard < _QUIET:
            return False
        self.deactivate()
        return True

    def give_up(self, cause: str) -> None:
        """Close the recording."""
        self.deactivate()

    def published(self) -> None:
        """Publish how the recording goes: a warning if it has stopped or messages were dropped."""
        thread = self._thread
        if thread is None:
            return
        problem = f"recording has stopped: {thread.failure}" if thread.failure else ""
        if problem and problem != self._warned:
            self._warned = problem
            self.get_logger().warning(problem)
        if not problem and thread.dropped:
            problem = f"{thread.dropped} messages were dropped: the disk is too slow"
        problem = problem or self._twice
        values = {"folder": self._folder, "written": str(thread.written), "dropped": str(thread.dropped), "queued": str(thread.queued)}
        name = f"{self.get_fully_qualified_name()}: recording"
        now = self.get_clock().now().to_msg()
        self._diagnostics.publish(wire.diagnostics(now, int(bool(problem)), name, problem or "recording", self._metadata["robot"], values))

    def _look(self) -> None:
        """Whoever plays the recording cannot tell the publishers of a joint from each other."""
        if self._doubled is not None:
            self._twice = "; ".join(self._doubled.look())
            self.say_change("publishers", self._twice, "warning")

    def _listen(self, topic: Recorded, keep: Callable[[bytes], None]) -> list[Any]:
        """Hear everybody who speaks all the time, but be no listener for what is said once.

        `ros2 topic pub -1` waits for one listener, and what it says with volatile durability would be lost to the guard if the recorder came first.
        """
        if topic.quality is wire.LATCHED:
            quiet = SubscriptionEventCallbacks(incompatible_qos=lambda _: None)
            return [self.create_subscription(topic.kind, topic.name, keep, topic.quality, event_callbacks=quiet, raw=True)]
        return hear_everybody(self, topic.kind, topic.name, keep, topic.quality, raw=True)

    def _keeper(self, index: int) -> Callable[[bytes], None]:
        clock = self.get_clock()

        def keep(content: bytes) -> None:
            if index == self._executed:
                self._heard = time.monotonic()
            if self._thread is not None:
                self._thread.put(index, clock.now().nanoseconds, content)

        return keep

    def _bytes(self, name: str) -> int:
        return round(float(self.get_parameter(name).value) * _MEGABYTE)

    def _begin(self) -> None:
        """Configure and activate; what keeps it from that is logged, and the node waits to be asked."""
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()


def _unused(folder: Path) -> Path:
    """The folder, or one with a number if another recording has begun in the same second."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(RecordNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
