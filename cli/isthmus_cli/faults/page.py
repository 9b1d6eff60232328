"""The measured fault table as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from isthmus_cli.faults.rows import Row
from isthmus_cli.faults.subject import Subject

__all__ = ["page"]

_VELOCITY, _ACCELERATION = 1.01, 1.05  # shares of the limits that the wire may use
_HEAD = """# Faults and what they lead to: {robot}

!!! warning "What has been run"
    Every line below was measured with a simulated robot on one machine: `sim_node`, `guard_node` and `policy_node` as processes of their own,
    connected by DDS. No hardware was involved.

Written by `isthmus faults {robot}`, which runs what is missing in its result file; `--rows 1,20-30` picks rows. The robot (`{robot}`) moves all
joints at {speed:g} rad/s at 20 Hz when the fault happens, unless the row says another rate or full speed. Outcomes:

**N** no effect, counted · **C** clamped · **R** refused, nothing commanded · **H** braked and held, and recovered · **S** braked and latched; needs
`guard/reset`, `guard/arm` and `policy/start` · **X** as S, and the driver's stop services were called · **H→S** held first, latched after half a
second.

Rows that ask for something else say it in words. *Stands* and *moves on* tell of a robot that nobody guards any more, *stop services* that the
policy had the driver stop it, *braked, exit 0* of processes that were told to end. *Failed* is a run that could not be seen to its end. One that
ended before its fault, as happens on a busy machine, is begun again, and not counted if that does not help.

*Brake* is the time from the fault to the first braking command that the robot receives, *still* that to standstill (below {standstill:g} rad/s),
the largest of all repeats. What is later than allowed is bold:

* the first braking command within two periods, or within 50 ms where that is longer;
* standstill within the braking time at `stop_acceleration`, two more periods and the servo's own lag: with its time constant τ ({lag:g} s),
  τ ln(min(v, a τ) / {standstill:g}).

No such bounds have rows at start, what only motion can show (a dead motor), and rows in which the guard itself is kept from running. A suspended
guard does not brake: that is why the policy watches it (49).

*Limits* is the largest use of the limits of velocity and of acceleration on the robot's own command topic, where a trajectory is sampled as its
controller interpolates it, and of the limits of velocity by the simulated joints. 1 is the limit; on the topic, more than {velocity:g} of velocity
or {acceleration:g} of acceleration is bold. Forward controllers do not interpolate: a set-point counts as reached evenly within one period, from
where the one before has come when it is sent, by the guard's stamps on `guard/executed`. A change of speed is judged over the time since the
set-point before, one period at most; that the guard tells a robot at rest to rest again is no set-point on the way.

The next repeat resets, arms and starts the same processes again, unless the fault ended them: that is the recovery.
"""


_SENT_LATE = """Forward controllers and `cmd_vel` do not interpolate: a set-point that comes soon after the one before, as where that was late, is
judged over the time between the two."""


def page(
    subject: Subject,
    speed: float,
    made: Sequence[Mapping[str, Any]],
    results: Mapping[str, Any],
    rows: Sequence[Row],
    notes: Mapping[str, str],
) -> str:
    """The page, Markdown.

    Args:
        subject: the robot.
        speed: of its joints, in most settings.
        made: who measured.
        results: of `measure`.
        rows: in the order in which they are shown.
        notes: number of a row → why it comes out, or is asked, otherwise than expected.
    """
    order = {(row.number, row.fault): index for index, row in enumerate(sorted(rows, key=lambda row: int(row.number)))}
    entries = sorted(results.values(), key=lambda entry: (order.get((entry["number"], entry["fault"]), len(order)), entry["setting"]))
    monitors = subject.robot.monitors
    told = {"robot": subject.robot.name, "speed": speed, "standstill": monitors.standstill, "lag": monitors.tracking_lag}
    lines = [_HEAD.format(**told, velocity=_VELOCITY, acceleration=_ACCELERATION), _summary(entries), "", *_table(entries)]
    wrong = {entry["number"] for entry in entries if any(run["outcome"] not in entry["expected"] for run in entry["runs"])}
    numbers = dict.fromkeys(entry["number"] for entry in entries)
    if remarks := [
        f"* **{number}**: {notes.get(number, 'came out otherwise, not explained yet')}." for number in numbers if number in {*wrong, *notes}
    ]:
        lines += ["", "## Remarks", "", *remarks]
    for title, missed in (("What missed its time bounds", _late), (f"What missed a limit\n\n{_SENT_LATE}", lambda _, run: _excessive(run))):
        if late := [line for entry in entries for line in _missed(entry, missed)]:
            lines += ["", f"## {title}", "", *late]
    used = sorted({run["made"] for entry in entries for run in entry["runs"]})
    if used:
        lines += ["", "## Where these figures come from", "", *(_origin(made[index]) for index in used)]
    return "\n".join(lines) + "\n"


def _origin(made: Mapping[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in made["machine"].items())
    return f"* `{made['command']}`, commit {made['commit'] or 'unknown'}, {made['date']}; {machine}"


def _summary(entries: Sequence[Mapping[str, Any]]) -> str:
    runs = [(entry, run) for entry in entries for run in entry["runs"]]
    right = sum(run["outcome"] in entry["expected"] for entry, run in runs)
    timed = [(entry, run) for entry, run in runs if _timed(entry, run)]
    prompt = sum(not _late(entry, run) for entry, run in timed)
    limited = [run for _, run in runs if run["velocity"] is not None]
    within = sum(not _excessive(run) for run in limited)
    loads = [run["load"] for _, run in runs]
    span = f" Load of the machine {min(loads):.1f} … {max(loads):.1f}." if loads else ""
    return (
        f"**{right} of {len(runs)} runs came out as the table of faults asks; {prompt} of {len(timed)} timed runs kept their time bounds; "
        f"{within} of {len(limited)} runs kept the limits.**{span}"
    )


def _timed(entry: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether the bounds of time apply: a run without effect has nothing to brake for, and its speed varies as it likes."""
    return bool(entry["timed"]) and run["outcome"] not in ("N", "failed")


