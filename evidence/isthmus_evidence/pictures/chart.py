"""The chart of one evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isthmus_evidence.paired import check_evaluation
from isthmus_evidence.pictures.figures import chart_path, save_figure

__all__ = ["save_chart"]


def save_chart(summary: Mapping[str, Any], path: Path | str) -> None:
    """Draw the return of each episode, with the mean and its 95 % interval; filled points are successes.

    Args:
        summary: from `isthmus_evidence.summary.summarize`.
        path: .png, .svg or .pdf.

    Raises:
        ValueError: unknown suffix, or no evaluation.
    """
    check_evaluation("summary", summary)
    chart_path(path)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    reward, success = summary["return"], summary["success"]
    kinds = (("success", True, "C0"), ("failure", False, "none")) if success else (("episode", None, "C0"),)
    for kind, wanted, face in kinds:
        episodes = [episode for episode in summary["per_episode"] if episode["success"] == wanted]
        axes.scatter(
            [episode["seed"] for episode in episodes],
            [episode["return"] for episode in episodes],
            facecolors=face,
            edgecolors="C0",
            label=f"{kind} ({len(episodes)})",
        )
    axes.axhline(reward["mean"], color="C1", label=f"mean {reward['mean']:.1f}")
    axes.axhspan(reward["low"], reward["high"], color="C1", alpha=0.2, label="95 % interval")
    axes.set(
        xlabel="seed of the episode",
        ylabel="return",
        title=f"{summary['task']} in {summary['plant']}"
        + (f": success {success['rate']:.2f} ({success['low']:.2f} … {success['high']:.2f})" if success else ""),
    )
    axes.legend(loc="best")
    save_figure(figure, path)
