"""Shapes of a body, as PyBullet makes them: for collisions and for pictures."""

from __future__ import annotations

import numpy as np
import pybullet

from isthmus_sim.scene import Body, Shape

__all__ = ["collision_shape", "visual_shape"]

_SHAPES = {
    "box": pybullet.GEOM_BOX,
    "sphere": pybullet.GEOM_SPHERE,
    "cylinder": pybullet.GEOM_CYLINDER,
    "capsule": pybullet.GEOM_CAPSULE,
    "plane": pybullet.GEOM_PLANE,
}


def collision_shape(body: Body, client: int) -> int:
    """Number of the shape in a client; -1 for a body that nothing collides with."""
    shapes = [shape for shape in body.shapes if shape.collides]
    if not shapes:
        return -1
    if shapes[0].kind == "heightfield":
        return _heightfield(shapes[0], client)
    return int(
        pybullet.createCollisionShapeArray(
            shapeTypes=[_SHAPES[shape.kind] for shape in shapes],
            radii=[_radius(shape) for shape in shapes],
            halfExtents=[_extents(shape) for shape in shapes],
            lengths=[_length(shape) for shape in shapes],
            planeNormals=[[0, 0, 1]] * len(shapes),
            collisionFramePositions=[shape.position for shape in shapes],
            collisionFrameOrientations=[shape.rotation for shape in shapes],
            physicsClientId=client,
        )
    )


def visual_shape(body: Body, client: int) -> int:
    """Number of the shape in a client; -1 for a body that is not drawn."""
    shapes = [shape for shape in body.shapes if shape.kind not in ("heightfield", "plane")]
    if not shapes:
        return -1
    return int(
        pybullet.createVisualShapeArray(
            shapeTypes=[_SHAPES[shape.kind] for shape in shapes],
            radii=[_radius(shape) for shape in shapes],
            halfExtents=[_extents(shape) for shape in shapes],
            lengths=[_length(shape) for shape in shapes],
            rgbaColors=[shape.color for shape in shapes],
            visualFramePositions=[shape.position for shape in shapes],
            visualFrameOrientations=[shape.rotation for shape in shapes],
            physicsClientId=client,
        )
    )


def _heightfield(shape: Shape, client: int) -> int:
    heights = np.array(shape.heights)
    rows, columns = heights.shape
    scale = [2 * shape.size[0] / (columns - 1), 2 * shape.size[1] / (rows - 1), 1]
    return int(
        pybullet.createCollisionShape(
            pybullet.GEOM_HEIGHTFIELD,
            meshScale=scale,
            heightfieldData=(heights - heights.min()).ravel().tolist(),
            numHeightfieldRows=columns,
            numHeightfieldColumns=rows,
            physicsClientId=client,
        )
    )


def _radius(shape: Shape) -> float:
    return shape.size[0] if shape.kind in ("sphere", "cylinder", "capsule") else 0.0


def _extents(shape: Shape) -> tuple[float, ...]:
    return shape.size if shape.kind == "box" else (0.0, 0.0, 0.0)


def _length(shape: Shape) -> float:
    return 2 * shape.size[1] if shape.kind in ("cylinder", "capsule") else 0.0
