"""Where a chart is written, and writing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import whole_file

__all__ = ["chart_path", "save_figure"]

_FORMATS = (".png", ".svg", ".pdf")


def chart_path(path: Path | str) -> Path:
    """The file of a chart.

    Raises:
        ValueError: no path, or unknown suffix.
    """
    file = strict.path("the file of a plot", path)
    if file.suffix not in _FORMATS:
        raise ValueError(f"a plot is a {', '.join(_FORMATS)} file, got {file}")
    return file


def save_figure(figure: Any, path: Path | str) -> None:
    """Write a matplotlib figure, whole or not at all.

    Raises:
        ValueError: as `chart_path`.
    """
    with whole_file(chart_path(path)) as partial:
        figure.savefig(partial, dpi=120)
