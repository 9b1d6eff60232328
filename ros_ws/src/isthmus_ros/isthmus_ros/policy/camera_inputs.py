"""Pictures that a policy sees: one topic per image signal, through the same pipeline that a simulator stands for, and watched for their freshness."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from isthmus.cadence import REMEMBERED
from isthmus.contract import Contract
from isthmus.images import ImagePipeline, raw_intrinsics, rectified_intrinsics
from isthmus.records import Array, Measurement
from isthmus.robot import Camera, Robot, RosCamera, RosProfile
from isthmus.signals import CameraSpec, Signal
from isthmus.timing import steady
from isthmus_ros.common import wire
from isthmus_ros.common.stamps import stamp_problem
from isthmus_ros.policy.calibration import PictureRate, calibration_problem, intrinsics_problem
from isthmus_ros.policy.pictures import PictureForm

__all__ = ["CameraInputs"]


@dataclass(slots=True)
class _Eye:
    """One camera.

    Attributes:
        name: of the signal.
        form: of its messages.
        pipeline: from raw pictures to the signal.
        camera: of the robot.
        needed: seconds after which there must be a new picture; infinite where one alone is looked at.
        information: absolute topic of its calibration.
        newest: message, when it arrived, on the steady clock, s, and how old its stamp was then, s; None before the first. Replaced as a whole by the
            thread that receives.
        seen: the newest message that was looked at.
        raw: its pixels; None before the first good one.
        sample: what the pipeline made of them, `[1, H, W, C]`.
        fresh: when pixels last differed from those before.
        place: measured positions at that time, `[J]`; None until they are known.
        problem: what is wrong with the form of the newest picture.
        rate: of its pictures.
        told: how the calibration that it tells differs.
    """

    name: str
    form: PictureForm
    pipeline: ImagePipeline
    camera: Camera
    needed: float
    information: str
    rate: PictureRate = field(default_factory=PictureRate)
    told: str = ""
    newest: tuple[Any, float, float] | None = None
    seen: Any = None
    raw: Array | None = None
    sample: Array | None = None
    fresh: float = -np.inf
    place: Array | None = None
    problem: str = ""

    @property
    def topic(self) -> str:
        """Absolute topic of its pictures."""
        return self.form.topic


class CameraInputs:
    """Subscribes the cameras of a contract. ROS callbacks only keep the newest message; pictures are made where they are asked for.

    Attributes:
        ages: of the newest decisions, how old the oldest of the pictures was by its stamp, s.
    """

    def __init__(
        self, node: Any, contract: Contract, robot: Robot, namespace: str, patience: float, *, stamp_check: str = "absolute"
    ) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscriptions.
            contract: its image signals are needed.
            robot: the profile; needs a `ros` block.
            namespace: in which the profile's topics are resolved.
            patience: seconds in motion that a camera may be silent or show the same picture, or its pictures be older than its latency.
            stamp_check: of the node; stamps of cameras whose clocks differ are not judged.

        Raises:
            ValueError: a camera of the profile takes other pictures than the policy was trained on, or OpenCV is not installed.
        """
        self._node = node
        self._looking = threading.Lock()
        self._patience, self._absolute = patience, stamp_check == "absolute"
        self.ages: deque[float] = deque(maxlen=REMEMBERED)
        self._travel = robot.monitors.frozen_travel
        cameras = {camera.name: camera for camera in robot.cameras}
        profile = robot.ros or RosProfile({})
        self._eyes = [
            _eye(signal, signal.camera, cameras[signal.name], profile, namespace, contract.control_period)
            for signal in contract.observation
            if signal.camera is not None
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, lambda message, take=take, eye=eye: take(eye, message), wire.SENSORS)
            for eye in self._eyes
            for kind, topic, take in ((eye.form.kind, eye.topic, self._receive), (CameraInfo, eye.information, _learn))
        ]

    def problems(self) -> list[str]:
        """Why a policy may not start, one sentence per camera."""
        self._look()
        return [problem for eye in self._eyes if (problem := self._form(eye) or self._old(eye) or eye.told or _slow(eye))]

    def images(self) -> dict[str, Array]:
        """The newest good picture of each camera, `[1, H, W, C]` uint8; without those that have sent none yet."""
        self._look()
        return {eye.name: eye.sample for eye in self._eyes if eye.sample is not None}

    def fault(self, measurement: Measurement) -> str:
        """Why the policy may not be asked at present, in motion; "" if it may.

        Args:
            measurement: the newest: the same picture counts as frozen only after the robot has moved.
        """
        self._look()
        position = measurement.position[0]
        ages = [steady() - eye.newest[1] + eye.newest[2] for eye in self._eyes if eye.newest is not None]
        self.ages.extend([max(ages)] if len(ages) == len(self._eyes) else [])
        for eye in self._eyes:
            if eye.place is None:
                eye.place = position
            if problem := self._form(eye) or self._old(eye) or self._frozen(eye, position):
                return problem
        return ""

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _look(self) -> None:
        """Take in pictures that have come since."""
        with self._looking:
            for eye in self._eyes:
                newest = eye.newest
                if newest is not None and newest[0] is not eye.seen:
                    _take_in(eye, *newest[:2])

    def _receive(self, eye: _Eye, message: Any) -> None:
        """Keep a picture; one with the stamp of the last is not a new one."""
        if eye.newest is None or message.header.stamp != eye.newest[0].header.stamp:
            stamp = wire.nanoseconds_of(message.header.stamp)
            eye.newest = (message, steady(), (self._node.get_clock().now().nanoseconds - stamp) / 1e9)
            eye.rate.add(stamp)

    def _form(self, eye: _Eye) -> str:
        return f"no picture was received on {eye.topic}" if eye.newest is None else eye.problem

    def _old(self, eye: _Eye) -> str:
        _, arrival, late = eye.newest or (None, -np.inf, 0.0)
        if (silent := steady() - arrival) > self._patience:
            return f"the last picture on {eye.topic} came {silent:.2f} s ago, {self._patience:g} s are allowed"
        return stamp_problem(f"the picture on {eye.topic}", late, late, self._patience + eye.camera.spec.latency) if self._absolute else ""

    def _frozen(self, eye: _Eye, position: Array) -> str:
        age, travel = steady() - eye.fresh, np.abs(position - eye.place).max()
        if age > self._patience and travel > self._travel:
            return f"pictures on {eye.topic} have been the same for {age:.2f} s, though the robot has moved by {travel:.3f} rad"
        return ""


