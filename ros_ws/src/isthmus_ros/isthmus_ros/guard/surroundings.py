"""Everything that the guard hears besides commands and joint states: the driver's word, and who else is in the graph.

What is wrong is told in sentences; `guard_node` refuses to arm for them, or stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus_ros.common.setup import Setup
from isthmus_ros.guard.activity import ControllerActivity, list_controllers
from isthmus_ros.guard.checks import nobody_listens, other_publishers, several_senders, topic_problems
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.preconditions import Preconditions
from isthmus_ros.guard.stop_services import StopServices

__all__ = ["Surroundings"]


class Surroundings:
    """The graph around one guarded robot."""

    def __init__(self, node: Any, setup: Setup, plant: RosPlant, armed: Callable[[], bool]) -> None:
        """Subscribe what the robot's driver says, and find its services; `armed` says whether the guard is."""
        self._node, self._plant = node, plant
        self._preconditions = Preconditions(node, setup.profile, setup.namespace, realtime=setup.realtime)
        self._activity = ControllerActivity(node, setup.namespace, plant.listeners.controller, list_controllers())
        self._stops = StopServices(node, setup.profile, setup.namespace, armed=armed)

    def poll(self) -> str:
        """What the driver has said since the last call that does not let the robot move; "" if nothing. To be called every tick."""
        return self._preconditions.poll()

    def arming_problems(self) -> list[str]:
        """Why nobody may arm, as far as topics tell."""
        return topic_problems(self._node, self._plant) + self.driver_problems()

    def driver_problems(self) -> list[str]:
        """Why the robot may not move, as its driver says or does not say any more."""
        return [*self._preconditions.problems(), *filter(None, [self._activity.problem()])]

    def look_round(self, *, moving: bool) -> tuple[str, bool]:
        """What has come into the graph; to be called some times a second.

        Args:
            moving: whether the robot is; then a second sender is a reason to stop whatever it says, as it may take on the first one's name.

        Returns:
            why to stop, "" if there is no reason; and whether the stop services are needed too, as somebody else commands the robot.
        """
        self._activity.look()
        others = other_publishers(self._node, self._plant.command_topic)
        senders = several_senders(self._node) if moving else []
        problems = [*others, *senders, *nobody_listens(self._plant), *self._plant.doubled(), *self.driver_problems()]
        return "; ".join(problems), bool(others)

    def call_for_help(self, cause: str) -> None:
        """Ask the robot's driver to end external control, until it answers."""
        self._stops.call(cause)

    def close(self) -> None:
        """Leave the graph."""
        for part in (self._preconditions, self._activity, self._stops):
            part.close()
