"""Results as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import write_whole

__all__ = ["json_text", "write_json"]


def json_text(data: Any) -> str:
    """Plain data as indented JSON.

    Args:
        data: dataclasses, mappings, sequences and scalars; infinity becomes "inf".

    Raises:
        ValueError: a number is NaN.
    """
    return json.dumps(strict.encode(data), indent=2, ensure_ascii=False, allow_nan=False)


def write_json(data: Any, path: Path) -> None:
    """Write plain data into a file that appears whole or not at all; its folder is made if it is missing.

    Raises:
        ValueError: a number is NaN.
        OSError: the file cannot be written.
    """
    write_whole(path, json_text(data) + "\n")
