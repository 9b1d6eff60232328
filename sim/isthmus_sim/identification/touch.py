"""Where a robot is near an object."""

from __future__ import annotations

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import Mechanism
from isthmus_sim.identification.objects import ObjectStates

__all__ = ["clear_samples"]

_NEAR = 3e-3  # m


def clear_samples(mechanism: Mechanism, log: Log, unsure: float = 0.0) -> Array:
    """Samples at which no moving part of the robot is within 3 mm of an object, by the model and the measured positions, `[T]`.

    Args:
        mechanism: gives the model.
        log: what was measured.
        unsure: how far from where the model has it an object may be, m.
    """
    model, data = mechanism.model, mujoco.MjData(mechanism.model)
    near, states, first = _NEAR + unsure, ObjectStates(model, mechanism.objects, mechanism.hinged), np.array([0])
    addresses = [model.joint(name).qposadr[0] for name in mechanism.joints]
    bodies = [model.body(name).id for name in mechanism.objects]
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    part = model.body_weldid[model.geom_bodyid]
    theirs = [np.flatnonzero(collides & (part == body)).tolist() for body in bodies]
    robot = np.flatnonzero(collides & ~np.isin(part, bodies) & (part != 0)).tolist()
    clear = np.zeros(len(log.time), dtype=bool)
    for row in range(len(clear)):
        poses = np.stack([log.poses[name][row] for name in mechanism.objects])
        if not np.isfinite(poses).all():
            continue
        data.qpos[addresses] = log.position[row]
        states.write(data.qpos[None], data.qvel[None], first, poses[None], np.zeros((1, len(poses), 6)))
        mujoco.mj_kinematics(model, data)
        pairs = ((one, other) for mine in theirs for one in mine for other in robot)
        clear[row] = all(mujoco.mj_geomDistance(model, data, one, other, near, None) >= near for one, other in pairs)
    return clear
