"""Files of figures: what was measured, and beside each row which command, commit, versions and machine it is of.

    {"made": [from provenance, …], "rows": {key: {"concerns": [word, …], "made": index, …}}}

The tables of the documentation are made from such files, in `docs/results`, and from nothing else. A row is written as soon as it is known, so that
whoever measures goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import write_whole
from isthmus_evidence.provenance import provenance

__all__ = ["Results"]


class Results:
    """One file of figures.

    Attributes:
        file: where it is.
        made: who measured, from `provenance`; rows say which of them.
        rows: what was found, plain data under a key in words.
    """

    def __init__(self, file: Path, *packages: str) -> None:
        """Read the file, if there is one; `packages` as in `provenance`.

        Raises:
            ValueError: it is no file of figures.
        """
        self.file = file
        self.made: list[dict[str, Any]] = []
        self.rows: dict[str, dict[str, Any]] = {}
        self._packages = packages
        self._ours: dict[str, Any] | None = None
        self._read()

    def _read(self) -> None:
        if self.file.is_file():
            found = strict.load_json(self.file.read_bytes(), str(self.file))
            if not isinstance(found, dict) or found.keys() != {"made", "rows"}:
                raise ValueError(f"{self.file} is no file of figures; it has to hold 'made' and 'rows'")
            self.made, self.rows = found["made"], found["rows"]

    def add(self, key: str, row: Mapping[str, Any], concerns: Iterable[str], made: Mapping[str, Any] | None = None) -> None:
        """Save a row, in place of an earlier one, beside what other processes have saved meanwhile.

        Args:
            key: of the row.
            row: plain data; what is None was not measured.
            concerns: what it is about, words of `docs/results/changes.yaml`; a change of one of them makes it old.
            made: provenance of the process that measured it; by default this one.

        Raises:
            ValueError: a number is NaN or infinite.
        """
        self._read()
        if made is None:
            made = self._ours = self._ours or provenance(*self._packages)
        if made not in self.made:
            self.made.append(dict(made))
        rows = {**self.rows, key: {**row, "concerns": sorted(concerns), "made": self.made.index(dict(made))}}
        text = json.dumps({"made": self.made, "rows": rows}, indent=1, ensure_ascii=False, allow_nan=False)
        write_whole(self.file, text + "\n")
        self.rows = rows
