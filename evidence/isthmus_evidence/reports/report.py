"""Writes the report of a demo: its figures, and the page made of them."""

from __future__ import annotations

from pathlib import Path

from isthmus.files import write_whole
from isthmus_evidence.files import write_json
from isthmus_evidence.reports.demo_files import load_demo
from isthmus_evidence.reports.page import page

__all__ = ["write_report"]


def write_report(folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.json`.

    Args:
        folder: of a demo.

    Returns:
        both files.

    Raises:
        ValueError: a file of the demo is damaged.
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no demo in {folder}; make one with: isthmus demo --out {folder}")
    demo = load_demo(folder)
    html, figures = folder / "report.html", folder / "report.json"
    write_json(demo.figures(), figures)
    write_whole(html, page(demo))
    return html, figures
