"""`isthmus calibrations`: what several identifications say of one parameter: one robot on two days, or two robots of a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from isthmus_cli.console import say, show_table, write_json
from isthmus_sim.identification.calibration import Calibration, load_calibration

__all__ = ["Calibrations"]

_APART = 2.0  # combined standard deviations from which two runs are said to differ


@dataclass(frozen=True, slots=True)
class Calibrations:
    """Compare calibrations, parameter by parameter.

    Attributes:
        folders: of `isthmus identify`, or calibration files.
        json: write the table as JSON to this file; - is stdout.
    """

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR …")]
    json: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: a folder holds no calibration, or fewer than two are given.
        """
        if len(self.folders) < 2:
            raise ValueError(f"calibrations are compared, so give at least two folders, got {len(self.folders)}")
        runs = [load_calibration(_file(folder)) for folder in self.folders]
        names = list(dict.fromkeys(name for run in runs for name in run.parameters))
        spread = {name: _spread(runs, name) for name in names}
        if self.json:
            write_json({name: {"values": _values(runs, name), "spread_in_sd": spread[name]} for name in names}, self.json)
        if str(self.json) != "-":
            rows = [(name, *(_cell(run, name) for run in runs), f"{spread[name]:.1f}") for name in names]
            show_table("", ("parameter", *(folder.name for folder in self.folders), "spread, sd"), rows)
            apart = [name for name in names if spread[name] > _APART]
            say(f"further apart than {_APART:g} of their standard deviations: {', '.join(apart) or 'none'}")
        return 0


def _file(folder: Path) -> Path:
    path = folder / "calibration.yaml" if folder.is_dir() else folder
    if not path.is_file():
        raise ValueError(f"{folder} holds no calibration.yaml; isthmus identify writes one if it predicts better")
    return path


def _values(runs: Sequence[Calibration], name: str) -> list[float | None]:
    return [run.parameters[name].value if name in run.parameters else None for run in runs]


def _cell(run: Calibration, name: str) -> str:
    found = run.parameters.get(name)
    return f"{found.value:.4g} ± {found.sd:.2g}" if found else ""


def _spread(runs: Sequence[Calibration], name: str) -> float:
    """Largest difference of two runs, in multiples of their combined standard deviation."""
    found = [run.parameters[name] for run in runs if name in run.parameters]
    pairs = [(one, two) for index, one in enumerate(found) for two in found[index + 1 :]]
    return max((abs(one.value - two.value) / float(np.hypot(one.sd, two.sd) or 1e-12) for one, two in pairs), default=0.0)
