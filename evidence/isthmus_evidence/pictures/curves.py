"""Charts of curves with 95 % intervals: return over decision frequency, and learning curves over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.records import Array
from isthmus_evidence.pictures.figures import save_figure

__all__ = ["save_frequency_chart", "save_learning_chart"]


def save_frequency_chart(summary: Mapping[str, Any], path: Path) -> None:
    """Draw the mean return over the number of actions per decision, with its 95 % interval; the title has the score.

    Args:
        summary: from `isthmus_evidence.frequency.evaluate_frequencies`.
        path: .png, .svg or .pdf.

    Raises:
        ValueError: unknown suffix.
    """
    curve = summary["curve"]
    lengths = np.array([point["length"] for point in curve])
    figure, (axes,) = _figure(1)
    _draw_band(axes, lengths, *(np.array([point["return"][key] for point in curve]) for key in ("mean", "low", "high")), marker="o")
    if bounds := summary["range"]:
        axes.axhline(bounds["high"], color="0.5", linewidth=0.8, linestyle="--", label="return that counts as 1")
    axes.set(
        xlabel=f"actions per decision, of {1000 * curve[0]['decision_period']:g} ms each",
        ylabel="return",
        title=f"{summary['task']} in {summary['plant']}"
        + ("" if summary["score"] is None else f": frequency-averaged score {summary['score']:.3f}"),
    )
    axes.legend(loc="best")
    save_figure(figure, path)


def save_learning_chart(aggregate: Mapping[str, Any], path: Path) -> None:
    """Draw each seed's evaluations, their interquartile mean and its 95 % interval over the control periods.

    Args:
        aggregate: from `isthmus_evidence.aggregate.aggregate`.
        path: .png, .svg or .pdf.

    Raises:
        ValueError: unknown suffix.
    """
    scores = [name for name in ("return", "success") if aggregate[name]]
    figure, panels = _figure(len(scores))
    steps = np.array(aggregate["steps"])
    for axes, name in zip(panels, scores, strict=True):
        score = aggregate[name]
        for values in score["per_seed"].values():
            axes.plot(steps, values, color="0.6", linewidth=0.8)
        _draw_band(axes, steps, *(np.array(score[key]) for key in ("iqm", "low", "high")), label="interquartile mean")
        axes.set(xlabel="control periods", ylabel=name)
        if name == "success":
            axes.set_ylim(-0.03, 1.03)
    panels[0].set_title(f"{aggregate['algorithm']} {aggregate['task']}, {len(aggregate['seeds'])} seeds")
    panels[0].legend(loc="best")
    save_figure(figure, path)


def _figure(panels: int) -> tuple[Any, Array]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, np.atleast_1d(figure.subplots(panels, 1))


def _draw_band(axes: Any, x: Array, middle: Array, low: Array, high: Array, *, label: str = "mean", marker: str = "") -> None:
    axes.plot(x, middle, color="C1", marker=marker, label=label)
    axes.fill_between(x, low, high, color="C1", alpha=0.2, label="95 % interval")
