"""Makes the lines of the tables of figures from the rows of their files; `tables.py` says which shows what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from figures import Row, number, span, table
from scipy.stats import ttest_ind

WORLDS = {"mujoco": "MuJoCo", "pybullet": "PyBullet"}
_ENGINES = {"isthmus": "here", "sb3": "stable-baselines3"}
_LENGTHS = (1, 2, 4, 8, 16, 30)


def over_seeds(values: Iterable[float], digits: int = 2) -> str:
    """Mean of one value per seed, and their range."""
    found = list(values)
    return span(sum(found) / len(found), min(found), max(found), digits) if found else ""


def chosen(rows: list[Row], **wanted: object) -> list[Row]:
    """Rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def explored(rows: list[Row]) -> list[str]:
    """What the loop of ASID came to, over truths; rows of single truths are left out."""
    lines: list[tuple[str, str, str]] = []
    for row in rows:
        if "refused" in row:
            lines.append((row["what"], "refused", row["refused"]))
        for arm, errors in row.get("mean_error_percent_of_range", {}).items():
            lines += [
                (row["what"], f"mean error of `{name}`, {arm}, {row['truths']} truths", f"{value:g} %") for name, value in errors.items()
            ]
        for arm, rate in row.get("rates", {}).items():
            less = row.get(f"asid_less_{arm}")
            apart = f"; asid less this {span(less['difference'], less['low'], less['high'])}" if less else ""
            lines.append((row["what"], f"success, {arm}, {row['truths']} truths", f"{number(rate, 2)}{apart}"))
        if "bound_N" in row:
            for name in ("without", "with"):
                told = f"kept in {row[f'{name}_kept']} of {row['draws']}, at most {row[f'{name}_largest_N']:g} N"
                promise = f"{told}, promised {row[f'{name}_promised_sd_percent_of_range']:g} % of the range"
                lines.append((row["what"], f"{name} a bound of {row['bound_N']:g} N", promise))
    return table(("what", "", ""), lines)


