"""What a policy is told from outside the robot, such as a goal: one latched topic per input signal, checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from std_msgs.msg import Float64MultiArray

from isthmus.contract import Contract
from isthmus.records import Array
from isthmus.signals import Signal
from isthmus_ros.common import wire
from isthmus_ros.common.lifecycle import without_numbers

__all__ = ["InputTopics", "input_frame", "input_kind", "input_message", "input_report", "input_topic"]

_POINT = ("x", "y", "z")


def input_topic(signal: Signal) -> str:
    """Relative name of the topic of an input signal."""
    return f"policy/input/{signal.name}"


def input_kind(signal: Signal) -> Any:
    """Class of the messages of an input signal."""
    return PointStamped if signal.elements == _POINT else Float64MultiArray


def input_frame(signal: Signal, base_frame: str, prefix: str = "") -> str:
    """Frame of a point that a robot is told: the signal's own, else the robot's base; with the `prefix` of the robot's joints and frames."""
    return prefix + (signal.frame or base_frame)


def input_message(signal: Signal, values: Sequence[float], base_frame: str, time: Any, prefix: str = "") -> Any:
    """The message that carries `values` `[elements]`: PointStamped for x, y, z, Float64MultiArray otherwise."""
    if signal.elements != _POINT:
        return Float64MultiArray(data=[float(value) for value in values])
    message = PointStamped()
    message.header.stamp = time
    message.header.frame_id = input_frame(signal, base_frame, prefix)
    message.point.x, message.point.y, message.point.z = (float(value) for value in values)
    return message


def input_report(key: str, inputs: Mapping[str, Array]) -> dict[str, str]:
    """How a status tells the inputs that a node has, `[1, elements]` each: `key.NAME` → a JSON list."""
    return {f"{key}.{name}": json.dumps([float(value) for value in values[0]]) for name, values in inputs.items()}


class InputTopics:
    """Subscribes the inputs of a contract and keeps the newest valid value of each."""

    def __init__(self, node: Any, contract: Contract, base_frame: str, on_change: Callable[[], None], prefix: str = "") -> None:
        """Subscribe; `on_change` is called after each accepted value, `prefix` is that of the robot's frames."""
        self._signals = contract.inputs
        self._values: dict[str, Array] = {}
        self._frames = {signal.name: input_frame(signal, base_frame, prefix) for signal in self._signals}
        self._refused: dict[str, str] = {}  # what was said last
        self._log = node.get_logger()
        self._on_change = on_change
        self._node = node
        self._subscriptions = [
            node.create_subscription(
                input_kind(signal),
                input_topic(signal),
                lambda message, signal=signal: self._receive(signal, message),
                wire.LATCHED,
            )
            for signal in self._signals
        ]

    @property
    def missing(self) -> list[str]:
        """Names of inputs that have no value yet."""
        return [signal.name for signal in self._signals if signal.name not in self._values]

    def values(self) -> dict[str, Array]:
        """The newest values, `[1, elements]` per name."""
        return dict(self._values)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _receive(self, signal: Signal, message: Any) -> None:
        problem = self._problem(signal, message)
        before, self._refused[signal.name] = self._refused.get(signal.name, ""), problem
        if problem:
            kept = "the previous value is kept" if signal.name in self._values else "there is no previous value"
            if without_numbers(problem) != without_numbers(before):  # who publishes at 10 Hz is told once
                self._log.error(f"input {signal.name!r} refused: {problem}; {kept}")
            return
        self._values[signal.name] = _array(signal, message)[None]
        self._on_change()

    def _problem(self, signal: Signal, message: Any) -> str:
        expected = self._frames[signal.name]
        if signal.elements == _POINT and message.header.frame_id != expected:
            return f"its frame must be {expected!r}, got {message.header.frame_id!r}"
        return signal.problem(_array(signal, message).tolist())


def _array(signal: Signal, message: Any) -> Array:
    if signal.elements == _POINT:
        return np.array([message.point.x, message.point.y, message.point.z])
    return np.array(message.data, dtype=np.float64)
