"""What an exploded simulation left behind: model, last finite state and control in one file, and what is wrong with it.

The file is a plain `.npz` without pickled objects: `model` (MJCF text as bytes), `field/NAME` (fields of the row's own model that differ from it),
`state` (MuJoCo's integration state) and `ctrl`. `isthmus view --dump FILE` opens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from isthmus import strict
from isthmus.files import whole_file
from isthmus.records import Array
from isthmus_sim.explosions import quiet_mujoco

__all__ = ["Dump", "diagnose", "finite_steps", "load_dump", "save_dump"]

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_FIELD = "field/"
_FAST = 100.0  # rad/s or m/s, faster than any joint of a robot
_OPTION = "opt."
_SECONDS = 1.0  # how far ahead a diagnosis looks


@dataclass(frozen=True, slots=True)
class Dump:
    """One simulation before it exploded.

    Attributes:
        model: MjModel.
        data: MjData, forward computed.
    """

    model: Any
    data: Any


def save_dump(path: Path, model: str, row_fields: Mapping[str, Array], state: Array, ctrl: Array) -> None:
    """Write a dump.

    Args:
        path: `.npz` file; its folder is created.
        model: MJCF of the batch's model (`MjSpec.to_xml`).
        row_fields: values of the row's own model fields, by their name in MjModel (`opt.NAME` for options).
        state: `mjSTATE_INTEGRATION` before the step that exploded, `[nstate]`.
        ctrl: control of that step, `[nu]`.
    """
    arrays: dict[str, Any] = {_FIELD + name: np.asarray(values) for name, values in row_fields.items()}
    arrays |= {"model": np.frombuffer(model.encode(), np.uint8), "state": state, "ctrl": ctrl}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_dump(path: Path) -> Dump:
    """Read a dump.

    Raises:
        ValueError: no dump, or its arrays do not fit its model; the message names the array.
        OSError: the file cannot be read.
    """
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError):
        raise ValueError(f"{path} is not a dump of a simulation (an .npz file with model, state and ctrl)") from None
    for name in ("model", "state", "ctrl"):
        if name not in arrays:
            raise ValueError(f"{path}: array {name!r} is missing; it has: {', '.join(sorted(arrays)) or 'none'}")
    try:
        model = mujoco.MjModel.from_xml_string(arrays["model"].tobytes().decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the model cannot be compiled: {error}") from None
    for name, values in arrays.items():
        if name.startswith(_FIELD):
            _set_field(path, model, name.removeprefix(_FIELD), values)
    data = mujoco.MjData(model)
    for name, size in (("state", mujoco.mj_stateSize(model, _STATE)), ("ctrl", model.nu)):
        if arrays[name].shape != (size,):
            raise ValueError(f"{path}: {name!r} must be [{size}] for this model, got {list(arrays[name].shape)}")
    mujoco.mj_setState(model, data, arrays["state"].astype(np.float64), _STATE)
    data.ctrl[:] = arrays["ctrl"]
    mujoco.mj_forward(model, data)
    return Dump(model, data)


def diagnose(dump: Dump) -> list[tuple[str, str]]:
    """What is conspicuous, as pairs of a name and a sentence: fastest and most accelerated joint, energy, deepest contact, future."""
    model, data = dump.model, dump.data
    found = [("time", f"{data.time:.4f} s")]
    if model.nv:
        for what, values, unit in (("velocity", data.qvel, "/s"), ("acceleration", data.qacc, "/s²")):
            place = int(np.argmax(np.where(np.isfinite(values), np.abs(values), np.inf)))
            name, base = _joint_of(model, place)
            note = " (too fast)" if what == "velocity" and not abs(values[place]) < _FAST else ""
            found.append((f"largest {what}", f"{values[place]:.4g} {base}{unit} at {name}{note}"))
    mujoco.mj_energyPos(model, data)
    mujoco.mj_energyVel(model, data)
    found.append(("energy", f"potential {data.energy[0]:.4g} J, kinetic {data.energy[1]:.4g} J"))
    found.append(("deepest contact", _deepest(model, data)))
    found.append(("from there", _future(model, data)))
    return found


def finite_steps(dump: Dump, seconds: float) -> Iterator[None]:
    """Step the dump's data, one physics step per item, for so long or until it is not finite any more."""
    model, data = dump.model, dump.data
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    for _ in range(round(seconds / model.opt.timestep)):
        yield
        with quiet_mujoco():
            mujoco.mj_step(model, data)
        if not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
            return


def _future(model: Any, data: Any) -> str:
    following = Dump(model, mujoco.MjData(model))
    mujoco.mj_copyData(following.data, model, data)
    steps = sum(1 for _ in finite_steps(following, _SECONDS))
    bad = np.flatnonzero(~np.isfinite(following.data.qvel))
    if not bad.size:
        return f"stays finite for {_SECONDS:g} s under this control"
    where = ", ".join(dict.fromkeys(_joint_of(model, int(dof))[0] for dof in bad[:3]))
    return f"not finite after {steps} steps of {1000 * model.opt.timestep:g} ms, at {where}{' …' if bad.size > 3 else ''}"


def _deepest(model: Any, data: Any) -> str:
    if not data.ncon:
        return "none"
    contact = min(data.contact, key=lambda contact: float(contact.dist))
    names = [model.geom(geom).name or f"{model.body(model.geom_bodyid[geom]).name}" for geom in contact.geom]
    return f"{1000 * max(-contact.dist, 0.0):.3g} mm between {names[0]} and {names[1]}"


def _joint_of(model: Any, dof: int) -> tuple[str, str]:
    """Name of the joint that a degree of freedom belongs to, and its unit."""
    joint = int(model.dof_jntid[dof])
    kind, place = model.jnt_type[joint], dof - model.jnt_dofadr[joint]
    name = model.joint(joint).name or f"joint of {model.body(model.jnt_bodyid[joint]).name}"
    if kind == mujoco.mjtJoint.mjJNT_FREE:
        return f"{name}.{('x', 'y', 'z', 'rx', 'ry', 'rz')[place]}", "m" if place < 3 else "rad"
    return name, "m" if kind == mujoco.mjtJoint.mjJNT_SLIDE else "rad"


def _set_field(path: Path, model: Any, name: str, values: Array) -> None:
    owner, field = (model.opt, name.removeprefix(_OPTION)) if name.startswith(_OPTION) else (model, name)
    known = [key for key in dir(owner) if not key.startswith("_") and isinstance(getattr(owner, key), (np.ndarray, float, int))]
    if field not in known:
        raise ValueError(f"{path}: MuJoCo's model has no field {name!r}; {strict.suggest(field, known)}")
    current = getattr(owner, field)
    if np.shape(current) != values.shape:
        raise ValueError(f"{path}: {_FIELD + name!r} must be {list(np.shape(current))} for this model, got {list(values.shape)}")
    if isinstance(current, np.ndarray):
        current[...] = values
    else:
        setattr(owner, field, type(current)(values))
