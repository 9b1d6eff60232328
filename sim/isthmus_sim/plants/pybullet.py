"""PyBullet as a plant: one physics client per row, stepped one after another.

Its joint motors are velocity constraints, and it has no rotor inertia: a second opinion on the dynamics rather than a copy of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pybullet

from isthmus.images import convert_color
from isthmus.records import Array, Command, Measurement
from isthmus.robot import Camera, Robot
from isthmus_sim.appearance import Appearance, AppearanceRanges, check_expressible
from isthmus_sim.bullet_pictures import bullet_picture
from isthmus_sim.camera_rig import CameraRig, find_cameras
from isthmus_sim.cameras import camera_view, free_view
from isthmus_sim.parameters import Parameter, cannot_express, parameter_rows, parameter_table
from isthmus_sim.plants.base import (
    Rest,
    command_values,
    odometry,
    rows_of,
    start_state,
    substeps,
    wheel_speeds,
)
from isthmus_sim.plants.command_path import CommandPaths
from isthmus_sim.plants.pybullet_bodies import Bodies
from isthmus_sim.plants.pybullet_drives import Drives, inexpressible, is_compliant
from isthmus_sim.plants.pybullet_world import World
from isthmus_sim.plants.sensors import Sensors
from isthmus_sim.plants.servo_stability import TORQUE_STEP
from isthmus_sim.scene import Hinge, Scene

__all__ = ["PybulletPlant"]

_PUSH = ("push_x", "push_y", "push_z", "push_time", "push_duration")


class PybulletPlant:
    """A batch of simulated robots in a scene.

    Attributes:
        robot: profile.
        period: control period, s.
        batch: number of rows.
        realtime: False.
        scene: what stands around the robot.
        parameters: what `reset` can be told.
    """

    realtime = False

    def __init__(
        self,
        robot: Robot,
        *,
        mode: str,
        period: float,
        batch: int = 1,
        scene: Scene | None = None,
        cameras: Sequence[str] = (),
        appearance: AppearanceRanges | None = None,
    ) -> None:
        """Start the physics clients and load robot and scene.

        Args:
            robot: profile.
            mode: command mode.
            period: control period, s.
            batch: number of rows.
            scene: what stands around the robot.
            cameras: of the robot, whose images `read` shows.
            appearance: ranges that the look of each episode is drawn from; None for a plain look.

        Raises:
            ValueError: an appearance that PyBullet cannot express.
        """
        if appearance is not None:
            check_expressible("pybullet", appearance)
        rotors = [joint for joint in robot.joints if joint.servo.armature] if mode == "effort" else []
        if rotors:  # a wrist without its rotor would be a hundred times too light, and fly off
            raise ValueError(
                f"plant 'pybullet' cannot drive {robot.name!r} by effort: it has no rotor inertia, and {rotors[0].name} has an armature of "
                f"{rotors[0].servo.armature:g} kg*m^2"
            )
        self.robot, self.period, self.batch = robot, period, batch
        self.scene = scene or Scene()
        self._table = parameter_table(robot, self.scene)
        self.parameters: Mapping[str, Parameter] = {
            name: entry for name, entry in self._table.items() if not inexpressible(name, robot, mode)
        }
        self._mode = mode
        self._substeps = substeps(period, TORQUE_STEP) if is_compliant(robot, mode) else substeps(period)
        self._timestep = period / self._substeps
        self._world = World(robot, self.scene, self._timestep)
        self._clients = [pybullet.connect(pybullet.DIRECT) for _ in range(batch)]
        if refused := self._clients.count(-1):
            for client in self._clients[:-refused]:
                pybullet.disconnect(client)
            raise ValueError(f"PyBullet has room for {batch - refused} more simulations in this process, got {batch} rows")
        self._values: list[dict[str, float]] = [{} for _ in range(batch)]
        self._world.begin(self._clients[0], {}, robot.base.height)
        self._bodies = Bodies(robot, self.scene, self._world)
        self._drives = Drives(robot, mode, self._world, self._timestep, batch)
        self._joints = self._drives.joints
        self._tool = self._world.links[robot.tool_frame]
        self._tool_mass = pybullet.getDynamicsInfo(self._world.robot, self._tool, physicsClientId=self._clients[0])[0]  # without a payload
        limits = robot.limits()
        self._low, self._high = np.array(limits.position_low), np.array(limits.position_high)
        self._command = np.zeros((batch, len(self._joints)))
        self._setpoint = np.zeros((batch, len(self._joints)))
        self._springs = any(isinstance(body.joint, Hinge) and body.joint.stiffness for body in self.scene.bodies)
        self._sample: Measurement | None = None  # the exact state of now; nobody writes into it
        self._sensors = Sensors(batch, period)
        self._rest = Rest(robot, mode, batch)
        self._paths = CommandPaths(self._table, batch, len(self._joints), period, self._substeps)
        self._steps = np.zeros(batch, dtype=np.int64)
        self._stopped = np.zeros(batch, dtype=bool)
        self._rig = CameraRig(find_cameras(robot, cameras), batch, period, self._take, appearance)
        self.reset()

    def reset(
        self,
        rows: Array | None = None,
        seeds: Sequence[int] | None = None,
        state: Mapping[str, Array] | None = None,
        parameters: Mapping[str, Array] | None = None,
    ) -> None:
        """See `Plant.reset`; `state` also takes `base`, `base_twist` and the poses of scene bodies (`start_state`)."""
        ids = rows_of(rows, self.batch)
        start = start_state(self.robot, self.scene, state, len(ids))
        values = parameter_rows(self._table, parameters, len(ids))
        for name in values:
            if why := inexpressible(name, self.robot, self._mode):
                raise cannot_express("pybullet", name, why)
        for place, row in enumerate(ids.tolist()):
            self._values[row] = {name: float(row_values[place]) for name, row_values in values.items()}
            self._world.begin(self._clients[row], self._values[row], self.robot.base.height)
            self._configure(row)
            self._place(row, {name: array[place] for name, array in start.items()})
        resting = start["position"] if self._mode == "position" else np.zeros((len(ids), len(self._joints)))
        self._command[ids] = resting
        self._setpoint[ids] = start["position"] if self._mode != "twist" else 0.0
        self._sensors.reset(ids, seeds, values)
        self._paths.reset(ids, values, resting, self._command, seeds)
        self._steps[ids] = 0
        self._stopped[ids] = False
        self._sample = None
        self._rig.reset(ids, seeds)

    def read(self) -> Measurement:
        """What the sensors of all rows say; joint efforts are those that the motors applied in the last physics step."""
        measurement = self._sensors.sense(self._exact(), self._steps)
        if self._rig.cameras:
            measurement.images = self._rig.read(self._steps)
        return measurement

    def truth(self) -> Measurement:
        """The exact state, with the pose of the tool frame and of every scene body that the robot does not carry."""
        exact = self._exact()
        tool = np.array([self._bodies.link_pose(client, self._tool) for client in self._clients])
        poses = {**exact.poses, **self._bodies.standing(self._clients), self.robot.tool_frame: tool}
        return Measurement(exact.stamp, exact.joints, exact.position, exact.velocity, exact.effort, poses, exact.twists)

    def write(self, command: Command) -> None:
        """See `Plant.write`."""
        values = command_values(command, self._mode, self.robot, self.batch)
        if self._mode == "twist":
            values = wheel_speeds(self.robot.base, values)
        self._command[~self._stopped] = values[~self._stopped]

    def advance(self) -> None:
        """Step all rows by one control period."""
        if self._mode == "effort" and self._stopped.any():
            self._hold_still()
        if self._sensors.late:
            self._sensors.record(self._exact())
        targets = self._targets()
        for row, client in enumerate(self._clients):
            disturbed = self._values[row] or self._springs
            for command in targets[row].tolist():
                self._drives.drive(client, row, command)
                if disturbed:
                    self._disturb(row)
                pybullet.stepSimulation(physicsClientId=client)
        self._steps += 1
        self._sample = None

    def stop(self, reason: str) -> None:
        """Command rest, and ignore what is written until `reset`; an effort-controlled robot is damped."""
        self._stopped[:] = True
        self._rest.begin(self._exact())
        self._hold_still()

    def close(self) -> None:
        """Disconnect the clients."""
        for client in self._clients:
            pybullet.disconnect(physicsClientId=client)
        self._clients = []

    def render(
        self,
        row: int = 0,
        *,
        height: int = 480,
        width: int = 640,
        look_at: tuple[float, float, float] = (0.0, 0.0, 0.4),
        distance: float = 2.0,
        markers: tuple[tuple[float, float, float], ...] = (),
        studio: bool = False,
    ) -> Array:
        """See `RenderedSimulator.render`; PyBullet has no studio."""
        client = self._clients[row]
        bodies = []
        for marker in markers:
            shape = pybullet.createVisualShape(pybullet.GEOM_SPHERE, radius=0.03, rgbaColor=[0.2, 0.8, 0.3, 1], physicsClientId=client)
            bodies.append(pybullet.createMultiBody(0, -1, shape, marker, physicsClientId=client))
        view = free_view(look_at, distance, np.radians(55.0), np.radians(-20.0), height=height, width=width)
        picture = bullet_picture(client, view)
        for body in bodies:
            pybullet.removeBody(body, physicsClientId=client)
        return picture

    def picture(self, camera: Camera, row: int = 0) -> Array:
        """What a camera of the robot sees now, `[H, W, C]` uint8, without its latency and with a plain look."""
        return convert_color(self._take(row, camera, None), "rgb8", camera.spec.encoding)

    def _take(self, row: int, camera: Camera, appearance: Appearance | None) -> Array:
        pose = self._bodies.link_pose(self._clients[row], self._world.links[camera.link])
        where = np.array(pose[:3]), np.array(pybullet.getMatrixFromQuaternion(pose[3:])).reshape(3, 3)
        view = camera_view(camera, *where) if appearance is None else appearance.view(camera, *where)
        return bullet_picture(self._clients[row], view)

    def _exact(self) -> Measurement:
        if self._sample is None:
            self._sample = self._measure()
        return self._sample

    def _measure(self) -> Measurement:
        shape = (self.batch, len(self._joints))
        position, velocity, effort = np.empty(shape), np.empty(shape), np.empty(shape)
        for row, client in enumerate(self._clients):
            for index, state in enumerate(pybullet.getJointStates(self._world.robot, self._joints, physicsClientId=client)):
                position[row, index], velocity[row, index], _, effort[row, index] = state
        effort[self._steps == 0] = 0.0  # or it would be that of another episode
        effort = self._drives.efforts(self._command, position, velocity, effort)
        if self._mode == "twist":
            position, velocity, effort = (odometry(self.robot.base, values) for values in (position, velocity, effort))
        measurement = Measurement(self._steps * self.period, self.robot.joint_names, position, velocity, effort)
        if self.scene.moving or self.robot.base.kind != "fixed":
            measurement.poses, measurement.twists = self._bodies.moving(self._clients, self._values)
        return measurement

    def _place(self, row: int, start: Mapping[str, Array]) -> None:
        c: dict[str, Any] = {"physicsClientId": self._clients[row]}
        robot = self._world.robot
        if self._mode == "twist":
            position, velocity = np.zeros(2), wheel_speeds(self.robot.base, start["velocity"][None])[0]
        else:
            position, velocity = start["position"], start["velocity"]
        for index, joint in enumerate(self._joints):
            pybullet.resetJointState(robot, joint, position[index], velocity[index], **c)
        self._bodies.place(self._clients[row], start, self._values[row])

    def _configure(self, row: int) -> None:
        """Set what belongs to the robot: gravity, payload, friction in its joints, and no motor that nobody asked for."""
        values, robot = self._values[row], self._world.robot
        c: dict[str, Any] = {"physicsClientId": self._clients[row]}
        pybullet.setGravity(0, 0, -values.get("gravity", self._table["gravity"].nominal), **c)
        if "payload" in values:
            pybullet.changeDynamics(robot, self._tool, mass=self._tool_mass + values["payload"], **c)
        self._drives.configure(self._clients[row], row, values)

    def _targets(self) -> Array:
        """What the drives are told in each physics step of a control period, `[B, steps, joints]`; in velocity mode the moving set-point."""
        seen = self._paths.path.push(self._command) if self._paths.path else np.repeat(self._command[:, None], self._substeps, axis=1)
        if self._mode != "velocity":
            return seen
        # A set-point that has reached a limit moves away from it at once, so every step must see the clipped one.
        setpoint = self._setpoint
        for step in range(self._substeps):
            setpoint = np.minimum(np.maximum(setpoint + seen[:, step] * self._timestep, self._low), self._high)
            seen[:, step] = setpoint
        self._setpoint = setpoint
        return seen

    def _disturb(self, row: int) -> None:
        """Pushes and the springs of hinged bodies; Bullet forgets forces after each physics step."""
        values, c = self._values[row], {"physicsClientId": self._clients[row]}
        now = self._steps[row] * self.period
        begin = values.get("push_time", 0.0) - 1e-9
        if any(values.get(name) for name in _PUSH[:3]) and begin <= now < begin + values.get("push_duration", 0.0):
            link = -1 if self.robot.base.kind != "fixed" else self._tool
            where = pybullet.getBasePositionAndOrientation(self._world.robot, **c)[0] if link < 0 else None
            where = where or pybullet.getLinkState(self._world.robot, link, **c)[0]
            force = [values.get(name, 0.0) for name in _PUSH[:3]]
            pybullet.applyExternalForce(self._world.robot, link, force, where, pybullet.WORLD_FRAME, **c)
        for body in self.scene.moving:
            stiffness = values.get(f"{body.name}.stiffness", body.joint.stiffness) if isinstance(body.joint, Hinge) else 0.0
            if stiffness:
                place = self._world.places[body.name]
                torque = -stiffness * pybullet.getJointState(place.body, 0, **c)[0]
                pybullet.setJointMotorControl2(place.body, 0, pybullet.TORQUE_CONTROL, force=torque, **c)

    def _hold_still(self) -> None:
        self._command[self._stopped] = self._rest.values(self._exact())[self._stopped]
