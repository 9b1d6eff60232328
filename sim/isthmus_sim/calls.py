"""What an environment may be asked for, checked in one place, with the conventions of Gymnasium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.records import Array

__all__ = ["MOST_ROWS", "asked_actions", "asked_rows", "asked_seed", "asked_seeds", "render_mode_of"]

MOST_ROWS = 10**6

_MASK = "reset_mask"
_MODES = ("rgb_array",)


def asked_seed(seed: Any) -> int | None:
    """A seed as a plain number.

    Raises:
        ValueError: it is no whole number >= 0.
    """
    return None if seed is None else strict.whole("a seed", seed, least=0)


def asked_seeds(seed: Any, rows: int) -> list[int | None]:
    """One seed per row; of a single one, row i gets `seed + i`.

    Raises:
        ValueError: there are more or fewer seeds than rows, or one is no whole number >= 0.
    """
    if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str):
        if np.shape(seed) != (rows,):
            raise ValueError(f"there must be one seed for each of the {rows} rows, got {list(seed)}")
        return [asked_seed(value) for value in seed]
    first = asked_seed(seed)
    return [None if first is None else first + row for row in range(rows)]


def asked_rows(options: Mapping[str, Any] | None, rows: int) -> Array:
    """Indices of the rows to reset: those of `options["reset_mask"]`, or all.

    Raises:
        ValueError: no mapping, another option, or a mask that is not `[rows]` bool with a row in it.
    """
    if not isinstance(options, Mapping | None):
        raise ValueError(f"options of reset map names to values, such as {{{_MASK!r}: mask}}, got {options!r}")
    for name in options or ():
        if name != _MASK:
            raise ValueError(f"unknown option {name!r} of reset; {strict.suggest(str(name), [_MASK])}")
    if not options:
        return np.arange(rows)
    mask = options[_MASK]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (rows,) or not mask.any():
        raise ValueError(f"reset_mask must be a numpy array [{rows}] of bool with at least one True, got {mask!r}")
    return np.flatnonzero(mask)


def asked_actions(actions: Any, shape: tuple[int, ...]) -> Array:
    """Actions as float64.

    Raises:
        ValueError: another shape, or no numbers.
    """
    try:
        if np.iscomplexobj(actions):
            raise ValueError("they are complex")
        asked = np.asarray(actions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"an action must be numbers of shape {list(shape)}: {error}") from None
    if asked.shape != shape:
        raise ValueError(f"an action must have shape {list(shape)}, got {list(asked.shape)}")
    return asked


def render_mode_of(mode: str | None) -> str | None:
    """A render mode.

    Raises:
        ValueError: unknown.
    """
    if mode is not None and mode not in _MODES:
        raise ValueError(f"unknown render_mode {mode!r}; {strict.suggest(mode, _MODES)}, or None; to look at an arm, use isthmus view")
    return mode
