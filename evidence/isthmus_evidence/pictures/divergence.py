"""The chart of a simulator that was told what a robot was told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from isthmus.files import whole_file
from isthmus_evidence.replay import Divergence

__all__ = ["save_divergence"]


def save_divergence(found: Mapping[str, Divergence], path: Path) -> None:
    """Draw how far simulation and recording come apart: the joints' root mean square, and the tool where there is one.

    Args:
        found: by name of the recording.
        path: .png, .svg or .pdf.

    Raises:
        ValueError: unknown suffix.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1, sharex=True)
    for name, divergence in found.items():
        axes[0].plot(divergence.time, np.sqrt(np.mean(divergence.position**2, axis=1)), label=name)
        if divergence.tool is not None:
            axes[1].plot(divergence.time, 1e3 * divergence.tool)
    axes[0].set(ylabel="joints, rms, rad or m", title="simulated less recorded, same commands")
    axes[1].set(ylabel="tool, mm", xlabel="s")
    if len(found) <= 10:
        axes[0].legend(loc="best")
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120)
