"""Where the bodies of a PyBullet client are, and putting them elsewhere.

Bullet knows the pose and twist of a centre of mass; everybody else speaks of a body's own frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pybullet

from isthmus.kinematics import Kinematics
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_sim.plants.base import turned_back
from isthmus_sim.plants.pybullet_world import World
from isthmus_sim.scene import Scene

__all__ = ["Bodies"]


class Bodies:
    """Poses `[7]` and twists `[6]` of links, of a mobile robot's root, and of the scene's bodies."""

    def __init__(self, robot: Robot, scene: Scene, world: World) -> None:
        self._scene, self._world = scene, world
        self._mobile = robot.base.kind != "fixed"
        self._root = Kinematics(robot.urdf_path).base

    def link_pose(self, client: int, link: int) -> tuple[float, ...]:
        """Of a link of the robot by its index, -1 for the root."""
        if link < 0:
            return tuple(_free_state(client, self._world.robot, self._root_center(client))[0])
        state = pybullet.getLinkState(self._world.robot, link, computeForwardKinematics=True, physicsClientId=client)
        return (*state[4], *state[5])

    def standing(self, clients: Sequence[int]) -> dict[str, Array]:
        """Poses `[B, 7]` of the bodies that never move."""
        poses = {}
        for body in self._scene.standing:
            number = self._world.places[body.name].body
            found = [pybullet.getBasePositionAndOrientation(number, physicsClientId=client) for client in clients]
            poses[body.name] = np.array([[*position, *orientation] for position, orientation in found])
        return poses

    def moving(self, clients: Sequence[int], values: Sequence[Mapping[str, float]]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Poses `[B, 7]` of the bodies that move and of a mobile robot's root, and the twists `[B, 6]` of those that are free.

        Args:
            clients: of all rows.
            values: parameters of each row.
        """
        poses: dict[str, Array] = {}
        twists: dict[str, Array] = {}
        batch = len(clients)
        for body in self._scene.moving:
            poses[body.name] = np.empty((batch, 7))
            place = self._world.places[body.name]
            if body.joint == "free":
                twists[body.name] = np.empty((batch, 6))
            for row, client in enumerate(clients):
                if body.joint == "free":
                    center = self._world.center(body, values[row])
                    poses[body.name][row], twists[body.name][row] = _free_state(client, place.body, center)
                else:
                    state = pybullet.getLinkState(place.body, 0, computeForwardKinematics=True, physicsClientId=client)
                    poses[body.name][row] = (*state[4], *state[5])
        if self._mobile:
            pose, twist = np.empty((batch, 7)), np.empty((batch, 6))
            for row, client in enumerate(clients):
                pose[row], twist[row] = _free_state(client, self._world.robot, self._root_center(client))
            orientation = pose[:, 3:]
            own = [turned_back(orientation, twist[:, :3]), turned_back(orientation, twist[:, 3:])]
            poses[self._root], twists[self._root] = pose, np.concatenate(own, axis=1)
        return poses, twists

    def place(self, client: int, start: Mapping[str, Array], values: Mapping[str, float]) -> None:
        """Put one row's bodies and its mobile root where an episode begins; see `start_state`."""
        c = {"physicsClientId": client}
        if "base" in start:
            _put(client, self._world.robot, start["base"], self._root_center(client))
            orientation = start["base"][3:].tolist()
            linear, angular = (pybullet.rotateVector(orientation, start["base_twist"][part].tolist()) for part in (slice(3), slice(3, 6)))
            pybullet.resetBaseVelocity(self._world.robot, linear, angular, **c)
        for body in self._scene.moving:
            place = self._world.places[body.name]
            if body.joint == "free":
                _put(client, place.body, start[body.name], self._world.center(body, values))
            else:
                pybullet.resetJointState(place.body, 0, start[body.name][0], 0.0, **c)

    def _root_center(self, client: int) -> Sequence[float]:
        center: Sequence[float] = pybullet.getDynamicsInfo(self._world.robot, -1, physicsClientId=client)[3]
        return center


def _free_state(client: int, body: int, center: Sequence[float]) -> tuple[list[float], list[float]]:
    """Pose of a free body's frame, and its twist there, in the world's frame."""
    position, orientation = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    linear, angular = pybullet.getBaseVelocity(body, physicsClientId=client)
    arm = pybullet.rotateVector(orientation, [-value for value in center])
    across = np.cross(angular, arm)
    origin = [p + a for p, a in zip(position, arm, strict=True)]
    return [*origin, *orientation], [*(np.array(linear) + across).tolist(), *angular]


def _put(client: int, body: int, pose: Array, center: Sequence[float]) -> None:
    orientation = pose[3:].tolist()
    arm = pybullet.rotateVector(orientation, list(center))
    position = [p + a for p, a in zip(pose[:3].tolist(), arm, strict=True)]
    pybullet.resetBasePositionAndOrientation(body, position, orientation, physicsClientId=client)
