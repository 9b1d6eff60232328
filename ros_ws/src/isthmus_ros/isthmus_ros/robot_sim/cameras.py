"""Pictures of a simulated robot's cameras on topics: sensor_msgs/Image or CompressedImage, and CameraInfo, late by the camera's latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from isthmus.images import convert_color, rectified_intrinsics
from isthmus.records import Array
from isthmus.robot import Camera, RosProfile
from isthmus_ros.common import wire
from isthmus_ros.robot_sim.faults import Faults

__all__ = ["CameraTopics", "camera_information", "compressed_message", "image_message"]

PICTURES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)  # serves reliable and best-effort readers


class _Eye(Protocol):
    def picture(self, camera: Camera, row: int = 0) -> Array:
        """What the camera sees now, `[H, W, C]` uint8."""
        ...


class CameraTopics:
    """Publishes the pictures of each camera on its topic, by default `<camera>/image_raw`, and `camera_info` beside it, in the robot's namespace."""

    def __init__(
        self,
        node: Any,
        plant: Any,
        cameras: Sequence[Camera],
        rate: float,
        namespace: str,
        profile: RosProfile | None = None,
        prefix: str = "",
    ) -> None:
        """Create the publishers.

        Args:
            node: rclpy node that owns them.
            plant: simulator that takes the pictures.
            cameras: of the robot.
            rate: pictures per second and camera; 0 means none.
            namespace: of the topics.
            profile: of the robot; names the topics.
            prefix: of the frames' names.

        Raises:
            ValueError: the simulator has no cameras.
        """
        self._cameras = tuple(cameras) if rate else ()
        if self._cameras and not hasattr(plant, "picture"):
            raise ValueError("this plant has no cameras; camera_rate must be 0")
        self._eye: _Eye = plant
        self._prefix = prefix
        self._every = round(1e9 / rate) if rate else 0
        self._next = 0
        self._publishers = {}
        profile = profile or RosProfile({})
        self._compressed = {camera.name for camera in self._cameras if profile.compressed(camera.name)}
        for camera in self._cameras:
            kind = CompressedImage if camera.name in self._compressed else Image
            pictures = node.create_publisher(kind, wire.joined(namespace, profile.camera_topic(camera.name)), PICTURES)
            information = node.create_publisher(CameraInfo, wire.joined(namespace, profile.information_topic(camera.name)), PICTURES)
            self._publishers[camera.name] = (pictures, information)
        self._taken: deque[tuple[Camera, int, Array]] = deque()
        self._last: dict[str, Array] = {}

    def publish(self, stamp: int, faults: Faults) -> None:
        """Take the pictures that are due at the time `stamp` (ns), and publish those that have arrived."""
        if self._cameras and stamp >= self._next:
            self._next = max(self._next + self._every, stamp + 1)
            for camera in self._cameras:
                self._taken.append((camera, stamp, self._eye.picture(camera)))
        for entry in [entry for entry in self._taken if entry[1] + round(entry[0].spec.latency * 1e9) <= stamp]:
            self._taken.remove(entry)
            self._send(*entry, faults)

    def _send(self, camera: Camera, stamp: int, picture: Array, faults: Faults) -> None:
        if faults.on("freeze_images"):
            picture = self._last.get(camera.name, picture)
        self._last[camera.name] = picture
        if faults.on("silent_cameras"):
            return
        images, information = self._publishers[camera.name]
        encoding = "bgr8" if faults.on("image_bgr") else camera.spec.encoding
        message = compressed_message if camera.name in self._compressed else image_message
        images.publish(message(camera, stamp, _damaged(picture, faults), encoding, self._prefix))
        information.publish(camera_information(camera, stamp, self._prefix))


def _damaged(picture: Array, faults: Faults) -> Array:
    rows, columns = (np.arange(round(size * faults.number("image_scale"))) for size in picture.shape[:2])
    if rows.size == picture.shape[0]:
        return picture
    return np.asarray(picture[np.ix_(rows, columns)])


def image_message(camera: Camera, stamp: int, picture: Array, encoding: str, prefix: str = "") -> Any:
    """A picture `[H, W, C]` uint8 as sensor_msgs/Image, in the camera's optical frame, which is called with the prefix."""
    message = Image(height=picture.shape[0], width=picture.shape[1], encoding=encoding, step=picture.shape[1] * picture.shape[2])
    message.header.stamp, message.header.frame_id = wire.time_of(stamp), f"{prefix}{camera.name}_optical_frame"
    message.data.frombytes(np.ascontiguousarray(picture).tobytes())
    return message


def compressed_message(camera: Camera, stamp: int, picture: Array, encoding: str, prefix: str = "") -> Any:
    """A picture `[H, W, C]` uint8 as sensor_msgs/CompressedImage, a PNG that says what image_transport says of it; needs OpenCV.

    Raises:
        ValueError: OpenCV cannot write it.
    """
    import cv2

    mono = encoding == "mono8"
    stored = picture if mono or encoding == "bgr8" else convert_color(picture, "bgr8", "rgb8")  # swaps red and blue
    done, content = cv2.imencode(".png", stored)
    if not done:
        raise ValueError(f"a picture of {list(picture.shape)} cannot be written as PNG")
    message = CompressedImage(format=f"{encoding}; png compressed {'mono8' if mono else 'bgr8'}")
    message.header.stamp, message.header.frame_id = wire.time_of(stamp), f"{prefix}{camera.name}_optical_frame"
    message.data.frombytes(content.tobytes())
    return message


def camera_information(camera: Camera, stamp: int, prefix: str = "") -> Any:
    """Calibration of a simulated camera: a pinhole that sees what the robot's image pipeline makes of its pictures, so without distortion."""
    fx, fy, cx, cy = rectified_intrinsics(camera.spec, camera.field_of_view)
    message = CameraInfo(height=camera.spec.height, width=camera.spec.width, distortion_model="plumb_bob", d=[0.0] * 5)
    message.header.stamp, message.header.frame_id = wire.time_of(stamp), f"{prefix}{camera.name}_optical_frame"
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = np.eye(3).ravel().tolist()
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
