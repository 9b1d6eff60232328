"""The page `report.html`: one self-contained file without scripts, made of what a demo left behind."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.contract import Contract
from isthmus.guard import RUNGS
from isthmus.limits import Limits
from isthmus.signals import Signal
from isthmus_evidence.pictures import plots
from isthmus_evidence.reports.demo_files import WORLDS, DemoFiles
from isthmus_evidence.reports.identified import gap_section, identified_section
from isthmus_evidence.reports.markup import document, figure, missing, section, table

__all__ = ["page"]

_ROLES = {"mujoco": "trained here", "pybullet": "second engine", "ros": "separate processes, real topics"}
_TIMES = {
    "lateness_ms": "wake-up after its deadline",
    "inference_ms": "inference",
    "work_ms": "wake-up until the command is published",
}


def page(demo: DemoFiles) -> str:
    """The whole page; what is missing is said in its place."""
    sections = (_opening, _success, _learning, _episode, _timing, _guard, _motion, _robot, _contract, _reproduce, _machine)
    return document(f"isthmus demo: {_task(demo)}", "\n".join(part(demo) for part in sections))


def _opening(demo: DemoFiles) -> str:
    run = demo.run
    parameters = ", ".join(
        f"{name.replace('_', ' ')} {value:g} {_unit(unit)}" for name, (value, unit) in run.get("robot_parameters", {}).items()
    )
    steps = f"{run['steps']:,}".replace(",", "\u202f") if "steps" in run else "an unknown number of"
    return f"""<header>
<p class="eyebrow">isthmus demo · {escape(_task(demo))} · {escape(str(run.get("date", "date unknown")))}</p>
<h1>One policy file, three worlds</h1>
<p class="lead">Soft actor-critic learned <em>{escape(_task(demo))}</em> in MuJoCo for {steps} control periods. The file it left was then run,
byte for byte the same, in PyBullet and over ROS 2 topics.</p>
<p class="plain"><b>No hardware was involved.</b> The “robot” behind the ROS 2 topics is a second simulator, PyBullet in a process of its own,
with physical parameters that training never saw{f": {escape(parameters)}" if parameters else ""}.</p>
</header>"""


def _success(demo: DemoFiles) -> str:
    found = {world: demo.evaluations[world] for world in WORLDS if world in demo.evaluations}
    if not found:
        return section("Success", missing("Nothing was evaluated: mujoco.json, pybullet.json and ros.json are not there."))
    names, values, rows = [], [], []
    for world, evaluation in found.items():
        share, episodes = evaluation["success"], evaluation["episodes"]
        names.append(f'<span><b class="{world}">{WORLDS[world]}</b> <span class="note">{_ROLES[world]}</span></span>')
        interval = f"{100 * share['low']:.0f} – {100 * share['high']:.0f} %"
        values.append(f'<span><b>{100 * share["rate"]:.0f} %</b> <span class="note">{interval}, n = {episodes}</span></span>')
        rows.append((world, f"{WORLDS[world]}: {100 * share['rate']:.0f} %, 95 % interval {interval}, {episodes} episodes", share))
    chart = f"""<div class="card headline"><div class="names">{"".join(names)}</div><div class="chartcell">{plots.interval_chart(rows)}</div>
<div class="values">{"".join(values)}</div></div>"""
    absent = [WORLDS[world] for world in WORLDS if world not in found]
    note = missing(f"Not evaluated: {', '.join(absent)}.") if absent else ""
    shown = table(
        ("world", "mean return", "95 % interval", "successes", "stopped by the guard"),
        (
            (
                WORLDS[world],
                f"{evaluation['return']['mean']:.1f}",
                f"{evaluation['return']['low']:.1f} – {evaluation['return']['high']:.1f}",
                f"{sum(episode['success'] for episode in evaluation['per_episode'])} of {evaluation['episodes']}",
                sum(bool(episode["stopped_by_guard"]) for episode in evaluation["per_episode"]),
            )
            for world, evaluation in found.items()
        ),
        numbers=(1, 2, 3, 4),
    )
    lead = "Share of episodes that end in success, with 95 % intervals (Wilson; returns: Student's t)."
    if condition := demo.run.get("success_condition"):
        lead += f" Success: {condition}."
    return section("Success", f"<p>{escape(lead)}</p>{chart}{note}<div class='card scroll'>{shown}</div>{_pairs(demo)}")


def _pairs(demo: DemoFiles) -> str:
    """Differences of the worlds, episode by episode."""
    rows = []
    for world, base, found in demo.pairs():
        reward, success = found["return"], found["success"]
        rows.append(
            (
                f"{WORLDS[world]} less {WORLDS[base]}",
                found["episodes"],
                f"{reward['difference']:+.2f}",
                f"{reward['low']:+.2f} … {reward['high']:+.2f}",
                f"{100 * success['difference']:+.0f} %" if success else "",
                f"{100 * success['low']:+.0f} … {100 * success['high']:+.0f} %" if success else "",
            )
        )
    if not rows:
        return ""
    text = """<p class="note">The same episodes, one by one: equal seeds are equal starts everywhere, so the difference of two worlds is known better