def _late(entry: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    """Whether a run braked too late or not at all, or stood too late after that."""
    if not _timed(entry, run):
        return False
    if run["brake"] is None:
        return not {*"HSX"}.isdisjoint(run["outcome"])
    if run["brake"] > entry["first"]:
        return True
    return None not in (run["still"], run["allowed"]) and run["still"] > run["brake"] + run["allowed"]


def _excessive(run: Mapping[str, Any]) -> bool:
    return (run["velocity"] or 0) > _VELOCITY or (run["acceleration"] or 0) > _ACCELERATION


def _missed(entry: Mapping[str, Any], test: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]) -> list[str]:
    missed = [run for run in entry["runs"] if run["outcome"] != "failed" and test(entry, run)]
    if not missed:
        return []
    said = "; ".join(
        f"brake {_milliseconds(run['brake']) or 'never'}, still {_milliseconds(run['still'])}, limits {_share(run['velocity'])} and "
        f"{_share(run['acceleration'])}, load {run['load']:.1f}"
        for run in missed
    )
    return [f"* **{entry['number']}** {entry['fault']} ({entry['setting']}), {len(missed)} of {len(entry['runs'])}: {said}"]


def _table(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| # | fault | how | expected | outcome | brake, ms | still, ms | limits: velocity, acceleration, joints | cause, or what else was seen |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [_line(entry) for entry in entries]


def _line(entry: Mapping[str, Any]) -> str:
    runs = entry["runs"]
    outcomes: dict[str, int] = {}
    for run in runs:
        outcomes[run["outcome"]] = outcomes.get(run["outcome"], 0) + 1
    outcome = ", ".join(f"{name} {count}×" for name, count in outcomes.items())
    late = [run for run in runs if _late(entry, run)]
    slow = [run for run in late if run["brake"] is not None and run["brake"] <= entry["first"]]
    words = runs[-1]["note"] or runs[-1]["words"]
    limits = ", ".join(_share(_largest(run[name] for run in runs)) for name in ("velocity", "acceleration", "joints"))
    cells = [
        entry["number"],
        entry["fault"],
        entry["setting"],
        " or ".join(entry["expected"]),
        _bold(outcome, all(run["outcome"] in entry["expected"] for run in runs)),
        _bold(
            "never"
            if any(run["brake"] is None for run in late)
            else _milliseconds(_largest(run["brake"] for run in runs if run["outcome"] != "N")),
            len(late) == len(slow),
        ),
        _bold(_milliseconds(_largest(run["still"] for run in runs)), not slow),
        _bold(limits.strip(", "), not any(_excessive(run) for run in runs)),
        words.replace("|", "/").replace("\n", " ")[:160],
    ]
    return "| " + " | ".join(cells) + " |"


def _largest(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.max(known)) if known else None


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{1000 * value:.0f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _bold(text: str, right: bool) -> str:
    return text if right or not text else f"**{text}**"
