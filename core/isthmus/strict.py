"""Strict reading and canonical writing of plain data: YAML or JSON in, frozen dataclasses out.

Every file that decides how a robot moves goes through this one loader. Unknown keys, duplicate keys, wrong types and NaN are errors
that name the place (`robot.joints[2].velocity`), the bad value and what would be valid. Infinity is written "inf", so that the canonical
form is plain JSON.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union

import numpy as np

from isthmus.numerals import number_text, plain

__all__ = [
    "canonical_json",
    "check_fields",
    "decode",
    "encode",
    "instance",
    "load_json",
    "load_yaml",
    "path",
    "require",
    "suggest",
    "whole",
]

T = TypeVar("T")


def load_yaml(path: str | os.PathLike[str]) -> Any:
    """Read one YAML document made of plain data; dates and times stay texts. A file that has not changed is not parsed again.

    Args:
        path: file to read; at most 1 MB.

    Raises:
        ValueError: the file is not YAML, holds a tag, an alias (ten lines of them stand for any number of values) or a number that is not `plain`, or
            repeats a key; the message names file and line. Or it is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"a YAML file is named by its path, got {path!r}")
    return copy.deepcopy(_parsed(Path(path), _read(Path(path))))


@functools.lru_cache(maxsize=32)
def _parsed(path: Path, text: str) -> Any:
    """What a file with this text holds."""
    import yaml

    data = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq")}

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """SafeLoader of plain data that refuses duplicate keys and aliases."""

        yaml_implicit_resolvers = {  # noqa: RUF012 - overrides PyYAML's
            first: [(tag, form) for tag, form in forms if tag in data] for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        yaml_constructors = {  # noqa: RUF012
            tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items() if tag is None or tag in data
        }

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                found = self.peek_event()
                raise ValueError(f"{path}:{found.start_mark.line + 1}: alias *{found.anchor} is not read; write out what it stands for")
            return super().compose_node(parent, index)

    def number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if ":" in text:  # a time, which YAML 1.1 takes for a number to base 60, and ROS does not
            return text
        if len(text) > _DIGITS:
            raise ValueError(f"{path}:{node.start_mark.line + 1}: a number has at most {_DIGITS} characters, got {len(text)}")
        if not plain(text):
            raise ValueError(f"{path}:{node.start_mark.line + 1}: readers differ over {text}; write it as 10 or 0.1 are, or in quotes")
        return (loader.construct_yaml_int if node.tag.endswith("int") else loader.construct_yaml_float)(node)

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise ValueError(f"{path}:{key_node.start_mark.line + 1}: a key must be a plain word or number")
            key = loader.construct_object(key_node, deep=True)
            if key in result:
                raise ValueError(f"{path}:{key_node.start_mark.line + 1}: key {key!r} appears twice")
            result[key] = loader.construct_object(value_node, deep=True)
        return result

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    for kind in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", number)
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 - the loader above is a SafeLoader
    except yaml.MarkedYAMLError as error:
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if (mark := error.problem_mark) else ""
        raise ValueError(f"{path} is not valid YAML: {where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(f"{path} is not valid YAML: it is nested too deeply") from None


def load_json(text: str | bytes, where: str) -> Any:
    """Parse JSON and refuse duplicate keys and non-standard numbers.

    Args:
        text: the JSON document.
        where: name used in messages, usually a file or an archive member.

    Raises:
        ValueError: not JSON, a repeated key, a NaN or Infinity literal, or an integer of very many digits.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                raise ValueError(f"{where}: key {key!r} appears twice")
            result[key] = value
        return result

    def whole(digits: str) -> int:
        if len(digits) > _DIGITS:
            raise ValueError(f"{where}: a number has at most {_DIGITS} characters, got {len(digits)}")
        return int(digits)

    def refuse(literal: str) -> float:
        raise ValueError(f"{where}: {literal} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_int=whole)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{where} is not valid JSON: {error}") from None


def decode(kind: type[T], data: Any, where: str) -> T:
    """Build a dataclass (or a plain type) from plain data, checking every key and type.

    Args:
        kind: the dataclass to build; its fields may be str, int, float, bool, tuple, dict, None and dataclasses.
        data: what a YAML or JSON loader returned. Dataclasses that are built already are taken too, and numbers and arrays of numpy, also in them.
        where: name of the place, used in messages.

    Raises:
        ValueError: an unknown or missing key or a wrong type; the message names the place and the valid keys.
    """
    return typing.cast(T, _decode(kind, data, where))


def check_fields(value: Any, where: str) -> None:
    """What `decode` does for a file, for a dataclass built by code, in its `__post_init__`: numbers of numpy become plain ones, lists tuples.

    Raises:
        ValueError: a field has a wrong type; the message begins with `where` and the name of the field.
    """
    kind: Any = type(value)
    hints = _hints(kind)
    for field in dataclasses.fields(value):
        object.__setattr__(value, field.name, _decode(hints[field.name], getattr(value, field.name), f"{where}{field.name}"))


def encode(value: Any) -> Any:
    """Turn dataclasses, tuples and mappings into plain JSON data; infinity becomes "inf".

    Raises:
        ValueError: a number is NaN, or a value is of a type that plain data does not have.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError("NaN cannot be written as plain data")
        return value + 0.0 if math.isfinite(value) else ("inf" if value > 0 else "-inf")  # + 0.0: no negative zero
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise ValueError(f"cannot write {type(value).__name__} as plain data")


def canonical_json(value: Any) -> bytes:
    """One byte string per value: sorted keys, no spaces, shortest floats. What digests are taken of."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


_DIGITS = 100  # characters of a number in a file
_MANY, _FEW = 24, 8  # so many names are listed completely; else the nearest few


def require(what: str, value: float, *, above: float | None = None, least: float | None = None, endless: bool = False) -> None:
    """Refuse a number out of its range; infinity is one only if it is `endless`.

    Raises:
        ValueError: it is NaN, not above `above`, less than `least`, or infinite.
    """
    wanted = f"> {above:g}" if above is not None else f">= {least:g}"
    high = value > above if above is not None else least is not None and value >= least
    if not high or (math.isinf(value) and not endless):
        raise ValueError(f"{what} must be {wanted}{'' if endless else ' and finite'}, got {value}")


def instance(what: str, value: object, kind: type) -> None:
    """Raise ValueError for an argument that is no `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"{what} must be of type {kind.__name__}, got {value!r}")


def path(what: str, value: object) -> Path:
    """A path; what is neither text nor a path, or empty, is a ValueError."""
    if not isinstance(value, str | os.PathLike) or not isinstance(text := os.fspath(value), str) or not text:
        raise ValueError(f"{what} must be a path, got {value!r}")
    return Path(text)


def whole(what: str, value: object, least: int | None = None, most: int | None = None) -> int:
    """A whole number, of numpy too; what is none, less than `least` or more than `most` is a ValueError."""
    low, high = -math.inf if least is None else least, math.inf if most is None else most
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        wanted = "" if most is None else f" of at most {most}"
        if least is not None:
            wanted = f" >= {least}" if most is None else f" from {least} to {most}"
        raise ValueError(f"{what} must be a whole number{wanted}, got {value!r}")
    return int(value)


def suggest(name: object, known: typing.Iterable[str]) -> str:
    """The tail of an "unknown name" message: the nearest name, if any, and all valid ones; of very many, the nearest few."""
    import difflib

    names = sorted(known)
    name = name if isinstance(name, str) else ""
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if len(names) > _MANY:
        close = sorted(difflib.get_close_matches(name, names, n=_FEW, cutoff=0.3)) or names[:_FEW]
        return f"{hint}Known ({len(close)} of {len(names)}): {', '.join(close)}"
    return f"{hint}Known: {', '.join(names) or 'none'}"


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > 1_000_000:
        raise ValueError(f"{path} has {size} bytes; configuration files have at most 1000000")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def _decode(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        (only,) = [argument for argument in arguments if argument is not type(None)]
        return _decode(only, data, where)
    if origin is tuple:
        data = data.tolist() if isinstance(data, np.ndarray) else data
        if not isinstance(data, (list, tuple)):
            raise ValueError(f"{where} must be a list, got {data!r}")
        if arguments[-1] is Ellipsis:
            return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(data))
        if len(data) != len(arguments):
            raise ValueError(f"{where} must have {len(arguments)} entries, got {len(data)}")
        return tuple(
            _decode(item_kind, item, f"{where}[{index}]") for index, (item_kind, item) in enumerate(zip(arguments, data, strict=True))
        )
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(data, Mapping):
            raise ValueError(f"{where} must be a mapping, got {data!r}")
        return {_decode(arguments[0], key, where): _decode(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    return _decode_scalar(kind, data, where)


_hints = functools.cache(typing.get_type_hints)


def _decode_dataclass(kind: Any, data: Any, where: str) -> Any:
    if isinstance(data, kind):
        check_fields(data, f"{where}.")
        return data
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} must be a mapping or a {kind.__name__}, got {data!r}")
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in data:
        if key not in fields:
            raise ValueError(f"{where}: unknown key {key!r}; {suggest(str(key), fields)}")
    for name, field in fields.items():
        if name not in data and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}: key {name!r} is missing")
    values = {name: _decode(hints[name], item, f"{where}.{name}") for name, item in data.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _as_yaml_takes_it(data: Any) -> str:
    """What to write in place of a number that YAML takes for a word."""
    try:
        return f", which YAML takes for a word: write {number_text(float(data))}" if isinstance(data, str) and "e" in data.lower() else ""
    except ValueError:
        return ""


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is Any:
        return data
    data = data.item() if isinstance(data, np.generic) else data
    if kind is float:
        number = {"inf": math.inf, "-inf": -math.inf}.get(data, data) if isinstance(data, str) else data
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"{where} must be a number, got {data!r}{_as_yaml_takes_it(data)}")
        try:
            number = float(number)
        except OverflowError:
            raise ValueError(f"{where} must be a number that fits into 64 bits, got an integer that does not") from None
        if math.isnan(number):
            raise ValueError(f"{where} must be a number, got {data!r}")
        return number
    if kind is int and (isinstance(data, bool) or not isinstance(data, int)):
        raise ValueError(f"{where} must be an integer, got {data!r}")
    if not isinstance(data, kind):
        raise ValueError(f"{where} must be of type {kind.__name__}, got {data!r}")
    return data
