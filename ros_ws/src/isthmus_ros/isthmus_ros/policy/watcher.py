"""A motion that somebody may end because it violates its specification goes on only while he watches."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from isthmus_ros.common import wire

__all__ = ["Watcher"]

_SILENCE = 1.0  # s without a word of monitor_node, which speaks ten times a second


class Watcher:
    """Whether a `monitor_node` speaks that may end a motion, which it does once it knows what to watch."""

    def __init__(self, node: Any, period: float) -> None:
        """Listen for `node`, which looks every `period` seconds."""
        self._most = round(_SILENCE / period)
        self._looks: int | None = None  # since its last word; None before the second, as the first may be an old one that was kept
        self._words = 0
        node.create_subscription(DiagnosticArray, "monitor/status", self._hear, wire.LATCHED)

    def look(self) -> str:
        """Why nobody watches; "" if somebody does. Looks are counted, and not seconds: who was asleep himself cannot tell."""
        if self._looks is not None:
            self._looks = min(self._looks + 1, self._most + 1)
        return self.problem

    @property
    def problem(self) -> str:
        """As `look`, in between."""
        if self._looks is None:
            return "nobody watches the specification: nothing is heard on monitor/status; is monitor_node running and configured?"
        return (
            f"nobody watches the specification any more: monitor_node has been silent for {_SILENCE:g} s"
            if self._looks > self._most
            else ""
        )

    def _hear(self, message: Any) -> None:
        for status in message.status:
            if status.name == "monitor" and any(pair.key == "on_violation" and pair.value != "report" for pair in status.values):
                self._words += 1
                self._looks = 0 if self._words > 1 else None
