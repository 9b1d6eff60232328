"""Pictures of a PyBullet client by its software renderer."""

from __future__ import annotations

import numpy as np
import pybullet

from isthmus.records import Array
from isthmus_sim.cameras import View, opengl_matrices

__all__ = ["bullet_picture"]

_NEAR, _FAR = 0.01, 20.0  # m


def bullet_picture(client: int, view: View) -> Array:
    """What a camera sees, `[H, W, 3]` uint8, without shadows."""
    look, frustum = opengl_matrices(view, _NEAR, _FAR)
    pixels = pybullet.getCameraImage(
        view.width, view.height, look, frustum, shadow=0, renderer=pybullet.ER_TINY_RENDERER, physicsClientId=client
    )[2]
    return np.ascontiguousarray(np.reshape(np.asarray(pixels, np.uint8), (view.height, view.width, 4))[:, :, :3])
