"""The parts of a demo's page on what an excitation told of the robot, and on why robot and simulation differ."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from isthmus_evidence.reports.markup import missing, section, table

__all__ = ["gap_section", "identified_section"]


def identified_section(found: Mapping[str, Any]) -> str:
    """What was found beside what is true, and the errors of prediction before and after; `found` is the content of `identified.json`."""
    rows = [
        (
            name.replace("_", " "),
            f"{one['value']:.3g}",
            f"{one['interval'][0]:.3g} … {one['interval'][1]:.3g}",
            f"{one['true']:g}",
            one["unit"].replace("*", "·"),
            one["verdict"],
        )
        for name, one in found["parameters"].items()
    ]
    errors = [
        (horizon, *(f"{1e3 * value:.3g}" for value in one["joints_rad"]), *(f"{value:.3g}" for value in one["tool_mm"]))
        for horizon, one in found["prediction"].items()
    ]
    text = """<p>One excitation was played on the robot behind the ROS 2 topics and recorded. <code>isthmus identify</code> fitted
MuJoCo's model to the first four fifths of it. What that model then predicts of the last fifth, from commands alone, is compared with what the
nominal model predicts. PyBullet's motors do not give way under a load as those of a servo do, so that the prediction may get worse at a joint that
moves little; then no calibration is written unless <code>--force</code> says so.</p>"""
    shown = table(("parameter", "found", "95 % interval", "true", "unit", "verdict"), rows, numbers=(1, 2, 3))
    heads = ("after", "joints, mrad: nominal", "identified", "tool, mm: nominal", "identified")
    said = "".join(missing(f"No calibration was written: {sentence}.") for sentence in found["objections"])
    cards = "".join(f'<div class="card scroll">{one}</div>' for one in (shown, table(heads, errors, numbers=range(1, 5))))
    return section("What the robot carries", f"{text}{cards}{said}")


def gap_section(gaps: Mapping[str, Mapping[str, Any]]) -> str:
    """Causes that were named before and after the simulator was told what had been identified; `gaps` is the content of `gap.json` of both."""
    rows = [
        (when, cause["cause"], cause["claim"], f"{100 * cause['explained']:.0f} %")
        for when, found in gaps.items()
        for cause in [one for one in found["causes"] if one["named"]] or [{"cause": "none", "claim": found["verdict"], "explained": 0.0}]
    ]
    pages = ", ".join(f'<a href="gap/{escape(when)}/report.html">{escape(when)} calibration</a>' for when in gaps)
    text = f"""<p>The recorded episodes of the robot were compared with the same ones in MuJoCo: with its nominal parameters, and with those that
were identified. <code>isthmus gap</code> tests causes on the data and names those that explain the difference: {pages}. PyBullet's motors are
constraints and no servos, so that a difference remains which no cause explains.</p>"""
    shown = table(("calibration", "cause", "what", "explains"), rows, numbers=(3,))
    return section("Why simulation and robot differ", f'{text}<div class="card scroll">{shown}</div>')
