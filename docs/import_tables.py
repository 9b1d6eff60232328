"""Tables of robots that were imported: what was guessed and changed, how far the engines agree, or why a file was refused."""

from __future__ import annotations

import re
from collections import Counter

from figures import Row, table

_KINDS = {
    "mesh .* left out": "meshes left out",
    "joint .* mimics ": "mimic joints fixed",
    "inertia of link ": "inertias replaced",
    "link .* has no mass: it gets": "masses given",
    "root link .* has no mass": "mass of the root moved",
    "joint .* limits .* others are assumed": "wrong limits",
    "the axis of joint ": "axes made unit vectors",
    "joints without an actuator": "passive joints",
    "option |what the file switches off|gravity compensation": "physics of the file left out",
    "actuator of ": "lines about actuators",
    "what holds the robot at home|link .* from where the file|the mass matrix differs": "differences from the file",
    "joint .*: home .* is beyond": "homes moved into the limits",
    ".* does not stand upright": "tilted root",
    "[0-9]+ meshes taken": "folders of meshes guessed",
}
_ENGINES = {"mujoco": "MuJoCo", "pybullet": "PyBullet"}


def import_counts(rows: list[Row]) -> list[str]:
    """How many there are of each outcome."""
    read = [row for row in rows if "refused" not in row]
    agree = [row for row in read if not row["lines"]]
    return table(
        (
            "robots",
            "imported",
            "both engines agree in everything that is compared",
            "imported, with what differs in a line",
            "refused, with the reason",
        ),
        [(len(rows), len(read), len(agree), len(read) - len(agree), len(rows) - len(read))],
    )


def imports(rows: list[Row]) -> list[str]:
    """One line per robot."""
    lines = []
    for row in rows:
        name = f"{row['robot']} ({row['package']})"
        if "refused" in row:
            lines.append((name, "", "", "", "", "", _cell(f"refused: {row['refused']}")))
            continue
        apart = [f"{row['apart'][engine]['m']:.0e}" if engine in row["apart"] else "" for engine in _ENGINES]
        lines.append((name, row["joints"], row["base"], _guessed(row), _changed(row), *apart, _cell("; ".join(row["lines"])) or "nothing"))
    header = ("robot", "joints", "base", "limits that the file does not say", "changed or left out")
    return table(
        (*header, *(f"links apart in {name}, m" for name in _ENGINES.values()), "what differs"),
        [_padded(line, len(header) + 3) for line in lines],
    )


def _padded(line: tuple[object, ...], count: int) -> tuple[object, ...]:
    """The last cell last."""
    return (*line[:-1], *[""] * (count - len(line)), line[-1])


def _guessed(row: Row) -> str:
    found = [re.match(r"(position|velocity|effort): not in the file for (.*); ", line) for line in row["fill_in"]]
    return ", ".join(f"{match[1]} of {len(match[2].split(', '))}" for match in found if match)


def _changed(row: Row) -> str:
    counts = Counter(words for note in row["notes"] for pattern, words in _KINDS.items() if re.match(pattern, note))
    return ", ".join(f"{count} {words}" for words, count in counts.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
