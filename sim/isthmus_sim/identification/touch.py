"""Where a robot is near an object."""

from __future__ import annotations

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import Mechanism

__all__ = ["clear_samples"]

_NEAR = 3e-3  # m


def clear_samples(mechanism: Mechanism, log: Log) -> Array:
    """Samples at which no moving part of the robot is within 3 mm of an object, by the model and the measured positions, `[T]`."""
    model, data = mechanism.model, mujoco.MjData(mechanism.model)
    addresses = [model.joint(name).qposadr[0] for name in mechanism.joints]
    bodies = [model.body(name).id for name in mechanism.objects]
    free = [model.jnt_qposadr[model.body_jntadr[body]] for body in bodies]
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    root = model.body_rootid[model.geom_bodyid]
    theirs = [np.flatnonzero(collides & (root == body)).tolist() for body in bodies]
    robot = np.flatnonzero(collides & ~np.isin(root, bodies) & (model.body_weldid[model.geom_bodyid] != 0)).tolist()
    clear = np.zeros(len(log.time), dtype=bool)
    for row in range(len(clear)):
        poses = [log.poses[name][row] for name in mechanism.objects]
        if not np.isfinite(poses).all():
            continue
        data.qpos[addresses] = log.position[row]
        for address, pose in zip(free, poses, strict=True):
            data.qpos[address : address + 7] = np.concatenate([pose[:3], pose[6:], pose[3:6]])
        mujoco.mj_kinematics(model, data)
        pairs = ((one, other) for mine in theirs for one in mine for other in robot)
        clear[row] = all(mujoco.mj_geomDistance(model, data, one, other, _NEAR, None) >= _NEAR for one, other in pairs)
    return clear
