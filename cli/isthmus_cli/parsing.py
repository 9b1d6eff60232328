"""Reads what was typed after a command into its dataclass, by tyro, and says in one sentence what is wrong with it."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import io
import itertools
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.numerals import number, plain

__all__ = ["parsed"]

_GENERAL = "The defaults below are of a task without settings of its own; those of a task are shown by: {prog} TASK --help"
_LARGEST = 10**18
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(_\d{3})+")
_VALID = {"INT": "a whole number of at most 1e18, such as 100, 1e5 or 100_000", "FLOAT": "a number, such as 0.5 or 1e-3"}


def parsed(command: Any, prog: str, words: list[str]) -> Any:
    """A command with what was typed.

    Args:
        command: its dataclass.
        prog: name of the command, for messages.
        words: typed after it.

    Raises:
        ValueError: an option is unknown, missing or wrong; one sentence.
        SystemExit: help was asked for, and shown.
    """
    import tyro

    default = command.defaults(words) if hasattr(command, "defaults") else None
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)
    options: dict[str, Any] = {"prog": prog, "config": config, "registry": _numbers()}
    if default is not None:
        options["default"] = default
    if hasattr(command, "named"):
        general = [] if command.named(words) else [_GENERAL.format(prog=prog)]
        own = inspect.cleandoc(command.__doc__.partition("Attributes:")[0]).strip()
        options["description"] = "\n\n".join([own, command.outcome, *general])
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(command, args=words, **options)
    except SystemExit as exit_:
        if not exit_.code:
            raise
    complaint = _unboxed(told.getvalue())
    if complaint.startswith("Missing from"):  # tyro explains each; their names are enough
        absent = re.findall(r"^(?:│ | {2}) {4}(?!isthmus )(\S.*?)\s*│?$", told.getvalue(), re.MULTILINE)
        complaint = f"{complaint.partition(':')[0]}: {', '.join(absent)}"
    if complaint.startswith("Error parsing "):
        complaint = _wrong_value(complaint)
    unknown = re.match(r"Unrecognized options: (--?[\w-]+)", complaint)
    raise ValueError(f"{complaint}; {_nearest(command, unknown[1], options) if unknown else ''}see {prog} --help")


def _numbers() -> Any:
    """What reads numbers: whole ones as 100000, or as people write large ones, 1e5 and 100_000."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def typed_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type not in (int, float):
            return None
        read = _whole if info.type is int else _real
        kinds = (int,) if info.type is int else (int, float)
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=info.type.__name__.upper(),
            instance_from_str=lambda typed: read(typed[0]),
            is_instance=lambda value: isinstance(value, kinds),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _whole(word: str) -> int:
    try:
        value = Decimal(word.replace("_", "") if _THOUSANDS.fullmatch(word) else word if plain(word) else "")
        if value.is_finite() and abs(value) <= _LARGEST and value == int(value):
            return int(value)
    except InvalidOperation:
        pass
    raise ValueError(f"must be {_VALID['INT']}, got {word!r}")


def _real(word: str) -> float:
    try:
        return number(word)
    except ValueError:
        raise ValueError(f"must be {_VALID['FLOAT']}, got {word!r}") from None


def _wrong_value(complaint: str) -> str:
    """What tyro says of a value, in words; where an option may be left out, it keeps what `_numbers` said for itself."""
    option, _, why = complaint.removeprefix("Error parsing ").partition(": ")
    if found := re.fullmatch(r"no type matching {?([\w ]+)}? could be instantiated from \[(.*)\]", why):
        why = f"must be {_VALID.get(found[1], found[1])}, got {found[2]}"
    elif found := re.fullmatch(r"Could not find valid parse for arguments: \[(.*)\]", why):
        why = f"{found[1]} cannot be read"
    return f"{option} {why}"


def _nearest(command: Any, option: str, options: dict[str, Any]) -> str:
    """The option that was meant, if one is near."""
    import tyro

    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
        tyro.cli(command, args=["--help"], **options)
    known = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", told.getvalue())))
    near = difflib.get_close_matches(option.lower().replace("_", "-"), known, n=1)
    return f"did you mean {near[0]}? " if near else ""


def _unboxed(text: str) -> str:
    """What tyro says in a box, in one line: below the title, up to the first rule.

    Without UTF-8 it draws no box, and the title stands above a rule of its own.
    """
    lines = [line.strip("│ ") for line in text.strip().splitlines()]
    sections = [list(part) for rule, part in itertools.groupby(lines, lambda line: line[:1] in "╭╰" or set(line) <= {"─", "-"}) if not rule]
    told = sections[0 if text.startswith("╭") or len(sections) < 2 else 1] if sections else [text]
    return " ".join(told).removeprefix("Error parsing config: ").rstrip(".")
