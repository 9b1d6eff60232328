"""Whether the engines that are installed see the robot that its profile describes: what differs is told in a line each."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from isthmus.kinematics import Kinematics
from isthmus.records import Array, Command
from isthmus.robot import Robot
from isthmus_sim.plants import make_plant
from isthmus_sim.scene import Scene

__all__ = ["EngineReport", "compare_engines"]

ENGINES = ("mujoco", "pybullet")
POSES = 8  # in which kinematics and masses are compared
STEP, RELEASED, FALL = 0.001, 0.1, 1.0  # s: physics step, time until the engines are compared, and of the whole fall
HOLD = 1.0  # s
NEAR = 1e-6  # m
LIGHT = 1e-4  # of the largest inertia
APART = 0.01, 0.1  # rad or m, and share of the motion, by which freely falling joints may differ
RESTLESS, SAG = 0.5, 0.05  # rad/s or m/s at the end of holding, and rad or m from home, that are worth a line
WILD = 1e3  # rad/s or m/s


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What was found.

    Attributes:
        lines: what differs, one sentence each.
        broken: engines that are installed and cannot load the robot.
        apart: engine → how far a link is at most from where the profile's kinematics have it, m, and by what share of the largest inertia its mass
            matrix differs; only of engines that were compared.
    """

    lines: tuple[str, ...]
    broken: tuple[str, ...]
    apart: Mapping[str, tuple[float, float]]


class _Engine(Protocol):
    """One engine with the robot in it, and nothing around it."""

    def positions(self, position: Array) -> Mapping[str, Array]:
        """Link → position `[3]` in the root's frame, m, with the joints at `position` `[J]`."""
        ...

    def mass_matrix(self, position: Array) -> Array:
        """`[J, J]`, without rotors."""
        ...

    def travel(self) -> list[tuple[float, float]]:
        """Limits that it enforces per joint; infinite for none."""
        ...

    def fall(self) -> tuple[Array, Array]:
        """Let go in the home pose: joint positions after `RELEASED` s, and the largest speeds in `FALL` s, `[J]` each."""
        ...


def compare_engines(robot: Robot) -> EngineReport:
    """Build the robot in every engine that is installed, and compare: kinematics, masses, limits, a second of holding and one of falling.

    Args:
        robot: profile; of a differential drive only the loading is tried.
    """
    lines = _weak(robot)
    broken: list[str] = []
    engines: dict[str, _Engine] = {}
    for name in ENGINES:
        if importlib.util.find_spec(name) is None:
            lines.append(f"{name} is not installed: not compared")
            continue
        try:
            modes = [mode for mode in ("position", *robot.command_modes) if mode in robot.command_modes]
            held = _hold(name, robot, modes[0])
            if robot.base.kind != "differential":
                engines[name] = (_Mujoco if name == "mujoco" else _Bullet)(robot)
        except OSError:
            raise  # the disk is full, and no engine to blame
        except Exception as error:
            broken.append(name)
            lines.append(f"{name} cannot load it: {' '.join(str(error).split())}")
        else:
            lines += held
    falls, apart = {}, {}
    for name, engine in engines.items():
        far, heavy = _away(robot, engine)
        apart[name] = far[1], heavy
        lines += [f"{name}: {line}" for line in _differences(robot, engine, far, heavy)]
        falls[name], speeds = engine.fall()
        if not (np.isfinite(speeds).all() and (speeds < WILD).all()):
            lines.append(
                f"{name}: {robot.joint_names[int(np.argmax(np.nan_to_num(speeds, nan=np.inf)))]} flies off when the robot is let go"
            )
    if len(falls) == len(ENGINES):
        lines += _apart(robot, falls)
    return EngineReport(tuple(lines), tuple(broken), apart)


def _away(robot: Robot, engine: _Engine) -> tuple[tuple[str, float], float]:
    """The link that is farthest from where the profile's kinematics have it, and how far, m; the share by which the mass matrix differs."""
    kinematics = Kinematics(robot.urdf_path)
    low, high = (np.clip([joint.position[end] for joint in robot.joints], -np.pi, np.pi) for end in (0, 1))
    poses = np.random.default_rng(0).uniform(np.minimum(low, high), np.maximum(low, high), (POSES, len(robot.joints)))
    ours = kinematics.positions(robot.joint_names, poses, kinematics.links)
    far, heavy = ("", 0.0), 0.0
    for index, pose in enumerate(poses):
        for link, position in engine.positions(pose).items():
            if link in ours and not (distance := float(np.abs(position - ours[link][index]).max())) <= far[1]:
                far = link, distance
        mine = kinematics.mass_matrix(robot.joint_names, pose[None])[0]
        heavy = max(heavy, float(np.abs(engine.mass_matrix(pose) - mine).max() / np.abs(mine).max()))
    return far, heavy


