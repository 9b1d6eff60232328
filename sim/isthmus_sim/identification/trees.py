"""Which parts of a mechanism do not feel each other, so that their derivatives can be taken at once: the legs of a robot whose base is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.identification.mechanism import Mechanism

__all__ = ["groups", "joint_trees", "parameter_trees"]

_NO_CONTACT = int(mujoco.mjtDisableBit.mjDSBL_CONTACT)


def joint_trees(mechanism: Mechanism) -> Array:
    """Number of the kinematic tree of each recorded joint, `[J]`; all 0 where bodies may touch each other or equalities tie them."""
    model = mechanism.model
    if model.neq or model.npair or model.ntendon or not model.opt.disableflags & _NO_CONTACT:
        return np.zeros(len(mechanism.joints), dtype=np.int64)
    return np.array([model.dof_treeid[model.joint(name).dofadr[0]] for name in mechanism.joints])


def parameter_trees(mechanism: Mechanism, names: Sequence[str]) -> list[int]:
    """Of each parameter; -1 is felt everywhere."""
    model = mechanism.model
    trees = {joint: int(tree) for joint, tree in zip(mechanism.joints, joint_trees(mechanism), strict=True)}
    apart = len(set(trees.values())) > 1
    for number in range(1, model.nbody):
        dof = _dof_above(model, number)
        if apart and dof >= 0:
            trees.setdefault(model.body(number).name, int(model.dof_treeid[dof]))
    return [trees.get(name.rpartition(".")[0], -1) for name in names]


def groups(trees: Sequence[int]) -> list[list[int]]:
    """Indices that are changed at once: one of each tree, or one that is felt everywhere."""
    apart: dict[int, list[int]] = {}
    for index, tree in enumerate(trees):
        apart.setdefault(tree, []).append(index)
    alone = [[index] for index in apart.pop(-1, [])]
    deepest = max((len(members) for members in apart.values()), default=0)
    return alone + [[members[row] for members in apart.values() if row < len(members)] for row in range(deepest)]


def _dof_above(model: Any, body: int) -> int:
    """A degree of freedom that moves a body; -1 if none does."""
    while body and not model.body_dofnum[body]:
        body = int(model.body_parentid[body])
    return int(model.body_dofadr[body]) if body else -1