than either of them. 95 % intervals (returns: Student's t; success: Newcombe).</p>"""
    shown = table(("worlds", "seeds", "return", "95 % interval", "success", "95 % interval"), _minus(rows), numbers=range(1, 6))
    return f'<div class="card scroll">{text}{shown}</div>'


def _learning(demo: DemoFiles) -> str:
    if not demo.metrics:
        return section("Learning", missing("No learning curve: train/metrics.jsonl is not there or empty."))
    steps = np.array([row["step"] for row in demo.metrics])
    charts = [
        figure("Mean return of the evaluations during training", plots.learning_curve(steps, _column(demo.metrics, "return"), "return")),
        figure("Share of successes", plots.learning_curve(steps, _column(demo.metrics, "success"), "success, %", share=True)),
    ]
    text = "<p>Each point scores the exported file on episodes of its own; the best one became the policy.</p>"
    return section("Learning", f'{text}<div class="two">{"".join(charts)}</div>')


def _episode(demo: DemoFiles) -> str:
    strips = "".join(_strip(plant, stills) for plant, stills in demo.frames.items() if stills)
    strips = strips or missing("No pictures: the folder frames has none.")
    if not demo.episodes:
        return section("One episode in each world", strips + missing("No tracking plots: the folder traces has no recorded episode."))
    top = 1.08 * max(float(np.nanmax(episode.outcome)) for episode in demo.episodes.values())
    span = 1.08 * max(float(np.nanmax(np.abs([episode.executed, episode.measured]))) for episode in demo.episodes.values())
    outcomes, commands = [], []
    for world, episode in demo.episodes.items():
        label = f'<b class="{world}">{WORLDS[world]}</b>'
        stopped = f" · stopped by the guard: {escape(episode.stopped)}" if episode.stopped else ""
        outcomes.append(figure(f"{label} · {escape(episode.outcome_label)}{stopped}", plots.distance_chart(world, episode, top)))
        commands.append(figure(f"{label} · joint {_quantity(episode.unit)}", plots.command_chart(world, episode, span)))
    absent = [WORLDS[world] for world in WORLDS if world not in demo.episodes]
    note = missing(f"No recorded episode of: {', '.join(absent)}.") if absent else ""
    band = any(episode.tolerance is not None for episode in demo.episodes.values())
    text = "<p>The same start and the same goal everywhere; plots are from the recorded MCAP traces, which Foxglove and rosbag2 open too."
    text += " The shaded band is the tolerance." if band else ""
    text += " Of the joints that move most, colour shows what was measured, grey what was commanded.</p>"
    return section(
        "One episode in each world",
        f'{text}{strips}{note}<div class="three">{"".join(outcomes)}</div><div class="three">{"".join(commands)}</div>',
    )


def _timing(demo: DemoFiles) -> str:
    cadence: Mapping[str, Any] = demo.evaluations.get("ros", {}).get("cadence") or {}
    if not cadence:
        return section("Loop period and latency over ROS 2", missing("No times: ros.json is not there, or holds no cadence."))
    rows: list[tuple[object, ...]] = [
        (text, *(f"{cadence[key][name]:.2f}" for name in ("p50", "p99", "p99.9", "max")))
        for key, text in _TIMES.items()
        if cadence.get(key)
    ]
    if periods := demo.figures()["sample_period_ms"]:
        rows.insert(0, ("time between the samples acted on", *(f"{periods[name]:.2f}" for name in ("p50", "p99", "p99.9", "max"))))
    period = float(cadence["period_ms"])
    paced = (
        f"Missed deadlines: {cadence.get('missed', 0)}; skipped periods: {cadence.get('skipped', 0)}." if cadence.get("realtime") else ""
    )
    clock = (
        "Wall-clock time, as on a robot"
        if cadence.get("realtime")
        else "Stepped time: the simulator waited for each command, so nothing could be late"
    )
    shown = table(("ms", "median", "99 %", "99.9 %", "max"), rows, numbers=(1, 2, 3, 4))
    content = f'<div class="card scroll">{shown}</div>'
    if demo.intervals.size:
        chart = plots.histogram(demo.intervals * 1e3, "ms between samples acted on", period)
        content += figure("How often each loop period occurred, on a logarithmic axis; dashed: nominal", chart)
    text = f"<p>{clock}; {cadence['steps']} control periods of {period:g} ms with simulator and policy on the same machine. {paced}</p>"
    return section("Loop period and latency over ROS 2", f'{text}<div class="two">{content}</div>')


def _guard(demo: DemoFiles) -> str:
    rows = []
    for world, counts in demo.guard.items():
        if total := sum(counts.values()):
            bar = "".join(f'<i class="{rung}" style="width:{100 * counts[rung] / total:.3f}%"></i>' for rung in RUNGS)
            rows.append((WORLDS[world], f'<div class="bar">{bar}</div>', *(f"{100 * counts[rung] / total:.1f} %" for rung in RUNGS)))
    if not rows:
        return section("What the guard did", missing("No guard activity: neither evaluations nor traces hold any."))
    keys = {rung: f'<span class="key {rung}"></span>{rung}' for rung in RUNGS}
    text = """<p>The same guard acts in training, in evaluation and in the policy node. <b>Clamp</b> cuts a command to the limits of velocity,
acceleration and position; <b>hold</b> and <b>stop</b> brake.</p>"""
    shown = table(("world", "share of control periods", *keys.values()), rows, numbers=(2, 3, 4, 5), raw=True)
    return section("What the guard did", f'{text}<div class="card scroll">{shown}</div>')


def _motion(demo: DemoFiles) -> str:
    rows = []
    for world, evaluation in demo.evaluations.items():
        if motion := evaluation.get("motion"):
            ends = ", ".join(f"{why} {count}" for why, count in evaluation["ends"].items())
            rows.append(
                (
                    WORLDS[world],
                    f"{_known(motion['command_change_rms'], '.3f')} {motion['unit']}",
                    _known(motion["reversals_per_second"], ".2f"),
                    _known(motion["peak_speed"], ".2f"),
                    _known(motion["peak_acceleration"], ".2f"),
                    ends,
                )
            )
    if not rows:
        return section("How it moved", missing("No figures of the motion: the evaluations hold none."))
    text = """<p>A policy can succeed and chatter. <b>Change</b>: of the executed command from one control period to the next, root mean square over
joints; <b>reversals</b>: how often a joint's command turns round; <b>peaks</b>: of all episodes, as a share of the joint's limit.</p>"""
    heads = ("world", "change of command", "reversals per second", "peak speed", "peak acceleration", "episodes ended by")
    return section("How it moved", f'{text}<div class="card scroll">{table(heads, rows, numbers=range(1, 5))}</div>')


def _robot(demo: DemoFiles) -> str:
    found = identified_section(demo.identified) if demo.identified else ""
    return found + (gap_section(demo.gaps) if demo.gaps else "")


def _contract(demo: DemoFiles) -> str:
    contract = demo.contract
    if contract is None:
        return section("The contract", missing("No contract: train/policy.isthmus is not there."))
    signals = table(
        ("signal", "bound to", "elements", "shape", "unit", "bounds"),
        [*(_signal(signal) for signal in contract.observation), _signal(contract.action, f"→ {contract.action.name}", contract)],
    )
    text = f"""<p>What the file consumes and produces, as it travels inside it: robot <b>{escape(contract.robot)}</b>, one action every
{1000 * contract.control_period:g} ms, {contract.horizon} per decision.</p>"""
    policy = {name: escape(str(value)) for name, value in demo.policy.items()}
    digests = f"""<p class="note digests">contract <code>{contract.digest()}</code><br />
policy <code>{policy["policy_digest"]}</code> ({policy["bytes"]} bytes, kind {policy["kind"]})</p>"""
    limits = f'<p class="note">Limits of the guard in training, per joint: rad or m, s, N·m or N.</p>{_limits(contract.limits)}'
    return section("The contract", f'{text}<div class="card scroll">{signals}</div><div class="card scroll">{limits}</div>{digests}')


def _reproduce(demo: DemoFiles) -> str:
    commands: Mapping[str, str] = demo.run.get("commands", {})
    if not commands:
        return section("The same figures again", missing("No commands: demo.json is not there."))
    rows = []
    for what, command in commands.items():
        words = " ".join(f"<span>{escape(word)}</span>" for word in command.split(" "))  # an option is never broken at its hyphens
        rows.append((escape(what), f"<pre>{words}</pre>"))
    return section("The same figures again", f'<div class="card scroll">{table(("figure", "command"), rows, raw=True)}</div>')


def _machine(demo: DemoFiles) -> str:
    facts: Mapping[str, Any] = demo.run.get("machine", {})
    stages: Sequence[Mapping[str, Any]] = demo.run.get("stages", [])
    if not facts:
        return section("Machine and time", missing("No facts about the machine: demo.json is not there."))
    machine = table(("machine", ""), facts.items())
    times = table(
        ("stage", "s"),
        [*((stage["name"], f"{stage['seconds']:.1f}") for stage in stages), ("all", f"{sum(stage['seconds'] for stage in stages):.1f}")],
        numbers=(1,),
    )
    footer = "<footer>Written by <code>isthmus demo</code>. All figures are in <code>report.json</code> beside this file.</footer>"
    return (
        section(
            "Machine and time", f'<div class="two"><div class="card scroll">{machine}</div><div class="card scroll">{times}</div></div>'
        )
        + footer
    )


def _signal(signal: Signal, name: str = "", contract: Contract | None = None) -> tuple[object, ...]:
    shape = [contract.horizon if contract else signal.history, *signal.shape]
    bounds = list(
        dict.fromkeys(f"{low:.4g}\u00a0…\u00a0{high:.4g}".replace("-", "−") for low, high in zip(signal.low, signal.high, strict=True))
    )
    elements = signal.elements if len(signal.elements) <= 3 else (signal.elements[0], "…", signal.elements[-1])
    return (
        name or signal.name,
        signal.source.replace("_", " "),
        "\u00a0".join(elements),
        str(["B", *shape]).replace("'", "").replace(" ", "\u00a0"),
        " or ".join(dict.fromkeys(signal.units)) or signal.unit,
        "; ".join(bounds),
    )


def _limits(limits: Limits) -> str:
    columns = (limits.position_low, limits.position_high, limits.velocity, limits.acceleration, limits.stop_acceleration, limits.effort)
    rows = [
        (joint, *(f"{value:.4g}".replace("-", "−") for value in values)) for joint, *values in zip(limits.joints, *columns, strict=True)
    ]
    heads = ("joint", "lowest position", "highest", "velocity", "acceleration", "braking", "effort")
    return table(heads, rows, numbers=range(1, 7))


def _strip(plant: str, stills: Sequence[tuple[float, Path]]) -> str:
    pictures = "".join(_still(*still) for still in stills)
    return f'<div class="card"><p class="note"><b class="{plant}">{WORLDS[plant]}</b></p><div class="strip">{pictures}</div></div>'


def _known(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _minus(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Cells with the sign that a minus has in print."""
    return [[str(cell).replace("-", "−") for cell in row] for row in rows]


def _quantity(unit: str) -> str:
    return "velocity" if unit.endswith("/s") else ("effort" if unit.startswith("N") else "position")


def _unit(text: str) -> str:
    return text.replace("*", "·")


def _still(time: float, file: Path) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure><img alt="the robot after {time:g} s" src="data:image/png;base64,{data}" /><figcaption>{time:.2f} s</figcaption></figure>'
    )


def _column(rows: Sequence[Mapping[str, float]], name: str) -> Any:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _task(demo: DemoFiles) -> str:
    return demo.contract.task if demo.contract else str(demo.run.get("task", "unknown task"))
