"""How the named parameters are written into the per-simulation model fields of a MuJoCo batch.

The model is a robot in its scene, or any other: a joint or body is found by its name, and what is not named keeps the value that the model has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import mujoco
import numpy as np

from isthmus.records import Array
from isthmus_sim.inertia import LOG_CHOLESKY, from_log_cholesky, from_pseudo_inertia, point_mass, pseudo_inertia, to_log_cholesky
from isthmus_sim.parameters import Parameter
from isthmus_sim.plants.mujoco_friction import FRICTION_LAW, FrictionLaw
from isthmus_sim.plants.mujoco_model import pair_friction

__all__ = ["ELSEWHERE", "RowParameters", "nominal_log_cholesky"]

ELSEWHERE = (
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
"""What the plant sees to itself: no field of the model. Nor is the `offset` of an encoder one."""
_DERIVED = ("armature", "x", "y", "z", "yaw")
"""Quantities, beside those of mass, from which MuJoCo derives constants."""
_MASS = ("mass", "inertia", "com_x", "com_y", "com_z", *LOG_CHOLESKY)
_PAYLOAD = ("payload", "payload.x", "payload.y", "payload.z")


class RowParameters:
    """Writes parameters of rows. A field becomes per-simulation when a parameter that needs it is first named; until then it costs nothing.

    Attributes:
        friction: to be applied before each physics step; None while the friction of all joints is Coulomb's and viscous alone.
    """

    friction: FrictionLaw | None = None

    def __init__(
        self,
        model: Any,
        batch: Any,
        table: Mapping[str, Parameter],
        *,
        tool: str,
        casters: Collection[str] = (),
        scene: Collection[str] = (),
    ) -> None:
        """Find joints and actuators.

        Args:
            model: compiled.
            batch: of this model.
            table: what each name means, and its nominal value.
            tool: body that carries the payload.
            casters: bodies that slide without friction where they touch.
            scene: bodies whose friction is that of named contact pairs, see `mujoco_model`.
        """
        self._model, self._batch, self._table, self._tool = model, batch, table, tool
        self._casters, self._scene = casters, scene
        self._joints = {model.joint(number).name: model.joint(number) for number in range(model.njnt)}
        self._actuators = {}
        for number in range(model.nu):
            if model.actuator_trntype[number] == mujoco.mjtTrn.mjTRN_JOINT:
                self._actuators[model.joint(model.actuator_trnid[number, 0]).name] = number
        self._changed: set[str] = set()
        self._fields: dict[str, Array] = {}

    def fields(self, row: int) -> dict[str, Array]:
        """The fields of the model that are the row's own, by name."""
        return {name: values[row].copy() for name, values in self._fields.items()}

    def dry_friction(self, row: int) -> Array:
        """The friction law of every degree of freedom, `[4, nv]`, see `mujoco_friction.dry_friction`."""
        return (self.friction or FrictionLaw(self._batch, self._field("dof_frictionloss"))).of(row)

    def write(self, ids: Array, values: Mapping[str, Array]) -> None:
        """Write the named parameters of the rows, and the nominal value of every parameter that was ever changed."""
        self._changed |= {name for name in values if name not in ELSEWHERE and not name.endswith(".offset")}
        if not self._changed:
            return
        count = len(ids)

        def value(name: str) -> Array:
            return values.get(name, np.full(count, self._table[name].nominal if name in self._table else 0.0))

        done: set[tuple[str, str]] = set()
        derived = False
        for name in sorted(self._changed):
            target, _, quantity = name.rpartition(".")
            if name in _PAYLOAD:
                target, quantity = self._tool, "mass"
            group = _group(quantity)
            derived |= quantity in _DERIVED or group == "mass"
            if (target, group) in done:
                continue
            done.add((target, group))
            if not target:
                self._write_general(ids, name, value)
            elif group == "mass":
                self._write_inertia(ids, target, value)
            elif group == "friction":
                self._write_friction(ids, target, value)
            elif group == "x":
                self._write_place(ids, target, value)
            else:
                self._write_joint(ids, target, quantity, value)
        if derived:
            self._batch.set_const(ids)

    def _write_general(self, ids: Array, name: str, value: Any) -> None:
        if name == "gravity":
            row = value(name)
            self._field("opt.gravity")[ids] = np.stack([0 * row, 0 * row, -row], axis=1)
        else:  # joint_damping
            for joint in self._actuators:
                self._write_joint(ids, joint, "damping", value)

    def _write_joint(self, ids: Array, joint: str, quantity: str, value: Any) -> None:
        place = self._joints[joint]
        address = place.dofadr[0]
        if quantity == "damping":
            own = value(f"{joint}.damping") if f"{joint}.damping" in self._table else self._model.dof_damping[address]
            extra = value("joint_damping") if joint in self._actuators else 0.0
            self._field("dof_damping")[ids, address] = own + extra
        elif quantity == "armature":
            self._field("dof_armature")[ids, address] = value(f"{joint}.armature")
        elif quantity in ("frictionloss", *FRICTION_LAW):
            self._write_dry_friction(ids, joint, value)
        elif quantity == "stiffness":
            self._field("jnt_stiffness")[ids, place.id] = value(f"{joint}.stiffness")
        elif quantity == "no_load_speed":
            actuator, fastest = self._actuators[joint], value(f"{joint}.no_load_speed")
            stall = self._model.actuator_forcerange[actuator, 1]
            self._field("actuator_gainprm")[ids, actuator, 0] = 1 / (fastest * stall)
            self._field("actuator_gainprm")[ids, actuator, 1] = 1 / fastest
        else:
            self._write_gains(ids, joint, value)

    def _write_dry_friction(self, ids: Array, joint: str, value: Any) -> None:
        field, address = self._field("dof_frictionloss"), int(self._joints[joint].dofadr[0])
        field[ids, address] = value(f"{joint}.frictionloss")
        if self._changed & {f"{joint}.{quantity}" for quantity in FRICTION_LAW}:
            self.friction = self.friction or FrictionLaw(self._batch, field)
            self.friction.set(ids, address, np.stack([value(f"{joint}.{quantity}") for quantity in ("frictionloss", *FRICTION_LAW)]))

    def _write_gains(self, ids: Array, joint: str, value: Any) -> None:
        """Gains of a servo, or the force of a motor for its command: `damping_gain` scales the part of the velocity alone."""
        actuator = self._actuators[joint]
        factor = np.ones(len(ids))
        for name in (f"{joint}.gain", f"{joint}.torque_scale", f"{joint}.drive_gain"):
            if name in self._changed:
                factor = factor * value(name)
        motor = self._model.actuator_gaintype[actuator] == mujoco.mjtGain.mjGAIN_DCMOTOR
        columns = slice(4, 7) if motor else slice(0, 1)  # where a DC motor keeps its controller's gains
        self._field("actuator_gainprm")[ids, actuator, columns] = self._model.actuator_gainprm[actuator, columns] * factor[:, None]
        if not motor:
            damping = value(f"{joint}.damping_gain") if f"{joint}.damping_gain" in self._table else np.ones(len(ids))
            bias = self._model.actuator_biasprm[actuator, :3] * factor[:, None]
            bias[:, 2] *= damping
            self._field("actuator_biasprm")[ids, actuator, :3] = bias

    def _write_inertia(self, ids: Array, name: str, value: Any) -> None:
        number, count = self._model.body(name).id, len(ids)
        named = {quantity for quantity in _MASS if f"{name}.{quantity}" in self._changed}
        loaded = name == self._tool and any(part in self._changed for part in _PAYLOAD)
        nominal = float(self._model.body_mass[number])
        mass = value(f"{name}.mass") if "mass" in named else np.full(count, nominal)
        factor = (mass / nominal if nominal > 0 else np.ones(count)) * (value(f"{name}.inertia") if "inertia" in named else 1.0)
        moments = self._model.body_inertia[number] * factor[:, None]
        centre = np.tile(self._model.body_ipos[number], (count, 1))
        for index, axis in enumerate("xyz"):
            if f"com_{axis}" in named:
                centre[:, index] = value(f"{name}.com_{axis}")
        whole = named & set(LOG_CHOLESKY)
        if whole or loaded:
            turn = _body_rotation(self._model, number)
            inertia = pseudo_inertia(mass, centre, moments, np.tile(turn, (count, 1, 1)))
            if whole:
                inertia = from_log_cholesky(np.stack([value(f"{name}.{quantity}") for quantity in LOG_CHOLESKY], axis=-1))
            if loaded:
                inertia = inertia + point_mass(value("payload"), np.stack([value(f"payload.{axis}") for axis in "xyz"], axis=-1))
            mass, centre, moments, rotation = from_pseudo_inertia(inertia)
            self._field("body_iquat")[ids, number] = _quaternions(rotation)
        self._field("body_mass")[ids, number] = mass
        self._field("body_inertia")[ids, number] = moments
        if whole or loaded or named & {"com_x", "com_y", "com_z"}:
            self._field("body_ipos")[ids, number] = centre

    def _write_place(self, ids: Array, name: str, value: Any) -> None:
        number = self._model.body(name).id
        self._field("body_pos")[ids, number] = np.stack([value(f"{name}.{axis}") for axis in "xyz"], axis=1)
        if f"{name}.yaw" in self._table:
            half, (w, x, y, z) = value(f"{name}.yaw") / 2, self._model.body_quat[number]
            cos, sin = np.cos(half), np.sin(half)
            turned = [cos * w - sin * z, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w]
            self._field("body_quat")[ids, number] = np.stack(turned, axis=1)

    def _field(self, name: str) -> Array:
        if name not in self._fields:
            self._fields[name] = self._batch.expand(name)
        return self._fields[name]

    def _write_friction(self, ids: Array, name: str, value: Any) -> None:
        if name not in self._scene:
            first = self._model.body_geomadr[self._model.body(name).id]
            for geom in range(first, first + self._model.body_geomnum[self._model.body(name).id]):
                self._field("geom_friction")[ids, geom, 0] = value(f"{name}.friction")
            return

        def coefficients(body: str) -> tuple[Array, Array]:
            if body not in self._scene:
                return np.full(len(ids), float(body not in self._casters)), np.zeros(len(ids))
            return value(f"{body}.friction"), value(f"{body}.torsional_friction")

        field = self._field("pair_friction")
        for pair in range(self._model.npair):
            one, other = self._model.pair(pair).name.split(":")
            one, other = one.rpartition("/")[0], other.rpartition("/")[0]
            if name in (one, other):
                field[ids, pair] = pair_friction(coefficients(one), coefficients(other))


