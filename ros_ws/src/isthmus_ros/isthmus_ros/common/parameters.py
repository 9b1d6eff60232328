"""Parameters of a node, declared with type, description and range, so that `ros2 param describe` documents them."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from isthmus import strict

__all__ = ["choice", "declare"]


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
