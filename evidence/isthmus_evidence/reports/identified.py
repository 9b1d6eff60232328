"""The part of a demo's page on what an excitation told of the robot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_evidence.reports.markup import missing, section, table

__all__ = ["identified_section"]


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
nominal model predicts. How its joints are damped is not asked: PyBullet's motors hold any commanded speed, and neither the motion nor the effort
that they report shows what brakes a joint.</p>"""
    shown = table(("parameter", "found", "95 % interval", "true", "unit", "verdict"), rows, numbers=(1, 2, 3))
    heads = ("after", "joints, mrad: nominal", "identified", "tool, mm: nominal", "identified")
    said = "".join(missing(f"No calibration was written: {sentence}.") for sentence in found["objections"])
    cards = "".join(f'<div class="card scroll">{one}</div>' for one in (shown, table(heads, errors, numbers=range(1, 5))))
    return section("What the robot carries", f"{text}{cards}{said}")
