"""Contracts as tables."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.contract import Contract
from isthmus.signals import Signal
from isthmus_cli.console import show_table

__all__ = ["show_limits", "show_signals", "span"]


def show_signals(contract: Contract) -> None:
    """Print what the policy sees and does."""
    columns = ("signal", "source", "shape", "unit", "range", "frame", "elements")
    show_table("observation", columns, [_signal_row(signal, (signal.history, *signal.shape)) for signal in contract.observation])
    action = contract.action
    show_table(f"action: {contract.horizon} per decision", columns, [_signal_row(action, (contract.horizon, *action.shape))])


def show_limits(contract: Contract) -> None:
    """Print the limits of the guard and the start pose, per joint."""
    limits = contract.limits
    columns = ("joint", "position", "velocity", "acceleration", "stop acceleration", "effort", "start")
    rows = []
    for index, joint in enumerate(limits.joints):
        start = contract.start.get(joint)
        rows.append(
            (
                joint,
                f"{limits.position_low[index]:.4g} … {limits.position_high[index]:.4g}",
                limits.velocity[index],
                limits.acceleration[index],
                limits.stop_acceleration[index],
                limits.effort[index],
                f"{start[0]:.4g} ± {start[1]:g}" if start else "anywhere",
            )
        )
    show_table("limits of the guard (rad or m, seconds, N·m or N) and start pose", columns, rows)
    if limits.workspace:
        show_table("workspace", ("axis", "low, m", "high, m"), zip("xyz", limits.workspace.low, limits.workspace.high, strict=True))


def span(low: Sequence[float], high: Sequence[float]) -> str:
    """Bounds in a few characters: common ones once, else one per element."""
    pairs = list(dict.fromkeys(f"{first:.4g} … {last:.4g}" for first, last in zip(low, high, strict=True)))
    return "; ".join(pairs)


def _signal_row(signal: Signal, shape: tuple[int, ...]) -> tuple[object, ...]:
    stride = f" every {signal.stride} periods" if signal.stride > 1 else ""
    names = ", ".join(signal.elements)
    return signal.name, signal.source, f"{list(shape)}{stride}", signal.unit, span(signal.low, signal.high), signal.frame or "base", names