def _eye(signal: Signal, expected: CameraSpec, camera: Camera, profile: RosProfile, namespace: str, period: float) -> _Eye:
    """The calibration is the robot's own; what comes out must be what the policy was trained on."""
    name, spec = signal.name, camera.spec
    form, wanted = ((each.height, each.width, each.encoding) for each in (spec, expected))
    if form != wanted:
        raise ValueError(
            f"camera {name!r} of the robot gives {spec.height} × {spec.width} {spec.encoding}, "
            f"the policy needs {expected.height} × {expected.width} {expected.encoding}"
        )
    if all(each.intrinsics is not None and each.crop is not None for each in (spec, expected)):
        seen, trained = (rectified_intrinsics(each, camera.field_of_view) for each in (spec, expected))
        if problem := intrinsics_problem(f"what the policy sees of camera {name!r} of the robot", seen, trained, (spec.height, spec.width)):
            raise ValueError(problem)
    raw = profile.cameras.get(name, RosCamera())
    size = raw.height or spec.height, raw.width or spec.width
    if raw.encoding == "mono8" != expected.encoding:
        raise ValueError(f"camera {name!r} of the robot sends mono8, which has no colours; the policy was trained with {expected.encoding}")
    topic = wire.joined(namespace, profile.camera_topic(name))
    pictures = PictureForm(topic, size, raw.encoding or spec.encoding, profile.compressed(name))
    try:
        pipeline = ImagePipeline(spec, size, pictures.pixels)
    except ModuleNotFoundError:
        raise ValueError("a policy that sees needs OpenCV: pip install 'isthmus[vision]'") from None
    except ValueError as error:
        raise ValueError(
            f"camera {name!r}: {error}; ros.cameras in the robot's profile tells the size and encoding of raw pictures"
        ) from None
    needed = signal.stride * period if signal.history > 1 else np.inf
    return _Eye(name, pictures, pipeline, camera, needed, wire.joined(namespace, profile.information_topic(name)))


def _learn(eye: _Eye, message: Any) -> None:
    """Compare the calibration that the camera's driver tells with that of the profile."""
    spec, size = eye.camera.spec, eye.form.size
    if spec.crop is not None and spec.intrinsics is None:  # nobody knows those of the whole picture
        return
    wanted = raw_intrinsics(spec, eye.camera.field_of_view, size)
    eye.told = calibration_problem(message, eye.information, size, wanted, None if spec.intrinsics is None else spec.distortion)


def _slow(eye: _Eye) -> str:
    return "" if eye.needed == np.inf else eye.rate.problem(eye.topic, eye.needed)


def _take_in(eye: _Eye, message: Any, arrival: float) -> None:
    """Look at a message; whatever is wrong with it is a problem, until a better one comes."""
    try:
        raw, problem = eye.form.read(message)
        if raw is not None and (eye.raw is None or not np.array_equal(raw, eye.raw)):
            eye.sample = eye.pipeline(raw)[None]
            eye.fresh, eye.place = arrival, None
            eye.raw = raw
    except Exception as error:  # a message never ends the node
        problem = f"a picture on {eye.topic} cannot be used: {type(error).__name__}: {error}"
    eye.seen, eye.problem = message, problem
