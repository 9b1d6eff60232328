"""Prints what an evaluation found, wherever its episodes ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_cli.console import say, show_table

__all__ = ["show_evaluation"]


def show_evaluation(summary: Mapping[str, Any]) -> None:
    """Print a summary as `isthmus_cli.evaluation.summarize` makes it: scores with intervals, times, and episodes that were cut short."""
    say(f"{summary['episodes']} episodes of {summary['task']} in {summary['plant']}, seeds from {summary['seed']}")
    asked: Mapping[str, Any] = summary.get("specification") or {}
    _show_scores(summary, asked)
    if (agreed := asked.get("monitor_agrees")) is not None:
        say(f"the monitor agrees on {agreed} of {summary['episodes']} runs")
    if asked.get("plans") is not None:
        say(f"all plans: {asked['plans']:.3f} satisfy it; the backup took over in {asked['backup']:.3f} of the decisions")
    times = (summary["cadence"].get("inference_ms") or {}).get("p99")
    if times is not None:
        say(f"inference, 99th percentile: {times:.3f} ms for {summary['cadence'].get('rows', 1)} row(s)")
    for episode in summary["per_episode"]:
        if episode.get("diverged"):
            say(f"the physics of episode {episode['seed']} exploded after {episode['steps']} steps")
        if episode.get("invalid"):
            say(f"episode {episode['seed']} is a failure after {episode['steps']} steps: {episode['invalid']}")
        if episode.get("stopped_by_guard"):
            say(f"the guard stopped episode {episode['seed']} after {episode['steps']} steps: {episode['stopped_by_guard']}")
    if dropped := {episode["seed"]: episode["dropped"] for episode in summary["per_episode"] if episode.get("dropped")}:
        told = ", ".join(f"{count} in episode {seed}" for seed, count in dropped.items())
        say(f"commands that came too late, or too soon after another, and were dropped by the guard: {told}")


def _show_scores(summary: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Means and intervals; `asked` is what was found of the specification."""
    reward = summary["return"]
    planned = "plans" in asked  # a system, whose return is robustness
    names = ("robustness of what was executed", "executed satisfies the specification") if planned else ("return", "success rate")
    rows = [(names[0], f"{reward['mean']:.2f}", f"{reward['low']:.2f} … {reward['high']:.2f}")]
    shares = [(names[1], summary["success"])]
    if planned:
        shares += [("executed is safe", asked["safe"]), ("first plan satisfies the specification", asked["first_plan"])]
    elif asked:
        robustness = asked["robustness"]
        shares.append(("satisfies the specification", asked["satisfied"]))
        rows.append(("robustness", f"{robustness['mean']:.3f}", f"{robustness['low']:.3f} … {robustness['high']:.3f}"))
    rows += [(what, f"{share['rate']:.3f}", f"{share['low']:.3f} … {share['high']:.3f}") for what, share in shares if share]
    show_table("", ("", "mean", "95 % interval"), rows)
