"""isthmus: one policy interface for MuJoCo, PyBullet and ROS 2.

Importing this package loads numpy and nothing heavier. Readers of files, runtimes of policies and simulators are imported where they are used.

```python
import isthmus

policy = isthmus.load("policy.isthmus")
actions = policy.act(observation).actions  # [B, horizon, A], SI units
```
"""

from typing import Any

from isthmus.contract import Contract
from isthmus.guard import Decision, GuardState, LimitGuard
from isthmus.limits import Box, Limits
from isthmus.loading import load
from isthmus.observation import ObservationBuilder
from isthmus.plant import Plant, Simulator
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Command, Measurement
from isthmus.robot import Robot, load_robot, robot_names
from isthmus.signals import CameraSpec, Signal

__all__ = [
    "ActionChunk",
    "Box",
    "CameraSpec",
    "Command",
    "Contract",
    "Decision",
    "GuardState",
    "LimitGuard",
    "Limits",
    "Measurement",
    "ObservationBuilder",
    "Plant",
    "Policy",
    "Robot",
    "Signal",
    "Simulator",
    "__version__",
    "load",
    "load_robot",
    "robot_names",
]


def __getattr__(name: str) -> Any:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("isthmus")
