"""Lines of the tables of what evidence found: margins, replayed runs over ROS 2, planted faults, and what a calibration is worth."""

from __future__ import annotations

from columns import WORLDS, chosen, distinct, over_seeds, rates, returns
from figures import Row, number, span, table

from isthmus_evidence.statistics import success_interval


def margins(rows: list[Row]) -> list[str]:
    """How far disturbances may go in MuJoCo, and what is lost in PyBullet beyond."""
    lines = []
    for row in rows:
        head = (f"`{row['task']}`, {row['learner']}", f"`{row['name']}`", "" if row["unit"] == "1" else row["unit"])
        if "refused" in row:
            lines.append((*head, row["refused"], "", "", ""))
            continue
        of = {checked["engine"]: checked for checked in row["checked"]}
        beyond = of.get("pybullet", {})
        tried = {one["amount"]: one for one in row["tried"]}.get(beyond.get("amount"))
        lines.append(
            (
                *head,
                "" if row["low"] is None else number(row["low"], 3),
                "not reached" if row["high"] is None else number(row["high"], 3),
                _lost(tried),
                beyond.get("refused") or _lost(beyond.get("loss")),
            )
        )
    return table(("policy", "margin", "unit", "less up to", "more from", "lost there, MuJoCo", "lost there, PyBullet"), lines)


def _lost(found: Row | None) -> str:
    return span(found["difference"], found["low"], found["high"]) if found else ""


def replays(rows: list[Row]) -> list[str]:
    """What replays of recorded runs over ROS 2 give again."""
    return table(
        ("policy", "runs", "stage", "values compared", "equal bit for bit", "largest difference", "allowed"),
        [
            (
                f"`{row['task']}`, {row['kind']}",
                row["runs"],
                row["stage"],
                f"{row['compared']:,}",
                f"{row['equal']:,}",
                f"{row['largest']:.2g}",
                f"{row['allowed']:g}",
            )
            for row in rows
        ],
    )


def calibrated(rows: list[Row]) -> list[str]:
    """What training with a calibration is worth on a robot that differs."""
    lines = []
    for (arm,) in distinct(rows, "arm"):
        of = chosen(rows, arm=arm)
        clamped = over_seeds(row["motion"]["clamped"] for row in of)
        lines.append((arm, len(of), rates(of), returns(of), clamped, over_seeds((row["tracking_rad_s"]["mean"] for row in of), 3)))
    return table(("trained with", "seeds", "success", "return", "share of periods clamped", "tracking error, rad/s"), lines)


_MORE = ("filter", "noise", "damping")


def planted(rows: list[Row]) -> list[str]:
    """Which planted faults are named first, and what is said of pairs without one."""
    lines, faults = [], [row for row in rows if row["fault"] != "none"]
    for (fault,) in sorted(distinct(rows, "fault"), key=lambda one: one[0] == "none"):
        of = chosen(rows, fault=fault)
        cells = []
        for engine in WORLDS:
            there = chosen(of, engine=engine)
            right = sum(row["named"] == row["expected"] for row in there)
            wrong = sorted({f"{row['task']}: {row['named']}" for row in there if row["named"] != row["expected"]})
            cells.append(f"{right} of {len(there)}" + (f" ({'; '.join(wrong)})" if wrong else "") if there else "")
        lines.append((fault if fault != "none" else "no fault", of[0]["expected"], *cells))
    for what, among in (
        ("all faults", faults),
        ("without filter, noise and damping", [row for row in faults if row["fault"] not in _MORE]),
    ):
        cells = []
        for engine in WORLDS:
            of = [row["named"] == row["expected"] for row in chosen(among, engine=engine)]
            low, high = success_interval(sum(of), len(of))
            cells.append(f"{sum(of)} of {len(of)} ({low:.2f} … {high:.2f})")
        lines.append((what, "", *cells))
    return table(("planted", "right answer", *(f"named first, {world}" for world in WORLDS.values())), lines)
