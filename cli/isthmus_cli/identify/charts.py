"""Charts of the report of an identification, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus_evidence.pictures.plots import svg_chart
from isthmus_sim.identification.identify import Identification

__all__ = ["correlation_chart", "horizon_chart", "interval_bars", "prediction_chart", "residual_chart"]

_MEASURED, _NOMINAL, _FITTED = "ink", "muted", "ros"
_MOST = 6  # joints shown
_WAYS = ("x", "y", "z", "about x", "about y", "about z")


def prediction_chart(found: Identification) -> str:
    """Measured, nominal and fitted positions from one moment of the held-out data on."""
    time, measured, nominal, fitted = found.prediction.example
    moving = np.argsort(-np.ptp(measured, axis=0))[:_MOST]
    chosen = sorted(moving.tolist())

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for axis, joint in zip(np.atleast_1d(axes), chosen, strict=True):
            axis.plot(time, nominal[:, joint], color=color[_NOMINAL], linewidth=1.0, linestyle=(0, (4, 2)), label="nominal")
            axis.plot(time, fitted[:, joint], color=color[_FITTED], linewidth=1.8, label="fitted")
            axis.plot(time, measured[:, joint], color=color[_MEASURED], linewidth=0.8, label="measured")
            _limits(axis, measured[:, joint], fitted[:, joint])
            axis.set_title(found.prediction.joints[joint], loc="left", color=color["muted"], fontsize=8.5, pad=4)
        _legend(np.atleast_1d(axes)[0], color)
        np.atleast_1d(axes)[-1].set_xlabel("s")

    return svg_chart("prediction", draw, 4.6, 1.3 * len(chosen) + 0.4, panels=len(chosen))


def horizon_chart(found: Identification) -> str:
    """Error of open-loop prediction over time, of both models."""
    prediction = found.prediction

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        axes.plot(prediction.time[1:], prediction.nominal_curve[1:], color=color[_NOMINAL], linestyle=(0, (4, 2)), label="nominal")
        axes.plot(prediction.time[1:], prediction.fitted_curve[1:], color=color[_FITTED], linewidth=1.8, label="fitted")
        axes.set_yscale("log")
        axes.set_xlabel("s after the start")
        axes.set_ylabel("error, multiples of the noise")
        _legend(axes, color)

    return svg_chart("error over horizon", draw, 4.6, 2.6)


def interval_bars(found: Identification) -> str:
    """Each parameter's 95 % interval within its bounds, and its nominal value."""
    problem, known = found.problem, found.known
    span = problem.high - problem.low
    rows = np.arange(len(span))[::-1]

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        shares = [(values - problem.low) / span for values in (known.low, known.high, known.values, problem.nominal)]
        low, high, value, nominal = shares
        axes.hlines(rows, 0, 1, color=color["line"], linewidth=1)
        axes.hlines(rows, low, high, color=color[_FITTED], linewidth=5, alpha=0.5)
        axes.plot(nominal, rows, "|", color=color[_MEASURED], markersize=9, label="nominal")
        axes.plot(value, rows, "o", color=color[_FITTED], markersize=4, label="found")
        axes.set_yticks(rows, problem.names)
        axes.set_xticks([0, 1], ["lower bound", "upper bound"])
        axes.grid(visible=False)
        _legend(axes, color)

    return svg_chart("intervals", draw, 4.6, 0.19 * len(rows) + 0.9)


def residual_chart(found: Identification) -> str:
    """Residuals of the fitted windows, one after the other, of the joints (or ways of objects) whose residuals are largest."""
    windows = found.windows
    shown = [index for index, (kind, _) in enumerate(windows.channels) if kind == windows.channels[0][0]]
    names = [f"{name}, {_WAYS[index % 6]}" if kind == "pose" else name for index, (kind, name) in enumerate(windows.channels)]
    rest = found.linear.residual.reshape(len(windows), -1, len(windows.channels))[:, :, shown]
    chosen = sorted(np.argsort(-(rest**2).mean(axis=(0, 1)))[:3].tolist())

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        for axis, joint in zip(np.atleast_1d(axes), chosen, strict=True):
            line = rest[:, :, joint].ravel()
            axis.plot(line[:: max(len(line) // 3000, 1)], color=color[_FITTED], linewidth=0.5)
            axis.set_title(f"{names[joint]}, multiples of the noise", loc="left", color=color["muted"], fontsize=8.5, pad=4)
        np.atleast_1d(axes)[-1].set_xticks([])
        np.atleast_1d(axes)[-1].set_xlabel("samples of all windows")

    return svg_chart("residuals", draw, 4.6, 1.2 * len(chosen) + 0.4, panels=len(chosen))


def correlation_chart(found: Identification) -> str:
    """Correlation of the estimates: what trades with what."""
    names = found.problem.names

    def draw(axes: Any, color: Mapping[str, str]) -> None:
        table = np.minimum(np.abs(found.known.correlation), 1.0)
        for row, column in np.argwhere(table > 0.05):
            axes.scatter(
                column, -row, s=60 * table[row, column], marker="s", color=color[_FITTED], alpha=float(table[row, column]), linewidths=0
            )
        axes.set_yticks(-np.arange(len(names)), names)
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.set_ylim(0.7 - len(names), 0.7)

    return svg_chart("correlation", draw, 4.6, 0.19 * len(names) + 0.8)


def _limits(axis: Any, *curves: Any) -> None:
    """Show what was measured and fitted whole, and the nominal as far as it stays near."""
    low, high = min(curve.min() for curve in curves), max(curve.max() for curve in curves)
    room = max(0.6 * (high - low), 1e-3)
    axis.set_ylim(low - room, high + room)


def _legend(axes: Any, color: Mapping[str, str]) -> None:
    axes.legend(loc="best", frameon=False, fontsize=7.5, labelcolor=color["muted"])
