"""The text of a message's definition, taken from its Python class, as MCAP files carry it."""

from __future__ import annotations

import importlib
import re
from typing import Any

from isthmus import messages

__all__ = ["definition_of", "type_name"]

_RENAMED = {"boolean": "bool", "octet": "byte", "double": "float64", "float": "float32"}
_SEQUENCE = re.compile(r"sequence<(?P<kind>[^,]+)(?:, (?P<most>\d+))?>")
_ARRAY = re.compile(r"(?P<kind>.+)\[(?P<size>\d+)\]")
_TEXT = re.compile(r"(w?string)<(\d+)>")


def type_name(kind: Any) -> str:
    """Name of a message class, for example `sensor_msgs/msg/JointState`."""
    return f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"


def definition_of(kind: Any) -> str:
    """Definition of a message class and of all that it uses; constants, defaults and comments are left out."""
    parts: dict[str, str] = {}
    _collect(kind, parts)
    return messages.definition(_short(kind), parts)


def _collect(kind: Any, parts: dict[str, str]) -> None:
    lines = []
    for field, text in kind.get_fields_and_field_types().items():
        part, suffix = _split(text)
        named = _RENAMED.get(part, _TEXT.sub(r"\1<=\2", part))
        lines.append(f"{named}{suffix} {field}")
        if "/" in part and part not in parts:
            package, _, name = part.partition("/")
            _collect(getattr(importlib.import_module(f"{package}.msg"), name), parts)
    parts[_short(kind)] = "\n".join(lines)


def _split(text: str) -> tuple[str, str]:
    """Type of an element, and what makes a field an array of it."""
    if found := _SEQUENCE.fullmatch(text):
        return found["kind"], f"[<={found['most']}]" if found["most"] else "[]"
    if found := _ARRAY.fullmatch(text):
        return found["kind"], f"[{found['size']}]"
    return text, ""


def _short(kind: Any) -> str:
    return type_name(kind).replace("/msg/", "/")
