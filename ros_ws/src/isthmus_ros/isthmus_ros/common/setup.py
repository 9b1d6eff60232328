"""What every node around a policy file is told, and what it makes of it: which file, which robot, whose topics, whose time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.contract import Contract
from isthmus.robot import Robot, RosProfile, load_robot
from isthmus_ros.common.parameters import choice, declare

__all__ = ["Setup", "declare_setup", "policy_path", "read_setup"]


@dataclass(frozen=True, slots=True)
class Setup:
    """A contract on a robot.

    Attributes:
        contract: of the policy file.
        digest: of the contract; making it takes milliseconds.
        robot: its profile, which the contract fits.
        profile: the profile's ROS interface.
        namespace: of the node, absolute, in which the profile's topics are resolved.
        prefix: of the joints' and frames' names on the robot's topics.
        realtime: time passes by itself; else it is stepped by the joint states.
        stamp_check: "absolute" or "relative".
    """

    contract: Contract
    digest: str
    robot: Robot
    profile: RosProfile
    namespace: str
    prefix: str
    realtime: bool
    stamp_check: str

    @property
    def listening(self) -> dict[str, Any]:
        """What `StateTopic` needs of it besides the robot."""
        return {"namespace": self.namespace, "prefix": self.prefix, "realtime": self.realtime, "stamp_check": self.stamp_check}


def declare_setup(node: Any) -> None:
    """Declare the parameters that `read_setup` reads."""
    declare(node, "policy", "", "path of the policy file (policy.isthmus)")
    declare(node, "robot", "", "name of the robot profile; empty means the one that the policy names")
    declare(node, "robots_dir", "", "folder with robot profiles of your own, searched first")
    declare(node, "joint_prefix", "", "prefix of the joints' and frames' names on the robot's topics")
    declare(node, "clock", "wall", "wall: time passes by itself; stepped: one control period per joint state")
    declare(
        node,
        "stamp_check",
        "absolute",
        "absolute: stamps of states are compared with this node's clock; relative: less a constant offset",
    )


def policy_path(node: Any) -> str:
    """The policy file.

    Raises:
        ValueError: none is given.
    """
    path = str(node.get_parameter("policy").value)
    if not path:
        raise ValueError("parameter policy is empty; give the path of a policy file: -p policy:=…/policy.isthmus")
    return path


def read_setup(node: Any, contract: Contract) -> Setup:
    """The parameters of a node, checked against the contract of its policy file.

    Raises:
        ValueError: no policy file, no robot in the contract or of that name, it does not fit, it has no ROS interface, or a parameter is not valid.
    """
    realtime = choice(node, "clock", ("wall", "stepped")) == "wall"
    stamp_check = choice(node, "stamp_check", ("absolute", "relative"))
    if contract.no_robot:
        raise ValueError(contract.no_robot)
    folder = str(node.get_parameter("robots_dir").value)
    robot = load_robot(str(node.get_parameter("robot").value) or contract.robot, [Path(folder)] if folder else [])
    if problems := contract.fits(robot):
        raise ValueError(f"the policy does not fit the robot: {'; '.join(problems)}")
    if robot.ros is None:
        raise ValueError(f"robot {robot.name!r} has no ROS interface: its robot.yaml has no ros block")
    prefix = str(node.get_parameter("joint_prefix").value)
    return Setup(contract, contract.digest(), robot, robot.ros, str(node.get_namespace()), prefix, realtime, stamp_check)
