"""Everything that the guard hears besides commands and joint states: buttons, the driver's word, and who else is in the graph.

What is wrong is told in sentences; `guard_node` refuses to arm for them, or stops.
"""

from __future__ import annotations

from typing import Any

from isthmus_ros.common import checks
from isthmus_ros.common.setup import Setup
from isthmus_ros.guard.checks import command_senders, nobody_listens, other_publishers
from isthmus_ros.guard.plant import RosPlant
from isthmus_ros.guard.preconditions import Preconditions
from isthmus_ros.guard.stop_services import StopServices

__all__ = ["Surroundings"]


class Surroundings:
    """The graph around one guarded robot."""

    def __init__(self, node: Any, setup: Setup, plant: RosPlant) -> None:
        """Subscribe what the robot's driver says."""
        self._node, self._plant = node, plant
        self._preconditions = Preconditions(node, setup.profile, setup.namespace, realtime=setup.realtime)
        self._stops = StopServices(node, setup.profile, setup.namespace)

    def arming_problems(self) -> list[str]:
        """Why nobody may arm, as far as topics tell."""
        problems = nobody_listens(self._plant) + other_publishers(self._node, self._plant.command_topic) + command_senders(self._node)
        return [*problems, *self._plant.doubled(), *self._preconditions.problems(), *filter(None, [checks.shared_memory()])]

    def resetting_problems(self) -> list[str]:
        """Why the cause of a stop is still there."""
        return self._preconditions.problems()

    def poll(self) -> str:
        """What the driver has said since the last call that does not let the robot move; "" if nothing. To be called every tick."""
        return self._preconditions.poll()

    def look_round(self) -> tuple[str, bool]:
        """What has come into the graph in motion: why to stop, and whether the stop services are needed too, as somebody else commands the robot."""
        others = other_publishers(self._node, self._plant.command_topic)
        found = [*others, *nobody_listens(self._plant), *self._plant.doubled(), *self._preconditions.problems()]
        return "; ".join(found), bool(others)

    def call_for_help(self, cause: str) -> None:
        """Ask the robot's driver to end external control, until it answers."""
        self._stops.call(cause)

    def close(self) -> None:
        """Leave the graph."""
        self._preconditions.close()
        self._stops.close()