def _group(quantity: str) -> str:
    """Quantities that are written together."""
    together = {"yaw": "x", "y": "x", "z": "x", "torsional_friction": "friction", "damping_gain": "gain"}
    together |= dict.fromkeys(("torque_scale", "drive_gain"), "gain") | dict.fromkeys(FRICTION_LAW, "frictionloss")
    return "mass" if quantity in _MASS else together.get(quantity, quantity)


def _body_rotation(model: Any, number: int) -> Array:
    """Of the principal axes of a body in its frame, `[3, 3]`."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, model.body_iquat[number])
    return matrix.reshape(3, 3)


def _body_pseudo_inertia(model: Any, number: int) -> Array:
    """Of a body of a compiled model, `[4, 4]`."""
    mass = np.asarray(model.body_mass[number], dtype=np.float64)
    return pseudo_inertia(mass, model.body_ipos[number], model.body_inertia[number], _body_rotation(model, number))


def nominal_log_cholesky(model: Any, number: int) -> Array:
    """The ten numbers of a body of a compiled model.

    Raises:
        ValueError: it has no mass, or its inertia is that of no mass density.
    """
    return to_log_cholesky(_body_pseudo_inertia(model, number))


def _quaternions(rotation: Array) -> Array:
    """Of rotation matrices, `[n, 3, 3]` → `[n, 4]`, w first."""
    result = np.empty((len(rotation), 4))
    for row, matrix in zip(result, rotation, strict=True):
        mujoco.mju_mat2Quat(row, matrix.ravel())
    return result
