"""Pinhole cameras, the same for every engine: where they stand, what they see, and the matrices that OpenGL wants.

A `View` has the axes of a ROS optical frame (REP-103: x right, y down, z forward). OpenGL, and MuJoCo with it, looks along −z with y up; the
conversion is done here and nowhere else. Pixel centres are at integers, so a picture spans −½ … width − ½.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.images import rectified_intrinsics
from isthmus.records import Array
from isthmus.robot import Camera

__all__ = ["FIELD_OF_VIEW", "View", "camera_view", "free_view", "opengl_matrices", "project"]

FIELD_OF_VIEW = float(np.radians(45.0))  # of a free camera


@dataclass(frozen=True, slots=True)
class View:
    """One camera at one instant.

    Attributes:
        position: in the world, `[3]`, m.
        rotation: `[3, 3]`, columns are the camera's right, down and forward axes in the world.
        intrinsics: fx, fy, cx, cy, px.
        height: rows of the picture.
        width: columns of the picture.
        distance: to the point that it was aimed at, m; shadows are finest around this point.
    """

    position: Array
    rotation: Array
    intrinsics: tuple[float, float, float, float]
    height: int
    width: int
    distance: float = 1.0

    def edges(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the picture at 1 m distance, m; up is positive."""
        fx, fy, cx, cy = self.intrinsics
        return (-0.5 - cx) / fx, (self.width - 0.5 - cx) / fx, (cy + 0.5 - self.height) / fy, (cy + 0.5) / fy


def camera_view(camera: Camera, position: Array, rotation: Array) -> View:
    """The view of a robot's camera.

    Up in the picture is the link's z axis. A camera that looks along this axis (within 1°) has the link's own axes instead, as an optical frame has:
    x right, y down.

    Args:
        camera: of the robot's profile.
        position: of its link in the world, `[3]`, m.
        rotation: of its link in the world, `[3, 3]`.

    Raises:
        ValueError: the camera looks at itself, or its calibration does not say what it sees.
    """
    forward = np.subtract(camera.look_at, camera.position)
    up = np.array([0.0, 0.0, 1.0]) if abs(forward[2]) < np.cos(np.radians(1.0)) * np.linalg.norm(forward) else np.array([0.0, -1.0, 0.0])
    if not np.linalg.norm(forward) > 0:
        raise ValueError(f"camera {camera.name!r} looks at the point where it stands, {camera.position}")
    try:
        intrinsics = rectified_intrinsics(camera.spec, camera.field_of_view)
    except ValueError as error:
        raise ValueError(f"camera {camera.name!r}: {error}") from None
    axes = rotation @ _axes(forward, up)
    return View(
        position + rotation @ np.array(camera.position),
        axes,
        intrinsics,
        camera.spec.height,
        camera.spec.width,
        float(np.linalg.norm(forward)),
    )


def free_view(
    look_at: tuple[float, float, float],
    distance: float,
    azimuth: float,
    elevation: float,
    *,
    height: int,
    width: int,
    field_of_view: float = FIELD_OF_VIEW,
) -> View:
    """A camera that circles a point, with the angles of MuJoCo's viewer.

    Args:
        look_at: the point, m.
        distance: from it, m.
        azimuth: direction of sight about the world's z axis, rad; at 0 it looks along x.
        elevation: of the direction of sight, rad; negative looks down.
        height: rows.
        width: columns.
        field_of_view: vertical, rad.
    """
    forward = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    up = np.array([-np.cos(azimuth) * np.sin(elevation), -np.sin(azimuth) * np.sin(elevation), np.cos(elevation)])
    focal = 0.5 * height / np.tan(0.5 * field_of_view)
    intrinsics = (focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))
    return View(np.array(look_at) - distance * forward, _axes(forward, up), intrinsics, height, width, distance)


def project(view: View, points: Array) -> Array:
    """Where points of the world are seen: column and row, `[N, 3]` → `[N, 2]`, px; NaN behind the camera."""
    local = (points - view.position) @ view.rotation
    fx, fy, cx, cy = view.intrinsics
    depth = np.where(local[:, 2] > 0, local[:, 2], np.nan)
    return np.stack([fx * local[:, 0] / depth + cx, fy * local[:, 1] / depth + cy], axis=1)


def opengl_matrices(view: View, near: float, far: float) -> tuple[list[float], list[float]]:
    """View and projection matrix, each of 16 numbers by columns, as OpenGL and PyBullet take them.

    Args:
        view: camera.
        near: distance of the near plane, m.
        far: distance of the far plane, m.
    """
    flip = np.diag([1.0, -1.0, -1.0])  # right, down, forward → right, up, backward
    look = np.eye(4)
    look[:3, :3] = flip @ view.rotation.T
    look[:3, 3] = -look[:3, :3] @ view.position
    left, right, bottom, top = view.edges()
    frustum = np.zeros((4, 4))
    frustum[0, 0], frustum[0, 2] = 2 / (right - left), (right + left) / (right - left)
    frustum[1, 1], frustum[1, 2] = 2 / (top - bottom), (top + bottom) / (top - bottom)
    frustum[2, 2], frustum[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
    frustum[3, 2] = -1
    return look.T.ravel().tolist(), frustum.T.ravel().tolist()


def _axes(forward: Array, up: Array) -> Array:
    """Columns right, down, forward of a camera that looks along `forward` with `up` up in the picture."""
    ahead = forward / np.linalg.norm(forward)
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(ahead, right), ahead], axis=1)
