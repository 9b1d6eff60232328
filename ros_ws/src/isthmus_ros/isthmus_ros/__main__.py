"""`python -m isthmus_ros NODE --ros-args …`: the nodes without a ROS workspace; with one, `ros2 run isthmus_ros NODE`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from isthmus_ros.common import signals

NODES = {
    "explore_node": "isthmus_ros.policy.explore_node",
    "guard_node": "isthmus_ros.guard.guard_node",
    "monitor_node": "isthmus_ros.monitoring.monitor_node",
    "policy_node": "isthmus_ros.policy.policy_node",
    "record_node": "isthmus_ros.recording.record_node",
    "sim_node": "isthmus_ros.robot_sim.sim_node",
}
"""Executable → module with its `main`."""
_STARTED = {"train_node": "isthmus_ros.training.train_node"}  # by commands alone


def main() -> int:
    """Run the node that the first argument names; its own arguments follow."""
    signals.listen()
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if (module := (NODES | _STARTED).get(name)) is None:
        from isthmus import strict

        sys.stderr.write(f"isthmus_ros: unknown node {name!r}; {strict.suggest(name, NODES)}\n")
        return 2
    del sys.argv[1]
    return int(importlib.import_module(module).main())


def script() -> int:
    """As `ros2 run` starts a node: the script has its name."""
    sys.argv.insert(1, Path(sys.argv[0]).stem)
    return main()


if __name__ == "__main__":
    raise SystemExit(main())
