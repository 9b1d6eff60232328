"""What installed packages add to isthmus, by name: entry points of the groups `isthmus.robots`, `.tasks`, `.kinds`, `.recurrences` and `.models`.

Nothing of a package is imported before one of its names is asked for.
"""

from __future__ import annotations

import functools
import importlib.metadata
import traceback
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

__all__ = ["find_installed", "installed_names", "load_installed", "make_installed"]


def installed_names(group: str) -> list[str]:
    """Names that installed packages offer, sorted."""
    return sorted(_offers(group))


def find_installed(group: str, name: str, *, own: bool = False) -> EntryPoint | None:
    """The entry point of that name, None if there is none.

    Args:
        group: name of the group.
        name: what is asked for.
        own: isthmus has one of that name itself, without an entry point.

    Raises:
        ValueError: it is offered more than once, so nobody can say which is meant.
    """
    offers = _offers(group).get(name, [])
    places = ["isthmus"] * own + [entry.value for entry in offers]
    if len(places) > 1:
        raise ValueError(f"{group}: {name!r} is offered by {' and '.join(places)}; one of them needs another name")
    return offers[0] if offers else None


def load_installed(entry: EntryPoint) -> Any:
    """Import what an entry point names.

    Raises:
        ValueError: it cannot be imported; the message names the error and its place.
    """
    if not EntryPoint.pattern.match(entry.value):
        raise ValueError(f"{entry.group}: {entry.name!r} must be MODULE or MODULE:NAME, got {entry.value!r}")
    return _attempt(entry, entry.load, "cannot be imported")


def make_installed(entry: EntryPoint) -> Any:
    """Import what an entry point names, and call it if it is a function.

    Raises:
        ValueError: it cannot be imported, or the function failed; the message names the error and its place.
    """
    offered = load_installed(entry)
    return _attempt(entry, offered, "failed") if callable(offered) else offered


def _attempt(entry: EntryPoint, action: Callable[[], Any], outcome: str) -> Any:
    try:
        return action()
    except Exception as error:  # whatever is wrong is wrong in that package
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
        where = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""
        raise ValueError(
            f"{entry.group}: {entry.name!r} is {entry.value}, which {outcome}: {type(error).__name__}: {error}{where}"
        ) from error


@functools.cache
def _offers(group: str) -> dict[str, list[EntryPoint]]:
    offers: dict[str, list[EntryPoint]] = defaultdict(list)
    for entry in importlib.metadata.entry_points(group=group):
        offers[entry.name].append(entry)
    return dict(offers)