def _differences(robot: Robot, engine: _Engine, far: tuple[str, float], heavy: float) -> Iterator[str]:
    if far[1] > NEAR:
        yield f"link {far[0]} is up to {far[1]:.2g} m from where the profile's kinematics have it"
    if heavy > LIGHT:
        yield f"its mass matrix differs from that of the URDF by {heavy:.2g} of the largest inertia"
    for joint, (lower, upper) in zip(robot.joints, engine.travel(), strict=True):
        if not np.allclose((lower, upper), joint.position, rtol=1e-5, atol=1e-5):
            yield f"joint {joint.name} travels {lower:.4g} … {upper:.4g}, in the profile {joint.position[0]:.4g} … {joint.position[1]:.4g}"


def _hold(name: str, robot: Robot, mode: str) -> list[str]:
    """A second in which the robot is told to stay where it is, in the air if its base floats."""
    period = float(np.clip(0.02, *robot.control_period))
    plant = make_plant(name, robot, mode=mode, period=period, scene=Scene() if robot.base.kind == "floating" else None)
    plant.reset(seeds=[0])
    if mode != "position":
        return []
    speed = np.zeros(len(robot.joints))
    for step in range(round(HOLD / period)):
        plant.write(Command(mode, robot.joint_names, robot.home[None]))
        plant.advance()
        if step >= round(HOLD / period) // 2:
            speed = np.maximum(speed, np.abs(plant.truth().velocity[0]))
    away = np.abs(plant.truth().position[0] - robot.home)
    lines, told = [], f"{name}: told to stay at home for {HOLD:g} s,"
    if not (np.isfinite(speed).all() and (speed < RESTLESS).all()):
        worst = int(np.argmax(np.nan_to_num(speed, nan=np.inf)))
        joint = robot.joints[worst]
        lines.append(f"{told} {joint.name} moves at {speed[worst]:.2g} {joint.unit('velocity')}")
    if not (away < SAG).all():
        worst = int(np.argmax(np.nan_to_num(away, nan=np.inf)))
        joint = robot.joints[worst]
        lines.append(f"{told} {joint.name} ends {away[worst]:.2g} {joint.unit('position')} from it")
    return lines


def _weak(robot: Robot) -> list[str]:
    """Joints of a robot on a fixed base whose motors cannot carry its weight at home."""
    if robot.base.kind != "fixed":
        return []
    efforts = np.abs(Kinematics(robot.urdf_path).gravity(robot.joint_names, robot.home[None])[0])
    return [
        f"joint {joint.name} needs {effort:.3g} {joint.unit('effort').replace('*', '·')} to carry the weight at home, its effort is {joint.effort:g}"
        for joint, effort in zip(robot.joints, efforts.tolist(), strict=True)
        if effort > joint.effort
    ]


def _apart(robot: Robot, falls: Mapping[str, Array]) -> list[str]:
    low, high = np.array([joint.position for joint in robot.joints]).T
    first, other = (np.clip(falls[name], low, high) for name in ENGINES)  # how soft an end stop is, a profile does not say
    moved = np.maximum(np.abs(first - robot.home), np.abs(other - robot.home))
    beyond = np.abs(first - other) - APART[0] - APART[1] * moved
    if not (beyond > 0).any():
        return []
    worst = int(np.argmax(beyond))
    told = f"{ENGINES[0]} has {robot.joint_names[worst]} at {first[worst]:.3g} and {ENGINES[1]} at {other[worst]:.3g}"
    return [f"{RELEASED:g} s after the robot was let go at home, {told} {robot.joints[worst].unit('position')}"]


