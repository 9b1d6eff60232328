"""A simulated robot as its driver shows it: a plant, the robot's own controller, and whether its program runs. No ROS in here.

The program stops by a protective stop or because external control was ended. A robot whose program does not run stands on its brakes, whatever
its motors would do, and forgets its commands: when the program runs again it stays where it is until it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isthmus.records import Array, Command, Measurement, reorder
from isthmus_ros.robot_sim.controllers import Controller
from isthmus_ros.robot_sim.faults import Faults
from isthmus_ros.robot_sim.motion_faults import FaultyMotion
from isthmus_sim.episodes import episode_start
from isthmus_sim.plants import RenderedSimulator
from isthmus_sim.plants.base import Rest
from isthmus_sim.task import Task

__all__ = ["HOME", "SimRobot"]

HOME = -1
"""Seed of the home pose at rest."""


class SimRobot:
    """One simulated robot.

    Attributes:
        plant: the simulator, of one row.
        controller: turns messages into set-points.
        faults: that are switched on; may be replaced at any time.
    """

    def __init__(self, plant: RenderedSimulator, controller: Controller, joints: tuple[str, ...], mode: str) -> None:
        """Set up; `reset` begins.

        Args:
            plant: of one row.
            controller: of the transport.
            joints: the controller's order.
            mode: command mode of the drives.
        """
        self.plant, self.controller, self.faults = plant, controller, Faults()
        self._joints, self._mode = joints, mode
        self._motion = FaultyMotion(joints, mode)
        self._ended = self._stood = False
        self._brakes = Rest(plant.robot, mode, 1)

    @property
    def running(self) -> bool:
        """Whether the robot's program runs, so that commands move it."""
        return not (self._ended or self.faults.on("protective_stop"))

    @property
    def scaling(self) -> float:
        """Share of its speed that the robot has, 0 … 1."""
        return self.faults.number("speed_scaling") if self.running else 0.0

    def reset(self, task: Task, seed: int, physical: Mapping[str, float], now: float) -> None:
        """Begin an episode of the task, or stand at home; external control is given again.

        Args:
            task: draws the start.
            seed: of the episode; -1 means home, at rest.
            physical: parameters that differ from the task's own.
            now: s.

        Raises:
            ValueError: an unknown parameter.
        """
        start = episode_start(task, [max(seed, 0)])
        given = {name: np.array([value]) for name, value in physical.items()}
        state = None if seed == HOME else start.state
        self.plant.reset(seeds=[max(seed, 0)], state=state, parameters={**start.parameters, **given})
        self._ended = self._stood = False
        self.controller.rest(self._position(self.plant.read()), now)

    def end_control(self) -> None:
        """End external control: stand, and take no commands until `resume` or `reset`."""
        self._ended = True

    def resume(self) -> None:
        """Give external control again, as the play button of a teach pendant does."""
        self._ended = False

    def advance(self, now: float, *, hold: bool = False) -> None:
        """Let one period of the plant pass, which ends at `now` (s).

        Args:
            now: s.
            hold: a set-point that the controller holds is held for the whole period, as in stepped time.
        """
        measurement = self.plant.read()
        position = self._position(measurement)
        values: Array | None = None
        if self.running:
            values = self.controller.command(now, self.plant.period, self.scaling)
            if hold and self.controller.holds and self.controller.newest is not None:
                values = self.controller.newest
        else:
            self.controller.rest(position, now)
        if values is not None:
            values = self._motion.apply(values, position, now, self.faults)
            command = Command(self._mode, self._joints, values[None])
        else:
            if not self._stood:
                self._brakes.begin(measurement)
            command = Command(self._mode, measurement.joints, self._brakes.values(measurement))
        self._stood = values is None
        self.plant.write(command)
        self.plant.advance()

    def _position(self, measurement: Measurement) -> Array:
        values: Array = reorder(measurement.position, measurement.joints, self._joints)[0]
        return values
