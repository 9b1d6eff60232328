"""The page of a loop: what was explored, what was learned, and the task before and after."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from isthmus_evidence.pictures.plots import interval_chart, svg_chart
from isthmus_evidence.reports.markup import document, figure, missing, section, table

__all__ = ["asid_page"]

_ARMS = {
    "asid": "after the exploration that was searched",
    "random": "after a random exploration",
    "randomised": "domain randomisation over the prior, no exploration",
    "nominal": "the nominal model, no exploration",
}
_COLORS = {"asid": "ros", "random": "mujoco", "randomised": "pybullet", "nominal": "pybullet"}


def asid_page(facts: Mapping[str, Any], folder: Path) -> str:
    """The whole page, as HTML.

    Args:
        facts: from `isthmus_evidence.asid.loop.run_loop`.
        folder: of the loop, where its films are.
    """
    asked = facts["asked"]
    body = f"""<header><p class="eyebrow">isthmus asid · {escape(asked["task"])}</p><h1>One exploration, then the task</h1>
<p class="lead">The real plant is {escape(asked["real"])}. What was unknown of it: {escape(", ".join(asked["unknown"]))}.</p></header>"""
    body += _task(facts) + _learned(facts) + _explored(facts, folder)
    return document(f"isthmus asid: {asked['task']}", body)


def _task(facts: Mapping[str, Any]) -> str:
    rows, chart = [], []
    for arm, found in facts["episodes"].items():
        share = found["success"]
        interval = f"{100 * share['low']:.0f} – {100 * share['high']:.0f} %"
        told = ", ".join(f"{name} {value:.4g}" for name, value in facts["solved"][arm]["settings"].items()) or "nothing"
        other = facts["differences"].get(arm)
        less = other["success"] if other else None
        apart = f"{100 * less['difference']:+.0f} % ({100 * less['low']:+.0f} … {100 * less['high']:+.0f})" if less else ""
        rows.append((_ARMS[arm], told, f"{100 * share['rate']:.0f} %", interval, apart))
        chart.append((_COLORS[arm], f"{_ARMS[arm]}: {100 * share['rate']:.0f} %, 95 % interval {interval}", share))
    names = "".join(f'<span><b class="{_COLORS[arm]}">{arm}</b> <span class="note">{_ARMS[arm]}</span></span>' for arm in facts["episodes"])
    values = "".join(f"<span><b>{100 * found['success']['rate']:.0f} %</b></span>" for found in facts["episodes"].values())
    picture = f"""<div class="card headline"><div class="names">{names}</div><div class="chartcell">{interval_chart(chart)}</div>
<div class="values">{values}</div></div>"""
    heads = ("the script was told", "by", "success", "95 % interval", "asid less this, paired")
    listed = table((heads[1], heads[0], *heads[2:]), rows, numbers=(2, 3, 4))
    count = facts["asked"]["episodes"]
    text = f"<p>{count} episodes of each on the real plant, with equal starts; intervals by Wilson, differences by Newcombe.</p>"
    return section("The task, before and after", f'{text}{picture}<div class="card scroll">{listed}</div>')


def _learned(facts: Mapping[str, Any]) -> str:
    unknown = facts["asked"]["unknown"]
    values = facts["asked"]["values"]

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for panel, (name, (low, high)) in zip(np.atleast_1d(axes), unknown.items(), strict=True):
            grid = np.linspace(0.0, 1.0, 200)
            panel.fill_between(grid, 0, 1.0, color=color["line"], alpha=0.6, linewidth=0, label="prior")
            for arm, found in facts["learned"].items():
                if name not in found["parameters"]:
                    continue
                one = found["parameters"][name]
                place, spread = (one["value"] - low) / (high - low), max(one["sd"] / (high - low), 2e-3)
                density = np.exp(-((grid - place) ** 2) / (2 * spread**2)) / spread / np.sqrt(2 * np.pi)
                panel.plot(grid, np.minimum(density, 40.0), color=color[_COLORS[arm]], linewidth=1.6, label=arm)
            if name in values:
                panel.axvline((values[name] - low) / (high - low), color=color["ink"], linestyle=(0, (4, 2)), linewidth=1, label="truth")
            panel.set_xlim(0, 1)
            panel.set_yticks([])
            panel.set_title(f"{name}, {low:g} … {high:g}", loc="left", color=color["muted"], fontsize=8.5, pad=4)
        np.atleast_1d(axes)[0].legend(loc="best", frameon=False, fontsize=7.5, labelcolor=color["muted"])

    picture = figure(
        "What was believed before, and after each exploration, over the range of each parameter.",
        svg_chart("prior and posterior", draw, 4.6, 1.2 * len(unknown) + 0.4, panels=len(unknown)),
    )
    rows = [
        (arm, name, f"{one['value']:.4g}", f"{one['sd']:.2g}", one["verdict"])
        for arm, found in facts["learned"].items()
        for name, one in found["parameters"].items()
    ]
    listed = table(("exploration", "parameter", "found", "sd", "verdict"), rows, numbers=(2, 3))
    why = "".join(f"<li>{arm}: {escape(sentence)}</li>" for arm, found in facts["learned"].items() for sentence in found["why"])
    against = f"<p>What speaks against it:</p><ul>{why}</ul>" if why else ""
    return section("What was learned", f'<div class="two">{picture}<div class="card scroll">{listed}</div></div>{against}')


def _explored(facts: Mapping[str, Any], folder: Path) -> str:
    parts = []
    for arm, told in facts["run"].items():
        stopped = f" The guard stopped it: {escape(told['stopped_by_guard'])}." if told["stopped_by_guard"] else ""
        film = folder / "run" / f"{arm}.gif"
        if not film.is_file():
            parts.append(missing(f"{arm}: not filmed.{stopped}"))
            continue
        data = base64.b64encode(film.read_bytes()).decode()
        parts.append(figure(f"{arm}.{stopped}", f'<img alt="{arm}" style="width:100%" src="data:image/gif;base64,{data}" />'))
    expected = facts["explored"]["asid"].get("expected_share_of_range", {})
    text = ", ".join(f"{name} within {100 * share:.2g} %" for name, share in expected.items())
    lead = f"<p>Before it was played, simulated identification expected {escape(text)} of its range.</p>" if text else ""
    return section("The exploration", f'{lead}<div class="two">{"".join(parts)}</div>')
