"""Parameters of a node, declared with type, description and range, so that `ros2 param describe` documents them."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from isthmus import strict

__all__ = ["choice", "declare", "refuse_unknown"]

_NEAR = 0.8  # likeness from which on a name in a parameter file is a misspelt one
_OF_ROS = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def declare(
    node: Any, name: str, default: Any, description: str, *, low: float | None = None, high: float | None = None, fixed: bool = True
) -> None:
    """Declare one parameter.

    Args:
        node: rclpy node.
        name: of the parameter.
        default: its value where none is given; gives the type.
        description: one line, with the unit.
        low: smallest valid number.
        high: largest valid number; needed with `low`.
        fixed: it can only be set when the node starts.
    """
    descriptor = ParameterDescriptor(description=description, read_only=fixed)
    if low is not None and high is not None:
        if isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    node.declare_parameter(name, default, descriptor)


def choice(node: Any, name: str, valid: tuple[str, ...]) -> str:
    """The value of a parameter that has few.

    Raises:
        ValueError: it is none of them; the message lists them.
    """
    value = str(node.get_parameter(name).value)
    if value not in valid:
        raise ValueError(f"parameter {name} must be one of {', '.join(valid)}, got {value!r}; {strict.suggest(value, valid)}")
    return value


def refuse_unknown(node: Any, arguments: Sequence[str] | None = None) -> None:
    """Refuse what ROS would ignore in silence: values for parameters that a node does not have.

    What is given with `-p` is meant for this node. A parameter file may be meant for several: in it, names that are near those of this node are
    refused, and others are told in a warning.

    Args:
        node: rclpy node that has declared its parameters.
        arguments: command line; None means `sys.argv`.

    Raises:
        ValueError: the message names the parameter and the known ones.
    """
    given = {name for name in node._parameter_overrides if not name.startswith(_OF_ROS)}
    if (
        "robot_namespace" in given
    ):  # it was one, and moved the robot's topics alone; in a file, too, it must not be passed over with a warning
        namespace = str(node._parameter_overrides["robot_namespace"].value).strip("/")
        raise ValueError(f"robot_namespace is no parameter of {node.get_name()}: a node lives where its robot does, -r __ns:=/{namespace}")
    unknown = sorted(name for name in given if not node.has_parameter(name))
    words = list(sys.argv if arguments is None else arguments)
    meant = {word.partition(":=")[0].rpartition(":")[2] for flag, word in itertools.pairwise(words) if flag in ("-p", "--param")}
    declared = sorted(name for name in node._parameters if not name.startswith(_OF_ROS))
    for name in unknown:
        if name in meant or difflib.get_close_matches(name, declared, n=1, cutoff=_NEAR):
            raise ValueError(f"unknown parameter {name!r} of {node.get_name()}; {strict.suggest(name, declared)}")
    if unknown:
        node.get_logger().warning(f"parameters that this node does not have are ignored: {', '.join(unknown)}")
