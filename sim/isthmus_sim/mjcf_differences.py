"""What an MJCF file says and a profile cannot: a line each, from the compiled model and from comparing it with the profile that was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mujoco
import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.robot import Robot

__all__ = ["actuator_notes", "apart_from_file", "left_out", "option_notes"]

GRAVITY = (0.0, 0.0, -9.81)  # m/s², of both engines
PHYSICS = ("actuation", "clampctrl", "constraint", "damper", "equality", "frictionloss", "gravity", "limit", "spring")  # with a flag
POSES = 4  # in which the file and the profile are compared, the home pose first
NEAR = 1e-6  # m
SHARE = 0.01  # of an effort or of the largest inertia, that is worth a line

_FREE = int(mujoco.mjtJoint.mjJNT_FREE)
_FIXED, _AFFINE, _NONE = int(mujoco.mjtGain.mjGAIN_FIXED), int(mujoco.mjtBias.mjBIAS_AFFINE), int(mujoco.mjtBias.mjBIAS_NONE)


def left_out(model: Any, actuators: Mapping[int, int]) -> list[str]:
    """What has no counterpart in a profile.

    Args:
        model: compiled.
        actuators: joint → the actuator that the profile takes.
    """
    dofs = [int(model.jnt_dofadr[joint]) for joint in range(model.njnt) if model.jnt_type[joint] != _FREE]
    armed = {int(model.jnt_dofadr[joint]) for joint in actuators}
    kinds = (
        (model.neq, "equality constraints"),
        (model.ntendon, "tendons"),
        (model.nsite, "sites"),
        (model.nsensor, "sensors"),
        (model.ncam, "cameras"),
        (model.ntex, "textures"),
        (model.nflex + model.nskin, "flexible bodies and skins"),
        (model.nplugin, "plugins"),
        (model.nexclude + model.npair, "contact pairs and excludes"),
        (int((model.geom_bodyid == 0).sum()), "shapes of the world"),
        (sum(model.key(key).name != "home" for key in range(model.nkey)), "keyframes other than home"),
        (sum(bool(np.any(model.jnt_stiffness[joint])) for joint in range(model.njnt)), "springs of joints"),
        (sum(dof not in armed and model.dof_armature[dof] > 0 for dof in dofs), "rotors of joints without an actuator"),
        (int(np.any(model.dof_dampingpoly, axis=-1).sum()), "dampers that are not linear"),
    )
    lines = [f"{count} {what} left out: a profile has none" for count, what in kinds if count]
    if others := [model.actuator(number).name or str(number) for number in range(model.nu) if number not in actuators.values()]:
        lines.append(f"actuators left out, as they drive no joint or one that has another: {', '.join(others)}")
    return lines


def option_notes(model: Any, bodies: Mapping[int, str]) -> Iterator[str]:
    """Physics of the whole model that no plant takes over; `bodies` are those of the robot, with their names."""
    if not np.allclose(model.opt.gravity, GRAVITY, rtol=0, atol=1e-9):
        yield f"option gravity {_text(model.opt.gravity)} m/s² left out: both engines have {_text(GRAVITY)}"
    if medium := [word for word in ("density", "viscosity", "wind") if np.any(getattr(model.opt, word))]:
        yield f"option {', '.join(f'{word} {_text(getattr(model.opt, word))}' for word in medium)} left out: a robot moves in nothing"
    if flags := [name for name in PHYSICS if model.opt.disableflags & getattr(mujoco.mjtDisableBit, f"mjDSBL_{name.upper()}")]:
        yield f"what the file switches off stays on: {', '.join(flags)}"
    if compensated := [name for body, name in bodies.items() if model.body_gravcomp[body]]:
        yield f"gravity compensation (gravcomp) of {', '.join(compensated)} left out: motors carry the whole weight"


def actuator_notes(model: Any, actuators: Mapping[int, int], names: Mapping[int, str]) -> list[str]:
    """What of the actuators the profile does not say, a line for all joints of which the same is to be said.

    Args:
        model: compiled.
        actuators: joint → the actuator that the profile takes.
        names: joint → name of those of the robot.
    """
    told: dict[str, list[str]] = {}
    for joint, actuator in actuators.items():
        if joint in names:
            for line in _of_actuator(model, joint, actuator):
                told.setdefault(line, []).append(names[joint])
    return [f"actuator of {', '.join(joints)}: {line}" for line, joints in told.items()]


def _of_actuator(model: Any, joint: int, actuator: int) -> Iterator[str]:
    gain, bias = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
    gear = float(model.actuator_gear[actuator, 0])
    affine = int(model.actuator_biastype[actuator]) == _AFFINE
    motor = int(model.actuator_gaintype[actuator]) == _FIXED and int(model.actuator_biastype[actuator]) == _NONE
    dynamics = mujoco.mjtDyn(int(model.actuator_dyntype[actuator])).name.removeprefix("mjDYN_").lower()
    if int(model.actuator_gaintype[actuator]) != _FIXED or dynamics != "none":
        kind = mujoco.mjtGain(int(model.actuator_gaintype[actuator])).name.removeprefix("mjGAIN_").lower()
        yield f"its gain ({kind}) and dynamics ({dynamics}) are left out, the profile has a servo"
    if gear < 0 or (affine and gear != 1):
        yield f"its commands have the gear {_text(gear)}, those of the profile are of the joint itself"
    if affine and bias[1] < 0:
        if gain[0] != -bias[1] or bias[0]:
            yield f"its force is {_text(gain[0])} × command {_terms(bias)}, the profile has a servo with the stiffness alone"
        if model.actuator_ctrllimited[actuator] and gear:
            low, high = sorted(float(end) / gear for end in model.actuator_ctrlrange[actuator])
            limited = bool(model.jnt_limited[joint])
            ends = model.jnt_range[joint] if limited else (-np.inf, np.inf)
            slack = SHARE * (high - low)
            if low > ends[0] + slack or high < ends[1] - slack:
                stays = f"{_text(ends)} as the joint's limits" if limited else "no limits, as the joint"
                yield f"its commands (ctrlrange) end at {_text((low, high))}, the profile has {stays}"
    elif affine and bias[2] < 0:
        yield f"it is a servo of velocity with kv {_text(-bias[2])}, the profile's servo has guessed gains"
    elif affine:
        yield f"its bias ({_terms(bias)}) is left out"
    for what, limited, ends in (
        ("forcerange", model.actuator_forcelimited[actuator], model.actuator_forcerange[actuator]),
        ("ctrlrange", model.actuator_ctrllimited[actuator] and motor, model.actuator_ctrlrange[actuator]),
        ("actuatorfrcrange", model.jnt_actfrclimited[joint], model.jnt_actfrcrange[joint]),
    ):
        if limited and not np.isclose(ends[0], -ends[1], rtol=1e-6):
            yield f"its {what} {_text(ends)} is not the same to both sides, the profile's effort is that of the stronger one"


def apart_from_file(model: Any, root: int, names: Mapping[int, str], joints: Mapping[int, str], robot: Robot) -> list[str]:
    """How a profile differs from the file that it was made from: places of links, inertia, and the effort that holds the home pose.

    Args:
        model: compiled from the file.
        root: body at which the robot begins.
        names: body → link.
        joints: joint → name of those that the profile may have.
        robot: the profile.
    """
    places = {name: joint for joint, name in joints.items()}
    own = [places[name] for name in robot.joint_names]
    positions, dofs = model.jnt_qposadr[own], model.jnt_dofadr[own]
    low, high = (np.clip([joint.position[end] for joint in robot.joints], -np.pi, np.pi) for end in (0, 1))
    drawn = np.random.default_rng(0).uniform(np.minimum(low, high), np.maximum(low, high), (POSES - 1, len(own)))
    poses = np.concatenate([robot.home[None], drawn])
    kinematics = Kinematics(robot.urdf_path)
    links = kinematics.poses(robot.joint_names, poses, list(names.values()))
    masses = kinematics.mass_matrix(robot.joint_names, poses)
    data, far, heavy = mujoco.MjData(model), ("", 0.0), 0.0
    lines: list[str] = []
    for index, pose in enumerate(poses):
        data.qpos[:] = model.qpos0
        data.qpos[model.jnt_qposadr[list(joints)]] = 0.0  # joints that the profile does not command
        data.qpos[positions] = pose
        mujoco.mj_forward(model, data)
        base = links[names[root]]
        turned = data.xmat[root].reshape(3, 3)
        for body, name in names.items():
            theirs = turned.T @ (data.xpos[body] - data.xpos[root])
            ours = base.rotation[index].T @ (links[name].position[index] - base.position[index])
            far = max(far, (name, float(np.abs(theirs - ours).max())), key=lambda pair: pair[1])
        full = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, full)
        theirs = full[np.ix_(dofs, dofs)] - np.diag(model.dof_armature[dofs])
        heavy = max(heavy, float(np.abs(theirs - masses[index]).max() / np.abs(theirs).max()))
        if index == 0 and robot.base.kind == "fixed":
            held = kinematics.gravity(robot.joint_names, pose[None])[0]
            lines += _held(robot, data.qfrc_bias[dofs] - data.qfrc_passive[dofs], held)
    if far[1] > NEAR:
        lines.append(f"link {far[0]} is up to {far[1]:.2g} m from where the file has it")
    if heavy > SHARE:
        lines.append(f"the mass matrix differs from that of the file by {heavy:.2g} of the largest inertia")
    return lines


def _held(robot: Robot, theirs: Any, ours: Any) -> Iterator[str]:
    """Efforts that hold the robot at home, `[J]` each."""
    differ = np.abs(ours - theirs) > SHARE * np.maximum(np.abs(ours), np.abs(theirs)) + NEAR
    told = [
        f"{joint.name} {mine:.3g} {joint.unit('effort').replace('*', '·')} instead of {other:.3g}"
        for joint, mine, other, differs in zip(robot.joints, ours.tolist(), theirs.tolist(), differ, strict=True)
        if differs
    ]
    if told:
        yield f"what holds the robot at home is not what the file needs (gravity, gravcomp, springs): {', '.join(told)}"


def _terms(bias: Sequence[float]) -> str:
    """The bias of an actuator's force."""
    what = ("", " × position", " × velocity")
    return " ".join(f"{'-' if bias[i] < 0 else '+'} {_text(abs(bias[i]))}{what[i]}" for i in range(3) if bias[i])


def _text(values: Any) -> str:
    return " ".join(f"{value:.6g}" for value in np.atleast_1d(values))
