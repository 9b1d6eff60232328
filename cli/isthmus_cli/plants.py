"""`isthmus plants`: what can be controlled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isthmus_cli.console import show_table, write_json
from isthmus_evidence.provenance import installed_version
from isthmus_sim.plants import plant_names

__all__ = ["Plants"]

_DESCRIPTIONS = {
    "isaacgym": "Isaac Gym, thousands of arms on one GPU; written against its interface, never run here",
    "mujoco": "MuJoCo, a batch of simulations at once",
    "pybullet": "PyBullet, a second opinion on the dynamics",
    "ros": "a robot or simulator on ROS 2 topics",
}
_INSTALL = {
    "isaacgym": "download from https://developer.nvidia.com/isaac-gym; Python 3.6 to 3.8 only",
    "mujoco": "pip install 'isthmus[sim]'",
    "pybullet": "pip install 'isthmus[pybullet]'",
    "ros": "pip install 'isthmus[ros]'",
}


@dataclass(frozen=True, slots=True)
class Plants:
    """List what can be controlled, and what is installed for it.

    Attributes:
        json: print JSON, a list.
    """

    json: bool = False

    def run(self) -> int:
        """Run the command."""
        plants = [_facts(name) for name in (*plant_names(), "ros")]
        if self.json:
            write_json(plants)
        else:
            rows = [(plant["name"], plant["version"] or f"no: {plant['install']}", plant["description"]) for plant in plants]
            show_table("", ("plant", "installed", "description"), rows)
        return 0


def _facts(name: str) -> dict[str, Any]:
    version = installed_version("rclpy" if name == "ros" else name)
    return {
        "name": name,
        "installed": bool(version),
        "version": version,
        "description": _DESCRIPTIONS[name],
        "install": _INSTALL[name],
    }
