"""How the named parameters are written into the per-simulation model fields of a MuJoCo batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.parameters import parameter_table
from isthmus_sim.plants.mujoco_model import pair_friction
from isthmus_sim.scene import Scene

__all__ = ["RowParameters"]

_ELSEWHERE = (
    "action_delay",
    "action_lag",
    "observation_delay",
    "position_noise",
    "velocity_noise",
    "pose_noise",
    "push_x",
    "push_y",
    "push_z",
    "push_time",
    "push_duration",
)
"""What the plant sees to itself: no field of the model."""
_DERIVED = ("mass", "inertia", "com_x", "com_y", "com_z", "armature", "x", "y", "z", "yaw")
"""Quantities from which MuJoCo derives constants."""


class RowParameters:
    """Writes parameters of rows. A field becomes per-simulation when a parameter that needs it is first named; until then it costs nothing."""

    def __init__(self, model: Any, batch: Any, robot: Robot, scene: Scene) -> None:
        self._model, self._batch, self._robot, self._scene = model, batch, robot, scene
        self._table = parameter_table(robot, scene)
        self._joints = {name: model.joint(name) for name in (robot.base.wheels or robot.joint_names)}
        self._bodies = {body.name: body for body in scene.bodies}
        self._changed: set[str] = set()
        self._fields: dict[str, Array] = {}

    def fields(self, row: int) -> dict[str, Array]:
        """The fields of the model that are the row's own, by name."""
        return {name: values[row].copy() for name, values in self._fields.items()}

    def write(self, ids: Array, values: Mapping[str, Array]) -> None:
        """Write the named parameters of the rows, and the nominal value of every parameter that was ever changed."""
        self._changed |= {name for name in values if name not in _ELSEWHERE}
        if not self._changed:
            return
        count = len(ids)

        def value(name: str) -> Array:
            return values.get(name, np.full(count, self._table[name].nominal))

        done: set[tuple[str, str]] = set()
        derived = False
        for name in sorted(self._changed):
            target, _, quantity = name.rpartition(".")
            derived |= quantity in _DERIVED or name == "payload"
            if not target:
                self._write_general(ids, name, value)
            elif target in self._joints:
                self._write_joint(ids, target, quantity, value)
            else:
                group = {"inertia": "mass", "yaw": "x", "y": "x", "z": "x", "torsional_friction": "friction"}.get(quantity, quantity)
                group = "com" if group.startswith("com_") else group
                if (target, group) not in done:
                    done.add((target, group))
                    self._write_body(ids, target, group, value)
        if derived:
            self._batch.set_const(ids)

    def _write_general(self, ids: Array, name: str, value: Any) -> None:
        if name == "gravity":
            row = value(name)
            self._field("opt.gravity")[ids] = np.stack([0 * row, 0 * row, -row], axis=1)
        elif name == "payload":
            tool = self._model.body(self._robot.tool_frame).id
            self._field("body_mass")[ids, tool] = self._model.body_mass[tool] + value(name)
        else:  # joint_damping
            for joint in self._joints:
                self._write_joint(ids, joint, "damping", value)

    def _write_joint(self, ids: Array, joint: str, quantity: str, value: Any) -> None:
        address = self._joints[joint].dofadr[0]
        if quantity == "damping":
            own = value(f"{joint}.damping") if f"{joint}.damping" in self._table else self._model.dof_damping[address]
            self._field("dof_damping")[ids, address] = own + value("joint_damping")
        elif quantity in ("frictionloss", "armature"):
            self._field(f"dof_{quantity}")[ids, address] = value(f"{joint}.{quantity}")
        elif quantity == "no_load_speed":
            actuator, fastest = self._model.actuator(joint).id, value(f"{joint}.no_load_speed")
            stall = self._model.actuator_forcerange[actuator, 1]
            self._field("actuator_gainprm")[ids, actuator, 0] = 1 / (fastest * stall)
            self._field("actuator_gainprm")[ids, actuator, 1] = 1 / fastest
        else:  # gain
            actuator, factor = self._model.actuator(joint).id, value(f"{joint}.gain")
            motor = self._model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_DCMOTOR
            columns = slice(4, 7) if motor else slice(0, 1)  # where a DC motor keeps its controller's gains
            self._field("actuator_gainprm")[ids, actuator, columns] = self._model.actuator_gainprm[actuator, columns] * factor[:, None]
            if not motor:
                bias = self._model.actuator_biasprm[actuator, :3]
                self._field("actuator_biasprm")[ids, actuator, :3] = bias * factor[:, None]

    def _write_body(self, ids: Array, name: str, group: str, value: Any) -> None:
        body, number = self._bodies[name], self._model.body(name).id
        if group == "mass":
            mass = value(f"{name}.mass")
            self._field("body_mass")[ids, number] = mass
            factor = mass / body.mass * value(f"{name}.inertia")
            self._field("body_inertia")[ids, number] = self._model.body_inertia[number] * factor[:, None]
        elif group == "com":
            self._field("body_ipos")[ids, number] = np.stack([value(f"{name}.com_{axis}") for axis in "xyz"], axis=1)
        elif group == "friction":
            self._write_friction(ids, name, value)
        elif group == "x":
            self._field("body_pos")[ids, number] = np.stack([value(f"{name}.{axis}") for axis in "xyz"], axis=1)
            if f"{name}.yaw" in self._table:
                half, (w, x, y, z) = value(f"{name}.yaw") / 2, self._model.body_quat[number]
                cos, sin = np.cos(half), np.sin(half)
                turned = [cos * w - sin * z, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w]
                self._field("body_quat")[ids, number] = np.stack(turned, axis=1)
        else:
            joint = self._model.joint(name)
            field, address = ("jnt_stiffness", joint.id) if group == "stiffness" else (f"dof_{group}", joint.dofadr[0])
            self._field(field)[ids, address] = value(f"{name}.{group}")

    def _field(self, name: str) -> Array:
        if name not in self._fields:
            self._fields[name] = self._batch.expand(name)
        return self._fields[name]

    def _write_friction(self, ids: Array, name: str, value: Any) -> None:
        def coefficients(body: str) -> tuple[Array, Array]:
            if body not in self._bodies:
                return np.full(len(ids), float(body not in self._robot.base.casters)), np.zeros(len(ids))
            return value(f"{body}.friction"), value(f"{body}.torsional_friction")

        field = self._field("pair_friction")
        for pair in range(self._model.npair):
            first, second = self._model.pair(pair).name.split(":")
            first, second = first.rpartition("/")[0], second.rpartition("/")[0]
            if name in (first, second):
                field[ids, pair] = pair_friction(coefficients(first), coefficients(second))
