"""Charts of the demo's report as inline SVG that follows the page's light or dark scheme, and the picture of the README.

matplotlib draws with stand-in colours; in the SVG each is replaced by a CSS variable of the page (`--ink`, `--mujoco`, …), and text stays text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.files import whole_file
from isthmus.records import Array

__all__ = ["Episode", "command_chart", "distance_chart", "hero", "histogram", "interval_chart", "learning_curve", "svg_chart"]

_STAND_INS = {name: f"#0a0b{code:02x}" for code, name in enumerate(("ink", "muted", "line", "mujoco", "pybullet", "ros", "band"), start=1)}
_PAPER = {
    "ink": "#22262b",
    "muted": "#6b737c",
    "line": "#dfe2e6",
    "mujoco": "#3f62b5",
    "pybullet": "#1c877b",
    "ros": "#bd5f2c",
    "band": "#e6efe4",
}
_WIDE, _NARROW = 4.4, 3.2  # inches, 72 SVG units each: two or three charts side by side


@dataclass(frozen=True, slots=True)
class Episode:
    """One recorded episode, as the charts show it.

    Attributes:
        time: seconds since its beginning, `[T]`.
        duration: seconds that the time axis shows, at least those of the episode.
        stopped: why the guard stopped it; "" if it did not.
        outcome: what the task is about, `[T]`: distance of tool and goal in m, or the first joint's position.
        outcome_label: name and unit of `outcome`.
        tolerance: `outcome` below it counts as reached; None if there is no such bound.
        joints: names of the joints shown, at most two.
        executed: commands that the guard let through, `[T, len(joints)]`.
        measured: the same quantity as measured, `[T, len(joints)]`.
        unit: of commands and measurements.
    """

    time: Array
    duration: float
    stopped: str
    outcome: Array
    outcome_label: str
    tolerance: float | None
    joints: tuple[str, ...]
    executed: Array
    measured: Array
    unit: str


def interval_chart(rows: Sequence[tuple[str, str, Mapping[str, float]]]) -> str:
    """Dots with intervals on a common axis from 0 to 100 %.

    Args:
        rows: name of the colour, aria label, and `rate`, `low` and `high` in 0 … 1.
    """
    height, top = 34, 10
    bottom = top + height * len(rows)
    parts = [f'<svg class="intervals" width="100%" height="{bottom + 22}" role="img" aria-label="success with 95 % intervals">']
    for tick in (0, 25, 50, 75, 100):
        anchor = {0: "start", 100: "end"}.get(tick, "middle")
        parts.append(f'<line x1="{tick}%" x2="{tick}%" y1="0" y2="{bottom}" class="grid" />')
        parts.append(f'<text x="{tick}%" y="{bottom + 16}" text-anchor="{anchor}">{tick} %</text>')
    for index, (color, label, share) in enumerate(rows):
        y = top + height * (index + 0.5)
        low, middle, high = (f"{100 * share[key]:.2f}%" for key in ("low", "rate", "high"))
        parts.append(
            f'<g class="{color}"><title>{label}</title><line x1="{low}" x2="{high}" y1="{y}" y2="{y}" class="interval" />'
            f'<circle cx="{middle}" cy="{y}" r="6.5" class="dot" /></g>'
        )
    return "".join([*parts, "</svg>"])


def learning_curve(steps: Array, values: Array, label: str, *, share: bool = False) -> str:
    """A score of the evaluations during training over control periods.

    Args:
        steps: control periods `[n]`.
        values: scores `[n]`.
        label: of the vertical axis.
        share: the score is a share in 0 … 1.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        axes.plot(steps / 1000, values * (100 if share else 1), color=color["mujoco"], linewidth=1.8, marker="o", markersize=3.5)
        axes.set_xlabel("thousand control periods")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        if share:
            axes.set_ylim(-3, 103)

    return svg_chart(f"learning {label}", draw, _WIDE, 2.5)


def distance_chart(world: str, episode: Episode, top: float) -> str:
    """The task's outcome over time, with the band in which it counts as reached.

    Args:
        world: name of the colour.
        episode: what is shown.
        top: upper end of the vertical axis, common to all worlds.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        _draw_outcome(axes, color, world, episode, top)
        axes.set_ylabel("")  # stands above the chart

    return svg_chart(f"outcome {world}", draw, _NARROW, 2.1)


def command_chart(world: str, episode: Episode, span: float) -> str:
    """Executed and measured command quantity of up to two joints, one panel each.

    Args:
        world: name of the colour.
        episode: what is shown.
        span: the vertical axes reach from -span to span.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for axis, joint, executed, measured in zip(
            np.atleast_1d(axes), episode.joints, episode.executed.T, episode.measured.T, strict=True
        ):
            axis.step(episode.time, executed, where="post", color=color["muted"], linewidth=0.8, alpha=0.75)
            axis.plot(episode.time, measured, color=color[world], linewidth=1.6)
            axis.set_ylim(-span, span)
            axis.set_xlim(0, episode.duration)
            axis.set_title(f"{joint}, {episode.unit}", loc="left", color=color["muted"], fontsize=8.5, pad=4)
        np.atleast_1d(axes)[-1].set_xlabel("s")

    return svg_chart(f"command {world}", draw, _NARROW, 1.5 * len(episode.joints), panels=len(episode.joints))


