"""Pictures that a policy sees: one topic per image signal, through the same pipeline that a simulator stands for, and watched for their freshness."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from isthmus.contract import Contract
from isthmus.images import ENCODINGS, ImagePipeline
from isthmus.records import Array, Measurement
from isthmus.robot import Robot, RosCamera, RosProfile
from isthmus.signals import CameraSpec
from isthmus.timing import steady
from isthmus_ros.common import wire

__all__ = ["CameraInputs"]


@dataclass(slots=True)
class _Eye:
    """One camera.

    Attributes:
        name: of the signal.
        topic: absolute.
        pipeline: from raw pictures to the signal.
        encoding: of raw pictures.
        newest: message and when it arrived, on the steady clock, s; None before the first. Replaced as a whole by the thread that receives.
        seen: the newest message that was looked at.
        raw: its pixels; None before the first good one.
        sample: what the pipeline made of them, `[1, H, W, C]`.
        fresh: when pixels last differed from those before.
        place: measured positions at that time, `[J]`; None until they are known.
        problem: what is wrong with the form of the newest picture.
    """

    name: str
    topic: str
    pipeline: ImagePipeline
    encoding: str
    newest: tuple[Any, float] | None = None
    seen: Any = None
    raw: Array | None = None
    sample: Array | None = None
    fresh: float = -np.inf
    place: Array | None = None
    problem: str = ""
    subscription: Any = field(default=None, repr=False)


class CameraInputs:
    """Subscribes the cameras of a contract. ROS callbacks only keep the newest message; pictures are made where they are asked for."""

    def __init__(self, node: Any, contract: Contract, robot: Robot, namespace: str, patience: float) -> None:
        """Subscribe.

        Args:
            node: rclpy node that owns the subscriptions.
            contract: its image signals are needed.
            robot: the profile; needs a `ros` block.
            namespace: in which the profile's topics are resolved.
            patience: seconds in motion that a camera may be silent or show the same picture.

        Raises:
            ValueError: a camera of the profile takes other pictures than the policy was trained on, or OpenCV is not installed.
        """
        self._node = node
        self._looking = threading.Lock()
        self._patience = patience
        self._travel = robot.monitors.frozen_travel
        cameras = {camera.name: camera.spec for camera in robot.cameras}
        profile = robot.ros or RosProfile({})
        self._eyes = [
            _eye(signal.name, signal.camera, cameras[signal.name], profile, namespace)
            for signal in contract.observation
            if signal.camera is not None
        ]
        for eye in self._eyes:
            eye.subscription = node.create_subscription(Image, eye.topic, lambda message, eye=eye: _receive(eye, message), wire.SENSORS)

    def problems(self) -> list[str]:
        """Why a policy may not start, one sentence per camera."""
        self._look()
        return [problem for eye in self._eyes if (problem := self._form(eye) or self._silence(eye))]

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
        for eye in self._eyes:
            if eye.place is None:
                eye.place = position
            if problem := self._form(eye) or self._silence(eye) or self._frozen(eye, position):
                return problem
        return ""

    def close(self) -> None:
        """Unsubscribe."""
        for eye in self._eyes:
            self._node.destroy_subscription(eye.subscription)

    def _look(self) -> None:
        """Take in pictures that have come since."""
        with self._looking:
            for eye in self._eyes:
                newest = eye.newest
                if newest is not None and newest[0] is not eye.seen:
                    _take_in(eye, *newest)

    def _form(self, eye: _Eye) -> str:
        return f"no picture was received on {eye.topic}" if eye.newest is None else eye.problem

    def _silence(self, eye: _Eye) -> str:
        age = steady() - eye.newest[1] if eye.newest is not None else np.inf
        return f"the last picture on {eye.topic} came {age:.2f} s ago, {self._patience:g} s are allowed" if age > self._patience else ""

    def _frozen(self, eye: _Eye, position: Array) -> str:
        age, travel = steady() - eye.fresh, np.abs(position - eye.place).max()
        if age > self._patience and travel > self._travel:
            return f"pictures on {eye.topic} have been the same for {age:.2f} s, though the robot has moved by {travel:.3f} rad"
        return ""


def _eye(name: str, expected: CameraSpec, spec: CameraSpec, profile: RosProfile, namespace: str) -> _Eye:
    """The calibration is the robot's own; what comes out must be what the policy was trained on."""
    form, wanted = ((each.height, each.width, each.encoding) for each in (spec, expected))
    if form != wanted:
        raise ValueError(
            f"camera {name!r} of the robot gives {spec.height} × {spec.width} {spec.encoding}, "
            f"the policy needs {expected.height} × {expected.width} {expected.encoding}"
        )
    raw = profile.cameras.get(name, RosCamera())
    encoding = raw.encoding or spec.encoding
    try:
        pipeline = ImagePipeline(spec, (raw.height or spec.height, raw.width or spec.width), encoding)
    except ModuleNotFoundError:
        raise ValueError("a policy that sees needs OpenCV: pip install 'isthmus[vision]'") from None
    except ValueError as error:
        raise ValueError(
            f"camera {name!r}: {error}; ros.cameras in the robot's profile tells the size and encoding of raw pictures"
        ) from None
    return _Eye(name, wire.joined(namespace, profile.camera_topic(name)), pipeline, encoding)


def _receive(eye: _Eye, message: Any) -> None:
    """Keep a picture; one with the stamp of the last is not a new one."""
    if eye.newest is None or message.header.stamp != eye.newest[0].header.stamp:
        eye.newest = (message, steady())


def _take_in(eye: _Eye, message: Any, arrival: float) -> None:
    eye.seen = message
    eye.problem = _misfit(eye, message)
    if eye.problem:
        return
    raw = _pixels(message)
    if eye.raw is None or not np.array_equal(raw, eye.raw):
        eye.sample = eye.pipeline(raw)[None]
        eye.fresh, eye.place = arrival, None
    eye.raw = raw


def _misfit(eye: _Eye, message: Any) -> str:
    rows, columns = eye.pipeline.size
    if (message.height, message.width, message.encoding) != (rows, columns, eye.encoding):
        return (
            f"pictures on {eye.topic} are {message.height} × {message.width} {message.encoding}, "
            f"they must be {rows} × {columns} {eye.encoding}"
        )
    if message.step < columns * ENCODINGS[eye.encoding] or len(message.data) != message.step * rows:
        return f"a picture on {eye.topic} has {len(message.data)} bytes in rows of {message.step}, which {rows} × {columns} pixels are not"
    return ""


def _pixels(message: Any) -> Array:
    """Pixels `[H, W, C]` of a picture of the right form; rows may be padded."""
    channels = ENCODINGS[message.encoding]
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.step)
    return rows[:, : message.width * channels].reshape(message.height, message.width, channels)