class _Mujoco:
    def __init__(self, robot: Robot) -> None:
        import mujoco

        from isthmus_sim.plants.mujoco_model import build_spec, compiled

        self._mujoco, self._robot = mujoco, robot
        spec = build_spec(robot, robot.command_modes[0], STEP)
        for joint in spec.joints:
            joint.armature = 0.0  # in the model it would be too late: the inertia of a body that turns alone is computed once
        self._model = compiled(spec, robot)
        self._model.dof_damping[:] = self._model.dof_frictionloss[:] = 0.0
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
        self._data = mujoco.MjData(self._model)
        joints = [self._model.joint(name) for name in robot.joint_names]
        self._places = [int(joint.qposadr[0]) for joint in joints]
        self._dofs = [int(joint.dofadr[0]) for joint in joints]
        self._limits = [tuple(joint.range) if joint.limited[0] else (-np.inf, np.inf) for joint in joints]
        self._base = Kinematics(robot.urdf_path).base

    def positions(self, position: Array) -> Mapping[str, Array]:
        self._put(position)
        bodies = [self._data.body(index) for index in range(1, self._model.nbody)]
        base = next((body for body in bodies if body.name == self._base), self._data.body(0))
        return {body.name: base.xmat.reshape(3, 3).T @ (body.xpos - base.xpos) for body in bodies}

    def mass_matrix(self, position: Array) -> Array:
        self._put(position)
        full = np.zeros((self._model.nv, self._model.nv))
        self._mujoco.mj_fullM(self._model, self._data, full)
        return full[np.ix_(self._dofs, self._dofs)]

    def travel(self) -> list[tuple[float, float]]:
        return self._limits

    def fall(self) -> tuple[Array, Array]:
        self._mujoco.mj_resetData(self._model, self._data)
        self._put(self._robot.home)
        speeds, early = np.zeros(len(self._dofs)), self._robot.home
        for step in range(round(FALL / STEP)):
            self._mujoco.mj_step(self._model, self._data)
            speeds = np.maximum(speeds, np.abs(self._data.qvel[self._dofs]))
            if step + 1 == round(RELEASED / STEP):
                early = self._data.qpos[self._places].copy()
        return early, speeds

    def _put(self, position: Array) -> None:
        self._data.qpos[self._places] = position
        self._mujoco.mj_forward(self._model, self._data)


class _Bullet:
    def __init__(self, robot: Robot) -> None:
        import pybullet

        from isthmus_sim.plants.pybullet_world import World

        self._bullet, self._robot = pybullet, robot
        self._client = {"physicsClientId": pybullet.connect(pybullet.DIRECT)}
        self._world = World(robot, Scene(), STEP)
        self._world.begin(self._client["physicsClientId"], {}, robot.base.height)
        pybullet.setGravity(0, 0, -9.81, **self._client)
        self._joints = [self._world.joints[name] for name in robot.joint_names]
        count = pybullet.getNumJoints(self._world.robot, **self._client)
        told = [pybullet.getJointInfo(self._world.robot, index, **self._client) for index in range(count)]
        self._moving = [int(line[0]) for line in told if line[3] >= 0]  # those with a degree of freedom
        self._limits = [(float(told[index][8]), float(told[index][9])) for index in self._joints]
        for index in self._moving:
            pybullet.setJointMotorControl2(self._world.robot, index, pybullet.VELOCITY_CONTROL, force=0, **self._client)

    def __del__(self) -> None:
        self._bullet.disconnect(**self._client)

    def positions(self, position: Array) -> Mapping[str, Array]:
        self._put(position)
        pybullet, robot = self._bullet, self._world.robot
        center = pybullet.getDynamicsInfo(robot, -1, **self._client)[3:5]
        place = pybullet.multiplyTransforms(
            *pybullet.getBasePositionAndOrientation(robot, **self._client), *pybullet.invertTransform(*center)
        )
        back = pybullet.invertTransform(*place)
        found = {}
        for link, index in self._world.links.items():
            if index >= 0:
                state: Any = pybullet.getLinkState(robot, index, computeForwardKinematics=True, **self._client)
                found[link] = np.array(pybullet.multiplyTransforms(*back, state[4], state[5])[0])
        return found

    def mass_matrix(self, position: Array) -> Array:
        values = dict(zip(self._joints, position.tolist(), strict=True))
        full = np.array(
            self._bullet.calculateMassMatrix(self._world.robot, [values.get(index, 0.0) for index in self._moving], **self._client)
        )
        before = len(full) - len(self._moving)  # of a base that floats
        columns = [before + self._moving.index(index) for index in self._joints]
        return full[np.ix_(columns, columns)]

    def travel(self) -> list[tuple[float, float]]:
        return [(low, high) if low <= high else (-np.inf, np.inf) for low, high in self._limits]

    def fall(self) -> tuple[Array, Array]:
        self._put(self._robot.home)
        speeds, early = np.zeros(len(self._joints)), self._robot.home
        for step in range(round(FALL / STEP)):
            self._bullet.stepSimulation(**self._client)
            states = np.array([state[:2] for state in self._bullet.getJointStates(self._world.robot, self._joints, **self._client)])
            speeds = np.maximum(speeds, np.abs(states[:, 1]))
            if step + 1 == round(RELEASED / STEP):
                early = states[:, 0]
        return early, speeds

    def _put(self, position: Array) -> None:
        for index in self._moving:
            self._bullet.resetJointState(self._world.robot, index, 0.0, 0.0, **self._client)
        for index, value in zip(self._joints, position.tolist(), strict=True):
            self._bullet.resetJointState(self._world.robot, index, value, 0.0, **self._client)
