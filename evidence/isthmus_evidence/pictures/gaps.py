"""Charts of the gap between two sets of recordings, as inline SVG of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from isthmus_evidence.gap.causes import Cause
from isthmus_evidence.gap.metrics import spectra
from isthmus_evidence.gap.recordings import Recording
from isthmus_evidence.gap.score import Channel
from isthmus_evidence.pictures.plots import svg_chart

__all__ = ["cause_chart", "relation_chart", "spectrum_chart", "tracking_chart"]

_WIDE = 4.0  # inches
_MOST = 12  # bars


def cause_chart(causes: Sequence[Cause]) -> str:
    """How much of the gap each cause explains on data that it was not fitted to; named causes are filled."""
    shown = [cause for cause in causes if cause.named or cause.explained > 0.005][:_MOST]

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        places = np.arange(len(shown))[::-1]
        shares = [100 * max(cause.explained, 0.0) for cause in shown]
        axes.barh(places, shares, color=[color["ros"] if cause.named else color["line"] for cause in shown], height=0.6)
        axes.set_yticks(places, [cause.cause for cause in shown])
        axes.set_xlabel("share of the gap that is explained, %")
        axes.set_xlim(0, 105)

    return svg_chart("causes", draw, _WIDE, 0.7 + 0.26 * max(len(shown), 2))


def relation_chart(relations: Mapping[str, Channel]) -> str:
    """Errors of the second set in multiples of what is usual in the first, the largest."""
    shown = sorted(relations.items(), key=lambda entry: -entry[1].mean)[:_MOST]

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        places = np.arange(len(shown))[::-1]
        axes.barh(places, [max(channel.mean, 1e-2) for _, channel in shown], color=color["pybullet"], height=0.6)
        axes.set_yticks(places, [name for name, _ in shown])
        axes.set_xscale("log")
        axes.axvline(1.0, color=color["ink"], linewidth=1.0, linestyle=(0, (4, 3)))
        axes.set_xlabel("squared error, multiples of what is usual")

    return svg_chart("relations", draw, _WIDE, 0.7 + 0.26 * max(len(shown), 2))


def tracking_chart(first: Recording, second: Recording, joint: str) -> str:
    """Commands and motion of one joint in both sets, one panel each."""
    mode = first.log.mode

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for axis, recording, world, title in zip(axes, (first, second), ("mujoco", "ros"), ("first", "second"), strict=True):
            log, column = recording.log, recording.log.joints.index(joint)
            measured = log.velocity if mode == "velocity" and log.velocity is not None else log.position
            if log.command.size and mode in ("position", "velocity"):
                axis.step(log.command_time, log.command[:, column], where="post", color=color["muted"], linewidth=0.9)
            axis.plot(log.time, measured[:, column], color=color[world], linewidth=1.5)
            axis.set_title(f"{title}: {log.name.rpartition('/')[2]}", loc="left", color=color["muted"], fontsize=8.5, pad=4)
        axes[-1].set_xlabel("s")

    return svg_chart(f"tracking {joint}", draw, _WIDE, 3.0, panels=2)


def spectrum_chart(first: Sequence[Recording], second: Sequence[Recording], joint: str) -> str:
    """Power of the motion of one joint over frequency in both sets."""

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for recordings, world, label in ((first, "mujoco", "first"), (second, "ros", "second")):
            columns = [recording.log.position[:, recording.log.joints.index(joint)] for recording in recordings]
            frequency, power = spectra(columns, recordings[0].period)
            if frequency.size:
                axes.semilogy(frequency[1:], np.maximum(power[1:], 1e-16), color=color[world], linewidth=1.5, label=label)
        axes.set_xlabel("Hz")
        if axes.lines:
            axes.legend(frameon=False, labelcolor=color["muted"])

    return svg_chart(f"spectrum {joint}", draw, _WIDE, 2.4)
