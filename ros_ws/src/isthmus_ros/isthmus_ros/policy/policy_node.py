"""`policy_node`: runs one policy file on one robot that a guard stands before. It asks the guard, and never commands the robot itself.

configure loads and checks, activate checks what has been received and commands nothing; the guard's `guard/arm`, then `policy/start` begin motion,
and `policy/stop` ends it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.runner import Tick
from isthmus.sequence import default_replan
from isthmus_ros.common import checks, wire
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.parameters import declare
from isthmus_ros.common.setup import declare_setup, policy_path, read_setup
from isthmus_ros.common.spin import run_node
from isthmus_ros.policy.binding import Binding, bind
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.recorder import Recorder
from isthmus_ros.policy.reports import cadence_report, policy_status
from isthmus_ros.policy.watcher import Watcher

__all__ = ["PolicyNode", "main"]

_LOOK = 0.05  # s between two looks at a motion whose thread may hang, and at a guard that may be silent


class PolicyNode(CarefulNode):
    """Lifecycle node around `Motion`; services and topics are those of the README.

    Attributes:
        motion_type: how its motion goes.
        shadow: it only says what it would ask for.
        motion: None unless configured.
        bound: file and robot; None unless configured.
    """

    motion_type: type[Motion] = Motion

    def __init__(self, name: str = "policy_node") -> None:
        self.motion: Motion | None = None
        self.bound: Binding | None = None
        self._recorder: Recorder | None = None
        super().__init__(name)
        declare_setup(self)
        declare(self, "shadow", False, "decide and record, but command nothing: decisions go to policy/shadow, and nothing is armed")
        what = "actions of a chunk to execute before deciding again; 0 means what its training says, else all"
        declare(self, "replan", 0, what, low=0, high=10_000)
        declare(self, "camera_timeout", 0.3, "s in motion that a camera may be silent or show the same picture", low=0.02, high=5.0)
        what = (
            "s after which a person's correction on policy/correction does not count any more, such as 0.2; 0 means that nobody may correct"
        )
        declare(self, "correction_timeout", 0.0, what, low=0.0, high=1.0)
        declare(self, "max_steps", 0, "control periods after which a run ends by itself; 0 means never", low=0, high=2**31 - 1)
        declare(self, "record", "", "path prefix of MCAP traces, one file per run; empty means no recording")
        declare(self, "watched", False, "move only while monitor_node speaks: without it nothing is started, and a motion ends")
        self.shadow = bool(self.get_parameter("shadow").value)
        self._inactive = "it has not been activated"  # why it does nothing; "" while it is active
        self._watcher = Watcher(self, _LOOK) if self.get_parameter("watched").value else None
        self._publishing = threading.Lock()
        self._status = self.create_publisher(DiagnosticArray, "policy/status", wire.LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self.published, clock=steady)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        self.create_timer(_LOOK, self._look, clock=steady)
        self.serve(Trigger, "policy/start", lambda request: self._start(), begins=True)
        self.serve(Trigger, "policy/stop", lambda request: self._stop())

    def rest(self) -> bool:
        """Brake to standstill through the guard; True once nothing is asked for any more."""
        self._inactive = "it has been told to end"
        if self.motion is None or not self.motion.moving:
            return True
        self.motion.stop()
        return False

    def give_up(self, cause: str) -> None:
        """Ask for nothing any more: the guard brakes."""
        if self.motion is not None:
            self.motion.end(cause)

    def destroy_node(self) -> None:
        """Release everything; a control loop that still waits for a stepped robot is interrupted."""
        if self.bound is not None:
            self.bound.plant.interrupt()
            if self.bound.stops is not None:
                self.bound.stops.give_up("the node ends")
        super().destroy_node()

    def configure(self) -> None:
        """Load the file, check it against the robot and warm the policy up."""
        path = policy_path(self)
        artifact = Artifact.load(path)
        setup = read_setup(self, artifact.contract)
        contract, robot, log = setup.contract, setup.robot, self.get_logger()
        policy = self.decider(artifact)
        longest = self.longest(policy)
        for line in contract.limits.looser_than(robot.limits()):
            log.warning(f"tighter than in training: {line}")
        self.clean_up()
        self.bound = bound = bind(
            self,
            setup,
            self.deciding(artifact),
            shadow=self.shadow,
            camera_patience=float(self.get_parameter("camera_timeout").value),
            correction_patience=float(self.get_parameter("correction_timeout").value),
            on_input=self.published,
            on_silence=self._lose_guard,
        )
        self._recorder = bound.recorder(self.text("record"), log)
        self.motion = self.motion_type(
            bound.drive,
            policy,
            sequence=lambda: bound.plant.sequence,
            inputs=bound.inputs.values,
            replan=int(self.get_parameter("replan").value) or default_replan(artifact),
            longest=longest,
            correction=self.correction,
            on_begin=self.begun,
            on_change=self.published,
            on_tick=self.ticked,
            on_end=self.ended,
            log=log.error,
        )
        self.motion.runner.warm_up()
        log.info(
            f"policy {path}: kind {artifact.kind}, contract {setup.digest[:12]}, policy digest {artifact.policy_digest[:12]}, "
            f"task {contract.task}, robot {robot.name}, {contract.mode} every {contract.control_period:g} s, "
            f"evidence: {', '.join(artifact.evidence) or 'none'}"
        )

    def decider(self, artifact: Artifact) -> Policy:
        """What decides."""
        return artifact.policy()

    def deciding(self, artifact: Artifact) -> str:
        """Digest of the policy that decides; "" if it is in no file."""
        return artifact.policy_digest

    def correction(self) -> Array | None:
        """What a person asks for at present in place of the policy, `[1, A]`; called by the motion's thread, as are the three below."""
        return self.bound.corrections.newest() if self.bound is not None and self.bound.corrections is not None else None

    def begun(self) -> None:
        """A run begins."""
        if self.bound is not None and self.bound.corrections is not None:
            self.bound.corrections.begin()

    def ticked(self, tick: Tick) -> None:
        """A control period of a run is over."""
        if self.bound is not None and self._recorder is not None:
            self._recorder.record(tick, self.bound.plant.sequence)

    def ended(self) -> None:
        """A run has ended; any thread may say so, and sometimes twice."""
        if self._recorder is not None:
            self._recorder.end()

    def longest(self, policy: Policy) -> int | None:
        """Control periods after which a run ends by itself; None if it does not.

        Raises:
            ValueError: the policy is not for this node.
        """
        return int(self.get_parameter("max_steps").value) or None

    def activate(self) -> None:
        """Check the samples already received; command nothing. What the guard said before counts no more."""
        if self.bound is not None:
            self.bound.plant.synchronise()
            if problems := checks.state_problems(self.bound.plant):
                raise ValueError("; ".join(problems))
            if self.bound.guarded is not None:
                self.bound.guarded.guard.forget()
        self._inactive = ""

    def deactivate(self) -> None:
        """Refused in motion: stop the policy first."""
        if self.motion is not None:
            self._refuse_motion(self.motion)
        self._inactive = "it has been deactivated"

    def clean_up(self) -> None:
        """Forget the policy and release the topics."""
        if self.bound is not None:
            self.bound.close()
        self.bound = self.motion = None

    def report(self) -> Any:
        """`policy/status`; None unless configured."""
        if self.motion is None or self.bound is None:
            return None
        return policy_status(self.motion, self.bound, self.get_clock().now().to_msg())

    def published(self) -> None:
        """Publish `policy/status`."""
        with self._publishing:
            if (message := self.report()) is not None:
                self._status.publish(message)

    def _publish_diagnostics(self) -> None:
        if self.motion is not None and self.bound is not None:
            name, now = self.get_fully_qualified_name(), self.get_clock().now().to_msg()
            self._diagnostics.publish(cadence_report(self.motion, self.bound, name, now))

    def _look(self) -> None:
        unwatched = self._watcher.look() if self._watcher else ""
        if self.motion is None or self.bound is None:
            return
        if unwatched and self.motion.moving:
            self.motion.stop(unwatched)
            self.say_change("watcher", unwatched, "error")
        self.motion.look()
        guarded = self.bound.guarded
        if guarded is None or not guarded.realtime:
            return
        cause = guarded.guard.silence()  # asked at every look, also on the way to the end: the guard may die while it brakes
        if cause and (not self._inactive or self.motion.moving):
            self._lose_guard(cause)

    def _lose_guard(self, cause: str) -> None:
        """The guard's process does not answer: nothing is left but the robot's own stop services. Any thread may come here."""
        if self.bound is not None and self.bound.guarded is not None and self.bound.stops is not None:
            self.bound.stops.call("the guard is silent")
            self.bound.guarded.guard.forget()
        self._inactive = f"{cause}; deactivate and activate it once the guard speaks again"
        if self.motion is not None:
            self.motion.end(cause)
        self.get_logger().error(cause)

    def _start(self) -> str:
        motion, bound = self._ready()
        self._refuse_motion(motion)
        if motion.hung:
            return "the policy hangs: it has not returned from its last decision; restart the node"
        if self._watcher and (unwatched := self._watcher.problem):
            return unwatched
        self.say_change("watcher", "")
        goal, problems = bound.way()
        if problems:
            return "; ".join(problems)
        if bound.stops is not None:  # the robot rests, and its guard speaks: a driver that wakes up now must not be told to stop
            bound.stops.give_up("the guard has been armed, and the policy starts")
        motion.start(goal)
        return ""

    def _stop(self) -> str:
        self._ready()[0].stop()
        return ""

    def _ready(self) -> tuple[Motion, Binding]:
        if self.motion is None or self.bound is None or self._inactive:
            raise ValueError(f"the node is not active: {self._inactive}")
        return self.motion, self.bound

    def _refuse_motion(self, motion: Motion) -> None:
        if motion.moving:
            raise ValueError(f"the policy is in state {motion.state}; call policy/stop and wait for standstill")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(PolicyNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