def histogram(values: Array, label: str, reference: float) -> str:
    """How often each value occurred, with a line at the reference.

    Args:
        values: `[n]`.
        label: of the horizontal axis.
        reference: the nominal value.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        low, high = min(float(values.min()), 0.9 * reference), max(float(values.max()), 1.1 * reference)
        width = (high - low) / 44
        first, last = np.floor((low - reference) / width), np.ceil((high - reference) / width)
        axes.hist(values, bins=reference + width * (np.arange(first, last + 2) - 0.5), color=color["ros"], alpha=0.85)
        axes.axvline(reference, color=color["ink"], linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:.0f}")
        axes.set_xlabel(label)
        axes.set_ylabel("control periods")

    return svg_chart("histogram", draw, _WIDE, 2.5)


def hero(path: Path, frames: Mapping[str, Sequence[Array]], episode: Episode, captions: Mapping[str, str]) -> None:
    """The README's picture: the motion in each engine and the run over ROS 2, side by side.

    Args:
        path: PNG file to write.
        frames: pictures `[H, W, 4]` uint8 of "mujoco" and "pybullet"; the first one is shown as a shadow, the last one in full.
        episode: the run over ROS 2.
        captions: second line under the headings of "mujoco", "pybullet" and "ros".
    """
    from matplotlib.figure import Figure

    headings = {"mujoco": "Train in MuJoCo", "pybullet": "Test in PyBullet", "ros": "Run over ROS 2"}
    figure = Figure(figsize=(12, 3.6), facecolor="#fbfbf9")
    panels = figure.subplots(1, 3, gridspec_kw={"left": 0.03, "right": 0.975, "top": 0.75, "bottom": 0.14, "wspace": 0.12})
    for axes, (world, heading) in zip(panels, headings.items(), strict=True):
        left = axes.get_position().x0
        figure.text(left, 0.885, heading, fontsize=16, fontweight="bold", color=_PAPER[world])
        figure.text(left, 0.815, captions[world], fontsize=10.5, color=_PAPER["muted"])
        if world in frames:
            first, *_, last = frames[world]
            axes.imshow(first, interpolation="antialiased", alpha=0.3)
            axes.imshow(last, interpolation="antialiased")
            axes.set_axis_off()
    _style(panels[2], _PAPER, 10)
    _draw_outcome(panels[2], _PAPER, "ros", episode, 1.08 * float(np.nanmax(episode.outcome)))
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=200)


def _draw_outcome(axes: Any, color: Mapping[str, str], world: str, episode: Episode, top: float) -> None:
    if episode.tolerance is not None:
        axes.axhspan(0, episode.tolerance, color=color["band"], linewidth=0)
        axes.set_ylim(0, top)
    axes.plot(episode.time, episode.outcome, color=color[world], linewidth=2.0)
    axes.set_xlim(0, episode.duration)
    axes.set_xlabel("s")
    axes.set_ylabel(episode.outcome_label)


def svg_chart(name: str, draw: Callable[[Any, Mapping[str, str]], None], width: float, height: float, *, panels: int = 1) -> str:
    """Let `draw` draw on one axes or an array of `panels`, and return the SVG for a page; sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans", "font.size": 8.5}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(panels, 1, sharex=True)
        for axis in np.atleast_1d(axes):
            _style(axis, _STAND_INS, 8.5)
        draw(axes, _STAND_INS)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # ids must be unique in the page; only those of clip paths and markers are used
    text = re.sub(r'width="[^"]*pt" height="[^"]*pt"', "", text, count=1)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 var(--font)", text)
    for variable, code in _STAND_INS.items():
        text = text.replace(code, f"var(--{variable})")
    return text.replace("<svg ", f'<svg class="chart" role="img" aria-label="{name}" ', 1)


def _style(axes: Any, color: Mapping[str, str], size: float) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(color["line"])
    axes.grid(axis="y", color=color["line"], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=color["muted"], length=0, labelsize=size)
    axes.set_facecolor("none")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(color["muted"])
        label.set_fontsize(size)