def distinct(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    """Values that rows have, in their order."""
    return list(dict.fromkeys(tuple(row.get(name) for name in names) for row in rows))


def rates(rows: list[Row]) -> str:
    """Success over seeds."""
    return over_seeds(row["success"]["rate"] for row in rows if row["success"])


def returns(rows: list[Row]) -> str:
    """Mean return over seeds."""
    return over_seeds((row["return"]["mean"] for row in rows), 1)


def same_file(rows: list[Row]) -> list[str]:
    """README: SAC, trained in MuJoCo, in both worlds."""
    ours = chosen(rows, engine="isthmus")
    return table(
        ("task", "seeds", "success in MuJoCo", "PyBullet, same file"),
        [
            (f"`{task}`", len({row["seed"] for row in of}), *(rates(chosen(of, plant=world)) for world in WORLDS))
            for (task,) in distinct(ours, "task")
            if (of := chosen(ours, task=task))
        ],
    )


def worlds(rows: list[Row]) -> list[str]:
    """Success, return, and what the guard did, per task, learner and world."""
    lines = []
    for task, learner, engine, world in sorted(distinct(rows, "task", "learner", "engine", "plant")):
        of = chosen(rows, task=task, learner=learner, engine=engine, plant=world)
        of = [row for row in of if "curve" not in row]
        if not of:
            continue
        stopped = sum(row["ends"].get("stopped by the guard", 0) for row in of)
        clamped = over_seeds(row["motion"]["clamped"] for row in of if row.get("motion") and row["motion"]["clamped"] is not None)
        name = f"{learner}, {_ENGINES[engine]}" if engine == "sb3" else learner
        asked = over_seeds(row["specification"]["satisfied"]["rate"] for row in of if row.get("specification"))
        episodes = sum(row["episodes"] for row in of)
        lines.append((f"`{task}`", name, WORLDS[world], len(of), rates(of), returns(of), asked, clamped, f"{stopped} of {episodes}"))
    header = (
        "task",
        "policy",
        "world",
        "seeds",
        "success",
        "return",
        "specification satisfied",
        "share of periods clamped",
        "stopped by the guard",
    )
    if not any(line[6] for line in lines):
        header, lines = header[:6] + header[7:], [line[:6] + line[7:] for line in lines]
    return table(header, lines)


def welch(rows: list[Row]) -> list[str]:
    """Welch's t-test over seeds, here less stable-baselines3."""
    lines = []
    for task, world in distinct(rows, "task", "plant"):
        of = chosen(rows, task=task, plant=world)
        for what, digits, value in _MEASURES:
            here, there = ([value(row) for row in chosen(of, engine=engine) if row[what]] for engine in _ENGINES)
            if min(len(here), len(there)) < 2 or max(np.ptp(here), np.ptp(there)) == 0:
                continue
            found = ttest_ind(here, there, equal_var=False)
            low, high = found.confidence_interval(0.95)
            difference = span(float(np.mean(here) - np.mean(there)), float(low), float(high), digits)
            lines.append((f"`{task}`", WORLDS[world], what, f"{len(here)}, {len(there)}", difference, f"{found.pvalue:.2g}"))
    return table(("task", "world", "", "seeds", "here less stable-baselines3 (95 %)", "p"), lines)


_MEASURES: tuple[tuple[str, int, Callable[[Row], float]], ...] = (
    ("success", 2, lambda row: row["success"]["rate"]),
    ("return", 1, lambda row: row["return"]["mean"]),
)


def loop_gains(rows: list[Row]) -> list[str]:
    """How commands that alternate from period to period die out."""
    return table(
        ("task", "policy", "seed", "world", "median of the loop gain", "states", "share of them where it is 1 or more"),
        [
            (
                f"`{row['task']}`",
                row["learner"],
                row["seed"],
                WORLDS[row["plant"]],
                number(row["median"]),
                row["states"],
                number(row["above_one"]),
            )
            for row in rows
        ],
    )


def lengths(rows: list[Row]) -> list[str]:
    """Returns at several actions per decision, and the score."""
    lines = []
    for task, learner in distinct(rows, "task", "learner"):
        of = [row for row in chosen(rows, task=task, learner=learner) if "curve" in row]
        if not of:
            continue
        at = [over_seeds((point["return"]["mean"] for row in of for point in row["curve"] if point["length"] == n), 0) for n in _LENGTHS]
        score = over_seeds((row["score"] for row in of if row["score"] is not None), 3)
        lines.append((f"`{task}`", learner, len(of), *at, score))
    return table(("task", "learner", "seeds", *(f"N = {n}" for n in _LENGTHS), "frequency-averaged score"), lines)


def learned_plans(rows: list[Row]) -> list[str]:
    """How neural predictive control learns."""
    alone, helped = ({row["task"]: row for row in rows if row["method"] == method} for method in ("NPC", "NPC + backup"))
    return table(
        ("task", "seed", "minutes on one core", "held-out plans that satisfy the formula, untrained", "trained", "with backup"),
        [
            (
                f"`stl:{task}`",
                row["policy"]["seed"],
                number(row["minutes"], 1),
                number(row["untrained"]),
                number(row["plan"], 3),
                f"{number(helped[task]['plan'], 3)} of {helped[task]['starts']}" if task in helped else "",
            )
            for task, row in alone.items()
        ],
    )


def planners(rows: list[Row]) -> list[str]:
    """Neural predictive control beside planners."""
    digits = {"plan": 3, "plans": 3, "executed": 3, "safe": 3, "robustness": 2, "backup": 3, "p50": 2, "p99": 2, "batch": 2}
    header = ("task", "method", "starts", "plan", "plans", "executed", "safe", "robustness", "backup", "p50, ms", "p99, ms", "batch, ms")
    return table(
        header,
        [(row["task"], row["method"], row["starts"], *(number(row[name], places) for name, places in digits.items())) for row in rows],
    )


def races(rows: list[Row]) -> list[str]:
    """Ratios of times against rivals."""
    return table(
        ("what", "here", "rival", "ratio", "target"),
        [tuple(row.get(name) or "" for name in ("what", "here", "rival", "ratio", "target")) for row in rows],
    )


def identified(rows: list[Row]) -> list[str]:
    """What identification found, one figure a line."""
    lines = []
    for row in rows:
        for name, value in row.items():
            if name in ("what", "concerns", "made", "objections"):
                continue
            words = name.replace("_", " ")
            if isinstance(value, dict):
                lines += [(row["what"], f"`{key}`" if name == "found" else f"{words}, {key}", str(cell)) for key, cell in value.items()]
                continue
            lines.append((row["what"], words, " → ".join(map(str, value)) if isinstance(value, list) else str(value)))
    return table(("recording", "", ""), lines)


def collectors(rows: list[Row]) -> list[str]:
    """Environments in processes of their own."""
    lines = []
    for row in rows:
        alone, *others = row["rates"].values()
        cells = [f"{rate:.0f} ({rate / alone:.2f} ×)" for rate in others]
        lines.append((f"`{row['task']}`, {row['plant']}", row["rows"], f"{alone:.0f}", *cells))
    return table(("task", "rows", "in this process", "1 collector", "2 collectors"), lines)


def coverage(rows: list[Row]) -> list[str]:
    """How often intervals of a mean hold the truth."""
    methods = ("percentile", "BCa", "bootstrap-t", "Student's t")
    of = [row for row in rows if "method" in row]
    return table(
        ("returns", "n", "percentile bootstrap", *methods[1:]),
        [
            (kind, size, *(number(row["held"], 3) for name in methods for row in chosen(of, kind=kind, size=size, method=name)))
            for kind, size in distinct(of, "kind", "size")
        ],
    )


def other_coverage(rows: list[Row]) -> list[str]:
    """The same of interquartile means and of paired rates."""
    return table(
        ("interval of", "of", "n", "coverage"),
        [(row["what"], row["kind"], row["size"], number(row["held"], 3)) for row in rows if "what" in row],
    )


def costs(rows: list[Row]) -> list[str]:
    """The system whose optimum is known."""
    of = chosen(rows, check="integrator")
    return table(("policy", "cost", "of the optimum"), [(row["what"], number(row["cost"], 3), number(row["share"])) for row in of])


def scales(rows: list[Row]) -> list[str]:
    """Returns for scaled rewards."""
    of = chosen(rows, check="scales")
    return table(
        ("learner", "rewards × 0.1", "× 1", "× 10"), [(row["learner"], *(number(value, 0) for value in row["returns"])) for row in of]
    )


def calibration(rows: list[Row]) -> list[str]:
    """Values of critics against what is earned."""
    return table(
        ("learner", "mean value", "mean soft return", "deviation against error: Pearson", "Spearman"),
        [
            (row["learner"], number(row["value"], 1), number(row["earned"], 1), number(row.get("pearson")), number(row.get("spearman")))
            for row in chosen(rows, check="calibration")
        ],
    )


def slow_decisions(rows: list[Row]) -> list[str]:
    """Sequences and repeated actions through ROS 2."""
    return table(
        ("policy", "clock", "decisions", "success", "of episodes", "return"),
        [
            (
                row["what"],
                row["clock"],
                f"{row['rate']:.2g} Hz",
                span(*(row["success"][name] for name in ("rate", "low", "high"))),
                row["episodes"],
                span(*(row["return"][name] for name in ("mean", "low", "high")), 1),
            )
            for row in rows
        ],
    )


def lifecycles(rows: list[Row]) -> list[str]:
    """Random lifecycles of real processes."""
    moved = sum(bool(row["found"]) for row in rows)
    return table(
        ("sequences, of 200", "steps of all", "with a motion that nobody asked for"),
        [(len(rows), sum(row["steps"] for row in rows), moved)],
    )


def mutants(rows: list[Row]) -> list[str]:
    """Mutants of the guard, by file."""
    counts = [(row["file"], row["killed"] + row["named"], row["killed"], row["named"]) for row in rows]
    return table(
        ("file", "mutants", "killed by a test", "survive, each named with its reason"),
        [
            *((f"`{file}`", *numbers) for file, *numbers in counts),
            ("all", *(sum(column) for column in list(zip(*counts, strict=True))[1:])),
        ],
    )


def ros_costs(rows: list[Row]) -> list[str]:
    """What the nodes cost, beside a bare node or loop of the same run."""
    return table(
        ("what", "here", "bare", "ratio", "wanted", "load"),
        [(row["what"].strip(), row["here"], row["bare"], number(row["ratio"]), row["target"], number(row["load"], 1)) for row in rows],
    )


def hostile(rows: list[Row]) -> list[str]:
    """What the guard's property tests count."""
    return table(
        ("robot, mode", "random sequences", "periods each", "excluded starts that cannot brake in time", "beyond a limit"),
        [
            (
                row["what"],
                row["sequences"],
                row["periods"],
                f"{row['excluded']} ({100 * row['excluded'] / row['sequences']:.1f} %)" if row.get("excluded") else "",
                "0" if row.get("outside_mm") is None else f"0; at most {row['outside_mm']:.1f} mm outside the box, 10 mm are allowed",
            )
            for row in rows
        ],
    )


def zoo(rows: list[Row]) -> list[str]:
    """Task × learner: success in each world, and what it took."""
    lines = []
    for task, learner in distinct(rows, "task", "learner"):
        of = chosen(rows, task=task, learner=learner)
        worlds_of = [chosen(of, world=world) for world in _ZOOWORLDS]
        clamped = [over_seeds(row["motion"]["clamped"] for row in part if row["motion"]["clamped"] is not None) for part in worlds_of[:2]]
        first = worlds_of[0] or of
        took = (f"{max(row['steps'] for row in first):,}".replace(",", " "), over_seeds((row["minutes"] for row in first), 1))
        lines.append((f"`{task}`", learner, len({row["seed"] for row in of}), *map(rates, worlds_of), *clamped, *took))
    header = ("task", "learner", "seeds", *(f"success in {name}" for name in _ZOOWORLDS.values()))
    return table((*header, "clamped in MuJoCo", "in PyBullet", "control periods", "minutes"), lines)


_ZOOWORLDS = {"mujoco": "MuJoCo", "pybullet": "PyBullet", "ros": "PyBullet over ROS 2"}
