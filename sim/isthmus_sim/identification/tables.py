"""Files of columns: CSV with any separator, with a header or without one, text columns, and arrays in an NPZ file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus import strict
from isthmus.numerals import decimal
from isthmus.records import Array

__all__ = ["Columns", "read_columns"]

_SEPARATORS = (";", "\t", ",")
_MOST = 2 * 10**9  # bytes of a file


@dataclass(frozen=True, slots=True)
class Columns:
    """A table.

    Attributes:
        name: of the file.
        columns: `[T]` by name, or by number from 0 where there is no header.
        lines: of the file, from 1, `[T]`.
    """

    name: str
    columns: Mapping[str, Array]
    lines: Array

    def column(self, name: str | int) -> Array:
        """One column.

        Raises:
            ValueError: there is no such column.
        """
        if str(name) not in self.columns:
            raise ValueError(f"{self.name} has no column {str(name)!r}; {strict.suggest(str(name), self.columns)}")
        return self.columns[str(name)]


def read_columns(path: Path) -> Columns:
    """Read a table.

    Raises:
        ValueError: a row is short, long or no numbers; the message names file and row.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > _MOST:
        raise ValueError(f"{path} has {path.stat().st_size / 1e9:.1f} GB; at most {_MOST / 1e9:.0f} GB are read")
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_text(path)


def _read_npz(path: Path) -> Columns:
    columns: dict[str, Array] = {}
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: np.asarray(content[name], dtype=np.float64) for name in content.files}
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{path} is no NPZ file of numbers: {error}") from None
    for name, values in arrays.items():
        if values.ndim == 1:
            columns[name] = values
        elif values.ndim == 2:
            columns |= {f"{name}[{index}]": column for index, column in enumerate(values.T)}
    lengths = {name: len(values) for name, values in columns.items()}
    if not columns:
        raise ValueError(f"{path} holds no array of one or two dimensions")
    usual = max(set(lengths.values()), key=list(lengths.values()).count)
    if short := [name for name, length in lengths.items() if length != usual and length > 1]:
        raise ValueError(f"{path}: array {short[0]!r} has {lengths[short[0]]} rows, the others have {usual}")
    columns = {name: values for name, values in columns.items() if len(values) == usual}
    return Columns(str(path), columns, np.arange(1, usual + 1))


def _read_text(path: Path) -> Columns:
    try:
        rows = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8: give a CSV, text, NPZ or MCAP file") from None
    lines = [(number, row.strip()) for number, row in enumerate(rows, start=1) if row.strip()]
    comments = [row for _, row in lines if row.startswith(("#", "%"))]
    lines = [(number, row) for number, row in lines if not row.startswith(("#", "%"))]
    if not lines:
        raise ValueError(f"{path} is empty")
    separator = next((mark for mark in _SEPARATORS if lines[0][1].count(mark)), None)
    head = _cells(lines[0][1], separator)
    if separator != "," and "," in lines[-1][1] and "." not in lines[-1][1]:  # decimal commas
        lines = [(number, row.replace(",", ".")) for number, row in lines]
    first = _cells(lines[0][1], separator)
    names = [str(index) for index in range(len(first))]
    if any(_number(cell) is None for cell in first):
        names, lines = [cell.strip("\"' ") for cell in head], lines[1:]
    elif comments and len(head := _cells(comments[-1].lstrip("#% "), separator)) == len(first):
        names = head
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: column {twice!r} appears twice")
    return Columns(str(path), *_numbers(path, lines, names, separator))


def _numbers(path: Path, lines: list[tuple[int, str]], names: list[str], separator: str | None) -> tuple[dict[str, Array], Array]:
    values = np.empty((len(lines), len(names)))
    for row, (number, line) in enumerate(lines):
        cells = _cells(line, separator)
        if len(cells) != len(names):
            raise ValueError(f"{path}: row {number} has {len(cells)} columns, the others have {len(names)}")
        try:
            if "_" in line:  # which Python leaves out of a number
                raise ValueError
            values[row] = cells
        except ValueError:
            bad = next((cell, name) for cell, name in zip(cells, names, strict=True) if _number(cell) is None)
            told = [_number(cell) for cell in cells]
            if "" in (cell.strip() for cell in cells) and all(
                cell.strip() == "" or found is not None for cell, found in zip(cells, told, strict=True)
            ):
                values[row] = [np.nan if found is None else found for found in told]
                continue
            raise ValueError(f"{path}: row {number}, column {bad[1]!r} must be a number, got {bad[0]!r}") from None
    return dict(zip(names, values.T.copy(), strict=True)), np.array([number for number, _ in lines])


def _cells(line: str, separator: str | None) -> list[str]:
    line = line.replace('"', "")
    return line.split(separator) if separator else re.split(r"\s+", line)


def _number(cell: str) -> float | None:
    try:
        return decimal(cell)
    except ValueError:
        return None
