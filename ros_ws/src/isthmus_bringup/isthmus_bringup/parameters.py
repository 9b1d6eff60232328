"""What a `params_file` says to the nodes of a plan, read as ROS reads it, and refused where ROS would ignore it in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_bringup.arguments import ARGUMENTS, Argument

__all__ = ["KINDS", "PARAMETERS", "read_parameters"]

_SETUP = {"policy", "robot", "robots_dir", "joint_prefix"}
_TIMED = _SETUP | {"clock", "stamp_check"}
_COMMANDING = _TIMED | {"shadow", "replan", "camera_timeout", "correction_timeout", "max_steps", "record", "watched"}

PARAMETERS: Mapping[str, frozenset[str]] = {
    "sim_node": frozenset({"task", "plant", "joint_prefix", "clock", "autostart", "state_rate", "transport"})
    | {"command_timeout", "camera_rate", "tf", "episode_seed", "parameters", "fault"},
    "guard_node": frozenset(_TIMED | {"transport", "rate_scale", "accept_no_deadman", "estop_required"}),
    "policy_node": frozenset(_COMMANDING),
    "explore_node": frozenset(_COMMANDING),
    "monitor_node": frozenset(_SETUP | {"on_violation", "margin", "specification", "autostart"}),
    "record_node": frozenset(
        _SETUP - {"joint_prefix"} | {"folder", "queue", "max_size", "min_free", "autostart", "simulated", "missing_evidence"}
    ),
}
"""Node → the parameters that it declares. A test compares it with the nodes, which cannot be asked where ROS is missing."""

_LARGEST = 2**31 - 1
_OWN = (
    Argument("stamp_check", "absolute", "", ("absolute", "relative")),
    Argument("replan", 0, "", low=0, high=10_000),
    Argument("max_steps", 0, "", low=0, high=_LARGEST),
    Argument("camera_timeout", 0.3, "", low=0.02, high=5),
    Argument("correction_timeout", 0.0, "", low=0, high=1),
    Argument("watched", False, ""),
    Argument("record", "", ""),  # path of traces; the argument of that name is another thing
    Argument("estop_required", (), ""),
    Argument("state_rate", 0.0, "", low=0, high=1000),
    Argument("command_timeout", 0.5, "", low=0, high=60),
    Argument("camera_rate", 0.0, "", low=0, high=120),
    Argument("tf", True, ""),
    Argument("episode_seed", -1, "", low=-1, high=_LARGEST),
    Argument("parameters", (), ""),
    Argument("fault", (), ""),
    Argument("on_violation", "report", "", ("report", "hold", "stop")),
    Argument("margin", 0.0, "", low=-1e6, high=1e6),
    Argument("specification", "", ""),
    Argument("folder", "recordings", ""),
    Argument("queue", 64.0, "", low=0.1, high=10_000),
    Argument("max_size", 0.0, "", low=0, high=1e7),
    Argument("min_free", 500.0, "", low=0, high=1e7),
    Argument("simulated", False, ""),
    Argument("missing_evidence", "", ""),
    Argument("start_type_description_service", True, ""),
)
KINDS: Mapping[str, Argument] = {argument.name: argument for argument in (*ARGUMENTS, *_OWN)}
"""Parameter → type, choices and range: those of the argument of that name, where there is one. The same test compares them."""

_ANY = frozenset().union(*PARAMETERS.values())
_OF_ROS = ("use_sim_time", "start_type_description_service")
_OVERRIDES = "qos_overrides."  # of ROS too; the rest is a topic
_BODY = "ros__parameters"


def read_parameters(file: Path, places: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The values in a file for each node of a plan; of two for one parameter the later wins.

    Args:
        file: YAML, with nodes as keys: `guard_node`, `/left/guard_node`, or with wildcards for whole parts of a name (`*`) and any number of
            them (`/**`).
        places: node → its full name, of those that the plan starts.

    Returns:
        node → parameter → value, for every node of the plan.

    Raises:
        ValueError: there is no such file, it is not such YAML, it names a node or a parameter that does not exist, or a node of the plan in
            a namespace in which it does not live, or a value is not valid; one sentence.
    """
    if not file.is_file():
        raise ValueError(f"there is no parameter file {file}")
    sections = list(_sections(strict.load_yaml(file), "", file))
    found: dict[str, dict[str, Any]] = {node: {} for node in places}
    for pattern, values in sections:
        if "robot_namespace" in values:
            line = f"robot_namespace:={values['robot_namespace']}"
            raise ValueError(f"{file}: robot_namespace is no parameter, for the nodes live in it: give it as an argument, {line}")
        reached = [node for node, place in places.items() if _matches(pattern, place)]
        _check_node(file, pattern, reached, places, [other for other, _ in sections])
        named = pattern.rpartition("/")[2]
        known = PARAMETERS.get(named, _ANY)
        for name, value in values.items():
            if name not in known and name not in _OF_ROS and not name.startswith(_OVERRIDES):
                whose = named if named in PARAMETERS else "isthmus"
                raise ValueError(f"{file}: {whose} has no parameter {name!r}; {strict.suggest(name, known)}")
            valid = _valid(name, value, f"{file}: {pattern}")
            for node in reached:
                if name in PARAMETERS[node] or name not in known:
                    found[node][name] = valid
    return found


def _valid(name: str, value: Any, where: str) -> Any:
    """A value as its parameter takes it: checked like an argument, a list of texts as a list."""
    if name.startswith(_OVERRIDES):
        if not isinstance(value, (str, bool, int)):
            raise ValueError(f"{where}: {name} must be a text, an integer, true or false, got {value!r}")
        return value
    try:
        valid = KINDS[name].read(value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return list(valid) if isinstance(valid, tuple) else valid


def _sections(content: Any, above: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of a node's name, absolute and perhaps with wildcards, and its parameters; namespaces may be nested."""
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected 'NODE: {{{_BODY}: {{NAME: VALUE}}}}', got {content!r} under {above or 'its top'}")
    for key, below in content.items():
        name = f"{above}/{str(key).strip('/')}"
        if key == _BODY:
            if not above or not isinstance(below, dict):
                raise ValueError(
                    f"{file}: {_BODY} must be a mapping below a node's name, such as /**, got {below!r} under {above or 'its top'}"
                )
            yield above, dict(_flat(below, "", file))
        else:
            yield from _sections(below, name, file)


def _flat(values: Mapping[str, Any], above: str, file: Path) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.", file)
        elif value is None or value == []:
            raise ValueError(f"{file}: parameter {above}{key} has no value")
        else:
            yield f"{above}{key}", value


def _matches(pattern: str, place: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"/\*\*", r"(?:/\w+)*").replace(r"\*", r"\w+"), place) is not None


def _check_node(file: Path, pattern: str, reached: list[str], places: Mapping[str, str], patterns: list[str]) -> None:
    """Refuse a section that nobody would read, unless it is for nodes that this plan leaves out, or for those of another robot."""
    node = pattern.rpartition("/")[2]
    if reached:
        return
    if "*" not in node and node not in PARAMETERS:
        raise ValueError(f"{file}: there is no node {node!r}; {strict.suggest(node, PARAMETERS)}")
    if "*" in node:
        raise ValueError(f"{file}: {pattern} reaches none of {', '.join(places.values())}")
    if node in places and not any(other.endswith(f"/{node}") and _matches(other, places[node]) for other in patterns):
        raise ValueError(f"{file}: {pattern} is not the {node} that is started, which is {places[node]}")
