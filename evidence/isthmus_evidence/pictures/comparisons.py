"""Charts of comparisons, as SVG for the page: differences with their intervals, and performance profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus_evidence.pictures.plots import svg_chart

__all__ = ["difference_chart", "profile_chart"]

_COLORS = ("mujoco", "pybullet", "ros", "ink", "muted")
_STYLES = ("-", "--", ":", "-.")
_WIDTH = 4.0  # inches
_LONGEST = 28  # letters of a name beside an axis


def difference_chart(rows: Sequence[tuple[str, Mapping[str, float]]], label: str, *, threshold: float = 0.0) -> str:
    """Differences on a common axis.

    Args:
        rows: name, and `difference`, `low` and `high`.
        label: of the axis.
        threshold: differences up to it do not count.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        axes.axvspan(-threshold, threshold, color=color["band"], linewidth=0)
        axes.axvline(0, color=color["muted"], linewidth=0.8)
        for place, (_, found) in enumerate(rows):
            axes.plot([found["low"], found["high"]], [place, place], color=color["mujoco"], linewidth=2.5, alpha=0.6)
            axes.plot([found["difference"]], [place], "o", color=color["mujoco"])
        axes.set_yticks(range(len(rows)), [_short(name) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(label)

    return svg_chart(f"differences of {label}", draw, _WIDTH, 0.9 + 0.3 * len(rows))


def profile_chart(profiles: Sequence[tuple[str, Mapping[str, Sequence[float]]]]) -> str:
    """Share of episodes above each return, with pointwise 95 % intervals.

    Args:
        profiles: name, and what `isthmus_evidence.profiles.performance_profile` gives.
    """

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for place, (name, found) in enumerate(profiles):
            own, style = color[_COLORS[place % len(_COLORS)]], _STYLES[place // len(_COLORS) % len(_STYLES)]
            axes.plot(found["score"], found["share"], color=own, linestyle=style, linewidth=1.6, label=_short(name))
            axes.fill_between(found["score"], found["low"], found["high"], color=own, alpha=0.15, linewidth=0)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("return")
        axes.set_ylabel("share of episodes above")
        axes.legend(loc="lower left", frameon=False, labelcolor=color["ink"])

    return svg_chart("performance profile", draw, _WIDTH, 2.8)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
