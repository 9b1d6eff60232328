"""`policy_node`: runs one policy file on one robot, with the guard between them.

configure loads and checks, activate checks what has been received and commands nothing; `guard/arm`, then `policy/start` begin motion, and
`policy/stop` ends it.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool, Trigger

from isthmus.artifact import Artifact
from isthmus.guard import STOP, LimitGuard
from isthmus.policy import Policy
from isthmus.robot import Robot, load_robot
from isthmus.runner import Tick
from isthmus.sequence import default_replan
from isthmus_ros.common import checks, wire
from isthmus_ros.common.inputs import InputTopics
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.parameters import choice, declare
from isthmus_ros.common.setup import namespace_of
from isthmus_ros.common.spin import run_node
from isthmus_ros.common.states import StateTopic
from isthmus_ros.guard.checks import require_deadman, topic_problems
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.preconditions import Preconditions
from isthmus_ros.guard.stop_services import StopServices
from isthmus_ros.policy.camera_inputs import CameraInputs
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.ramp import ramp_goal
from isthmus_ros.policy.recorder import Recorder
from isthmus_ros.policy.remote import RemotePlant, RemoteStep, answered
from isthmus_ros.policy.reports import cadence_report, guard_status, policy_status, shadow_status
from isthmus_ros.policy.shadow import ShadowPlant, ShadowStep
from isthmus_ros.policy.supervision import SupervisedStep

__all__ = ["PolicyNode", "main"]


class PolicyNode(CarefulNode):
    """Lifecycle node around `Runner` and `RosPlant`; services and topics are those of the README.

    Attributes:
        motion_type: how its motion goes.
    """

    motion_type: type[Motion] = Motion

    def __init__(self, name: str = "policy_node") -> None:
        super().__init__(name)
        declare(self, "policy", "", "path of the policy file (policy.isthmus)")
        declare(self, "robot", "", "name of the robot profile; empty means the one that the policy names")
        declare(self, "robots_dir", "", "folder with robot profiles of your own, searched first")
        declare(self, "robot_namespace", "", "namespace in which the profile's topics are resolved; empty means the node's own")
        declare(self, "joint_prefix", "", "prefix of the joints' names on the robot's topics")
        declare(self, "guard", "external", "inline: the guard acts in this node; external: in guard_node, and this node only asks it")
        declare(self, "shadow", False, "decide and record, but command nothing: decisions go to policy/shadow, and nothing is armed")
        declare(self, "clock", "wall", "wall: own deadlines; stepped: one control period per joint state")
        declare(
            self,
            "replan",
            0,
            "actions of a chunk to execute before deciding again; 0 means what its training says, else all",
            low=0,
            high=10_000,
        )
        declare(self, "rate_scale", 1.0, "scales velocity and acceleration limits, for first runs on a robot", low=0.01, high=1.0)
        declare(self, "camera_timeout", 0.3, "s in motion that a camera may be silent or show the same picture", low=0.02, high=5.0)
        declare(self, "max_steps", 0, "control periods after which a run ends by itself; 0 means never", low=0, high=2**31 - 1)
        declare(self, "record", "", "path prefix of MCAP traces, one file per run; empty means no recording")
        declare(
            self,
            "stamp_check",
            "absolute",
            "absolute: stamps of states are compared with this node's clock; relative: less a constant offset",
        )
        declare(
            self,
            "accept_no_deadman",
            False,
            "accept that a velocity or effort goes on if this process dies, unless the robot has a time-out",
        )
        self._active = False
        self._shadow = bool(self.get_parameter("shadow").value)
        self._external = self.text("guard") == "external" and not self._shadow
        self._report = shadow_status if self._shadow else policy_status if self._external else guard_status
        self._plant: RosPlant | RemotePlant | ShadowPlant | None = None
        self._stops: StopServices | None = None
        self._preconditions: Preconditions | None = None
        self._motion: Motion | None = None
        self._digest = ""  # of the contract; making it takes milliseconds
        self._inputs: InputTopics | None = None
        self._cameras: CameraInputs | None = None
        self._recorder: Recorder | None = None
        self._unanswered: tuple[Tick, int] | None = None
        self._publishing = threading.Lock()
        self._status = self.create_publisher(
            DiagnosticArray, "guard/status" if self._report is guard_status else "policy/status", wire.LATCHED
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self.published, clock=steady)
        self.create_timer(1.0, self._publish_diagnostics, clock=steady)
        services = {"policy/start": self._start, "policy/stop": self._stop}
        if self._report is guard_status:
            self.serve(SetBool, "guard/arm", lambda request: self._arm() if request.data else self._disarm())
            services |= {"guard/hold": self._hold, "guard/stop": self._latch, "guard/reset": self._reset}
        for name, action in services.items():
            self.serve(Trigger, name, functools.partial(_ignoring_request, action))

    def rest(self) -> bool:
        """Brake to standstill through the guard; True once nothing is commanded any more."""
        self._active = False
        if self._motion is None or not self._motion.moving:
            return True
        self._motion.stop()
        return False

    def give_up(self, cause: str) -> None:
        """Send the resting command without braking, and latch."""
        if self._motion is not None:
            self._motion.give_up(cause)

    def destroy_node(self) -> None:
        """Release everything; a control loop that still waits for a stepped robot is interrupted."""
        if self._plant is not None:
            self._plant.interrupt()
        super().destroy_node()

    def configure(self) -> None:
        """Load the file, check it against the robot and warm the policy up."""
        choice(self, "guard", ("inline", "external"))
        realtime = choice(self, "clock", ("wall", "stepped")) == "wall"
        path = self.text("policy")
        if not path:
            raise ValueError("parameter policy is empty; give the path of a policy file: -p policy:=…/policy.isthmus")
        artifact = Artifact.load(path)
        contract = artifact.contract
        if contract.no_robot:
            raise ValueError(contract.no_robot)
        folder = self.text("robots_dir")
        robot = load_robot(self.text("robot") or contract.robot, [Path(folder)] if folder else [])
        if problems := contract.fits(robot):
            raise ValueError(f"the policy does not fit the robot: {'; '.join(problems)}")
        if not (self._external or self._shadow):  # the guard's process asks otherwise
            require_deadman(contract.mode, bool(self.get_parameter("accept_no_deadman").value))
        stamp_check = choice(self, "stamp_check", ("absolute", "relative"))
        policy = artifact.policy()
        longest = self.longest(policy)
        for line in contract.limits.looser_than(robot.limits()):
            self.get_logger().warning(f"tighter than in training: {line}")
        guard = LimitGuard(robot, contract.limits.tightest(robot.limits()), contract.mode, float(self.get_parameter("rate_scale").value))
        self.clean_up()
        self._digest = contract.digest()
        listening: dict[str, Any] = {"namespace": namespace_of(self), "prefix": self.text("joint_prefix")}
        listening |= {"realtime": realtime, "stamp_check": stamp_check}
        step: SupervisedStep
        if self._shadow:
            self._plant = shadow = ShadowPlant(self, robot, contract, **listening)
            step = ShadowStep(shadow, contract, guard)
        elif self._external:
            self._plant = remote = RemotePlant(self, robot, contract, **listening)
            self._stops = StopServices(self, remote.profile, namespace_of(self))
            step = RemoteStep(remote, contract, guard, on_lost=self._lose_guard)
        else:
            self._plant = RosPlant(self, robot, contract.mode, contract.control_period, self._digest, **listening)
            step = SupervisedStep(self._plant, contract, guard, fault=self._plant.fault)
            self._preconditions = Preconditions(self, self._plant.profile, namespace_of(self), self._lose_precondition)
        self._see(self._plant, step)
        self._inputs = InputTopics(self, contract, robot.base_frame, self.published)
        self._recorder = self._make_recorder(artifact, robot)
        self._motion = self.motion_type(
            step,
            policy,
            sequence=lambda: self._plant.sequence if self._plant else -1,
            inputs=self._inputs.values,
            replan=int(self.get_parameter("replan").value) or default_replan(artifact),
            longest=longest,
            on_change=self.published,
            on_tick=self._record,
            on_end=self._end_record,
            log=self.get_logger().error,
        )
        self._motion.runner.warm_up()
        self.get_logger().info(
            f"policy {path}: kind {artifact.kind}, contract {self._digest[:12]}, policy digest {artifact.policy_digest[:12]}, "
            f"task {contract.task}, robot {robot.name}, {contract.mode} every {contract.control_period:g} s, "
            f"evidence: {', '.join(artifact.evidence) or 'none'}"
        )

    def _see(self, plant: RosPlant | RemotePlant | ShadowPlant, step: SupervisedStep) -> None:
        """Let the plant have pictures, if the policy needs any."""
        if not any(signal.source == "image" for signal in step.contract.observation):
            return
        if not plant.realtime:
            raise ValueError("a policy that sees needs clock:=wall: in stepped time pictures and joint states would have to come together")
        patience = float(self.get_parameter("camera_timeout").value)
        self._cameras = cameras = CameraInputs(self, step.contract, plant.robot, namespace_of(self), patience)
        plant.images, step.sight = cameras.images, cameras.fault

    def longest(self, policy: Policy) -> int | None:
        """Control periods after which a run ends by itself; None if it does not.

        Raises:
            ValueError: the policy is not for this node.
        """
        return int(self.get_parameter("max_steps").value) or None

    def report(self, motion: Motion, plant: StateTopic, inputs: InputTopics, time: Any) -> Any:
        """The node's status, for `guard/status` or `policy/status`."""
        return self._report(motion, plant, inputs, time)

    def _make_recorder(self, artifact: Artifact, robot: Robot) -> Recorder:
        metadata = {"plant": "ros", "robot": robot.name, "clock": self.text("clock"), "policy_digest": artifact.policy_digest}
        metadata["shadow"] = str(self._shadow).lower()
        metadata["accept_no_deadman"] = str(bool(self.get_parameter("accept_no_deadman").value)).lower()
        return Recorder(self.text("record"), artifact.contract, robot.base_frame, metadata, self.get_logger())

    def activate(self) -> None:
        """Check the samples already received; command nothing."""
        if self._plant is not None:
            self._plant.synchronise()
            if problems := checks.state_problems(self._plant):
                raise ValueError("; ".join(problems))
        self._active = True

    def deactivate(self) -> None:
        """Refused in motion: stop the policy first."""
        if self._motion is not None:
            if self._motion.moving:
                raise ValueError(f"the policy is in state {self._motion.state}; call policy/stop and wait for standstill")
            self._motion.step.state = self._motion.step.guard.disarm(self._motion.step.state)
        self._active = False

    def clean_up(self) -> None:
        """Forget the policy and release the topics."""
        if self._inputs is not None:
            self._inputs.close()
        if self._plant is not None:
            self._plant.close()
        for topics in (self._stops, self._preconditions, self._cameras):
            if topics is not None:
                topics.close()
        self._plant = self._motion = self._inputs = self._recorder = self._stops = self._preconditions = self._cameras = None

    def _lose_precondition(self, problem: str) -> None:
        if self._motion is not None and self._motion.moving:
            self._motion.latch(problem)

    def _lose_guard(self, cause: str) -> None:
        """Called in motion when the guard's process does not answer."""
        self.get_logger().error(cause)
        self._active = False
        if self._stops is not None:
            self._stops.call("the guard is silent")

    def _arm(self) -> str:
        motion, plant = self._idle()
        if motion.step.state.rung[0] == STOP:
            return f"the guard is stopped ({motion.step.state.cause[0]}); call guard/reset first"
        if problems := self._arming_problems(motion, plant):
            return "; ".join(problems)
        motion.step.state = motion.step.guard.arm(motion.step.state)
        return ""

    def _disarm(self) -> str:
        motion, _ = self._idle()
        motion.step.state = motion.step.guard.disarm(motion.step.state)
        return ""

    def _start(self) -> str:
        motion, plant = self._idle()
        if motion.hung:
            return "the policy hangs: it has not returned from its last decision; restart the node"
        if motion.step.state.rung[0] == STOP:
            return f"the guard is stopped ({motion.step.state.cause[0]}); call guard/reset, then guard/arm"
        if not (self._shadow or motion.step.state.armed[0]):
            return "the guard is not armed; call guard/arm first"
        if self._inputs is not None and (missing := self._inputs.missing):
            return f"input {missing[0]!r} is missing; publish it on policy/input/{missing[0]}"
        if self._cameras is not None and (problems := self._cameras.problems()):
            return "; ".join(problems)
        # A contract without a start pose, such as a pendulum's, may begin in motion, and so may what commands nothing.
        if problems := self._arming_problems(motion, plant, at_rest=bool(motion.step.contract.start) and not self._shadow):
            return "; ".join(problems)
        if self._shadow:
            motion.start()
            return ""
        goal, problems = ramp_goal(motion.step.contract, plant.read())
        if problems:
            return "; ".join(problems)
        motion.start(goal)
        return ""

    def _arming_problems(self, motion: Motion, plant: RosPlant | RemotePlant | ShadowPlant, *, at_rest: bool = True) -> list[str]:
        problems = checks.arming_problems(plant, motion.step.guard.limits, at_rest=at_rest)
        if isinstance(plant, RosPlant) and self._preconditions is not None:
            problems += topic_problems(self, plant) + self._preconditions.problems
        return problems

    def _stop(self) -> str:
        self._ready()[0].stop()
        return ""

    def _hold(self) -> str:
        motion, _ = self._ready()
        if not motion.moving:
            return "nothing moves"
        motion.hold("guard/hold was called")
        return ""

    def _latch(self) -> str:
        self._ready()[0].latch("guard/stop was called")
        return ""

    def _reset(self) -> str:
        motion, plant = self._idle()
        if problems := checks.state_problems(plant):
            return f"the cause is still there: {'; '.join(problems)}"
        motion.step.state = motion.step.guard.reset(motion.step.state)
        return ""

    def _ready(self) -> tuple[Motion, RosPlant | RemotePlant | ShadowPlant]:
        if self._motion is None or self._plant is None or not self._active:
            raise ValueError("the node is not active")
        return self._motion, self._plant

    def _idle(self) -> tuple[Motion, RosPlant | RemotePlant | ShadowPlant]:
        motion, plant = self._ready()
        if motion.moving:
            raise ValueError(f"the policy is in state {motion.state}; call policy/stop and wait for standstill")
        return motion, plant

    def _record(self, tick: Tick) -> None:
        """Record a control period; one that another process guards in passing time when its answer has come, a period later."""
        plant = self._plant
        if self._recorder is None or plant is None:
            return
        if not isinstance(plant, RemotePlant) or not plant.realtime:
            self._recorder.record(tick, plant.sequence, executed=not self._shadow)
            return
        self._record_answered(plant)
        self._unanswered = (tick, plant.sequence)

    def _record_answered(self, plant: RemotePlant) -> None:
        if self._unanswered is not None and self._recorder is not None:
            tick, sequence = self._unanswered
            self._unanswered = None
            self._recorder.record(dataclasses.replace(tick, decision=answered(tick.decision, plant.answer(sequence))), sequence)

    def _end_record(self) -> None:
        if isinstance(self._plant, RemotePlant):
            self._record_answered(self._plant)
        if self._recorder is not None:
            self._recorder.end()

    def published(self) -> None:
        """Publish `guard/status`, or `policy/status` if the guard is another node."""
        if self._motion is not None and self._plant is not None and self._inputs is not None:
            with self._publishing:
                now = self.get_clock().now().to_msg()
                self._status.publish(self.report(self._motion, self._plant, self._inputs, now))

    def _publish_diagnostics(self) -> None:
        if self._motion is not None and self._plant is not None:
            now = self.get_clock().now().to_msg()
            self._diagnostics.publish(
                cadence_report(self._motion, self._digest, self.get_fully_qualified_name(), self._plant.robot.name, now)
            )


def _ignoring_request(action: Callable[[], str], request: Any) -> str:
    return action()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(PolicyNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
