"""One policy file bound to one robot: the topics that it listens to, what drives it, and why it may not begin to move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isthmus_ros.common import checks
from isthmus_ros.common.inputs import InputTopics
from isthmus_ros.common.setup import Setup
from isthmus_ros.guard.stop_services import StopServices
from isthmus_ros.policy.asking import AskingDrive
from isthmus_ros.policy.camera_inputs import CameraInputs
from isthmus_ros.policy.corrections import Corrections
from isthmus_ros.policy.drive import Drive
from isthmus_ros.policy.hand_over import HandOver
from isthmus_ros.policy.ramp import ramp_goal
from isthmus_ros.policy.recorder import Recorder
from isthmus_ros.policy.remote import RemotePlant
from isthmus_ros.policy.shadow import ShadowDrive, ShadowPlant

__all__ = ["Binding", "bind"]


@dataclass(slots=True)
class Binding:
    """What a configured node holds on to.

    Attributes:
        setup: contract and robot.
        policy_digest: of the policy that decides; "" if it is in no file.
        plant: the robot, as a policy sees it.
        drive: what a motion drives.
        inputs: external signals.
        cameras: None if the policy sees nothing.
        corrections: None in a shadow, and where nobody may correct.
        hand_over: softens the first commands of whoever takes over; None in a shadow.
        stops: called when the guard is silent; None in a shadow, which has none.
    """

    setup: Setup
    policy_digest: str
    plant: RemotePlant | ShadowPlant
    drive: Drive
    inputs: InputTopics
    cameras: CameraInputs | None
    corrections: Corrections | None
    hand_over: HandOver | None
    stops: StopServices | None
    _owned: list[Callable[[], object]] = field(default_factory=list)

    @property
    def guarded(self) -> RemotePlant | None:
        """The robot behind its guard; None in a shadow."""
        return self.plant if isinstance(self.plant, RemotePlant) else None

    def way(self) -> tuple[Mapping[str, float] | None, list[str]]:
        """Where to ramp to before the policy may run, None if nowhere; and why it may not begin, one sentence each."""
        contract, guarded = self.setup.contract, self.guarded
        if guarded is not None and (refusal := guarded.guard.refusal()):
            return None, [refusal]
        if missing := self.inputs.missing:
            return None, [f"input {missing[0]!r} is missing; publish it on policy/input/{missing[0]}"]
        if self.cameras is not None and (problems := self.cameras.problems()):
            return None, problems
        # A contract without a start pose, such as a pendulum's, may begin in motion, and so may what commands nothing.
        at_rest = bool(contract.start) and guarded is not None
        if problems := checks.arming_problems(self.plant, self.drive.guard.limits, at_rest=at_rest):
            return None, problems
        return (None, []) if guarded is None else ramp_goal(contract, self.plant.read())

    def recorder(self, prefix: str, log: Any) -> Recorder:
        """Writes the runs; what a guard in passing time executes is known a period later."""
        setup, guarded = self.setup, self.guarded
        metadata = {
            "plant": "ros",
            "robot": setup.robot.name,
            "clock": "wall" if setup.realtime else "stepped",
            "policy_digest": self.policy_digest,
            "shadow": str(guarded is None).lower(),
        }
        answer = guarded.guard.answer if guarded is not None and setup.realtime else None
        return Recorder(prefix, setup.contract, setup.robot.base_frame, metadata, log, answer=answer, executed=guarded is not None)

    def close(self) -> None:
        """Release the topics."""
        for release in self._owned:
            release()
        self._owned.clear()


def bind(
    node: Any,
    setup: Setup,
    policy_digest: str,
    *,
    shadow: bool,
    camera_patience: float,
    correction_patience: float,
    on_input: Callable[[], None],
    on_silence: Callable[[str], object],
) -> Binding:
    """Create the topics of a policy; nothing is asked for yet.

    Args:
        node: rclpy node that owns them.
        setup: contract and robot.
        policy_digest: of the policy that decides; "" if it is in no file.
        shadow: nothing is commanded.
        camera_patience: see `CameraInputs`, s.
        correction_patience: see `Corrections`, s; 0 means that nobody may correct.
        on_input: called after each accepted input.
        on_silence: see `AskingDrive`.

    Raises:
        ValueError: the policy needs wall-clock time, or cameras that the robot does not have.
    """
    sees = any(signal.source == "image" for signal in setup.contract.observation)
    if sees and not setup.realtime:
        raise ValueError("a policy that sees needs clock:=wall: in stepped time pictures and joint states would have to come together")
    plant: RemotePlant | ShadowPlant
    drive: Drive
    corrections = hand_over = stops = None
    if shadow:
        plant = ShadowPlant(node, setup)
        drive = ShadowDrive(plant, setup.contract)
    else:
        plant = RemotePlant(node, setup)
        drive = AskingDrive(plant, setup.contract, on_silence=on_silence)
        stops = StopServices(node, setup.profile, setup.namespace)
        hand_over = HandOver(setup.contract, drive.guard.limits)
        drive.soften = hand_over.soften
        if correction_patience > 0:
            corrections = Corrections(node, setup.contract, hand_over, correction_patience)
    inputs = InputTopics(node, setup.contract, setup.robot.base_frame, on_input, setup.prefix)
    cameras = None
    if sees:
        cameras = CameraInputs(node, setup.contract, setup.robot, setup.namespace, camera_patience, stamp_check=setup.stamp_check)
    if cameras is not None:
        plant.images, drive.sight = cameras.images, cameras.fault
    owned: list[Callable[[], object]] = [topics.close for topics in (plant, inputs, stops, cameras, corrections) if topics is not None]
    return Binding(setup, policy_digest, plant, drive, inputs, cameras, corrections, hand_over, stops, owned)
