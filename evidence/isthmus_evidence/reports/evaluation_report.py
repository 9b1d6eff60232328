"""What an evaluation found, in words and tables, wherever its episodes ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus_evidence.reports.table import Report, Table
from isthmus_evidence.sequential import REACHED, UNDECIDED

__all__ = ["evaluation_report", "motion_words", "until_words"]

_PEAKS = (("speed", "peak_speed"), ("acceleration", "peak_acceleration"))


def motion_words(motion: Mapping[str, Any]) -> list[str]:
    """Sentences about the figures of `isthmus_evidence.motions.motion_summary`, for those that are known."""

    def told(name: str, form: str, factor: float = 1.0) -> str:
        ends = motion.get("intervals", {}).get(name)
        spread = f" ({factor * ends['low']:{form}} … {factor * ends['high']:{form}})" if ends else ""
        return f"{factor * motion[name]:{form}}{spread}"

    words = []
    if motion["clamped"] is not None:
        shares = ", ".join(f"{name} {told(name, '.1f', 100)} %" for name in ("clamped", "held", "stopped"))
        words.append(f"control periods that the guard {shares}")
    if motion["command_change_rms"] is not None:
        change, rate = told("command_change_rms", ".3g"), told("reversals_per_second", ".2f")
        words.append(f"commands change by {change} {motion['unit']} per control period (rms) and reverse {rate} times per second")
    if peaks := [f"{what} {motion[name]:.2f}" for what, name in _PEAKS if motion[name] is not None]:
        words.append(f"peaks as shares of the limits: {', '.join(peaks)}")
    return words


def evaluation_report(summary: Mapping[str, Any]) -> Report:
    """A summary, as `isthmus_evidence.summary.summarize` makes it: scores with intervals, times, and episodes that were cut short."""
    yield f"{summary['episodes']} episodes of {summary['task']} in {summary['plant']}, seeds from {summary['seed']}"
    asked: Mapping[str, Any] = summary.get("specification") or {}
    yield _scores(summary, asked)
    if decided := summary.get("until"):
        yield until_words(decided)
    yield from _verdicts(asked)
    yield from _motion(summary["motion"], summary["ends"])
    if paired := summary.get("paired"):
        yield _paired(paired)
    if (agreed := asked.get("monitor_agrees")) is not None:
        yield f"the monitor agrees on {agreed} of {summary['episodes']} runs"
    if asked.get("plans") is not None:
        yield f"all plans: {asked['plans']:.3f} satisfy it; the backup took over in {asked['backup']:.3f} of the decisions"
    times = (summary["cadence"].get("inference_ms") or {}).get("p99")
    if times is not None:
        yield f"inference, 99th percentile: {times:.3f} ms for {summary['cadence'].get('rows', 1)} row(s)"
    if ages := summary["cadence"].get("picture_age_ms"):
        yield f"age of the pictures at the decisions: median {ages['p50']:.0f} ms, 99th percentile {ages['p99']:.0f} ms"
    for episode in summary["per_episode"]:
        if episode.get("diverged"):
            yield f"the physics of episode {episode['seed']} exploded after {episode['steps']} steps"
        if episode.get("invalid"):
            yield f"episode {episode['seed']} is a failure after {episode['steps']} steps: {episode['invalid']}"
        if episode.get("stopped_by_guard"):
            yield f"the guard stopped episode {episode['seed']} after {episode['steps']} steps: {episode['stopped_by_guard']}"
    if dropped := {episode["seed"]: episode["dropped"] for episode in summary["per_episode"] if episode.get("dropped")}:
        told = ", ".join(f"{count} in episode {seed}" for seed, count in dropped.items())
        yield f"commands that came too late, or too soon after another, and were dropped by the guard: {told}"


def until_words(decided: Mapping[str, Any]) -> str:
    """What `isthmus_evidence.sequential.SequentialTest.plain` says."""
    rate, done, most = decided["threshold"], decided["episodes"], decided["of"]
    if decided["verdict"] != UNDECIDED:
        reached = "is reached" if decided["verdict"] == REACHED else "is not reached"
        return f"decided after {done} of {most} episodes: a success rate of {rate:g} {reached}"
    more = decided["more"]
    how_many = "more of the same would not decide" if more is None else f"about {more} more would decide, if they go like these"
    return f"undecided after {done} of {most} episodes whether a success rate of {rate:g} is reached; {how_many}"


def _scores(summary: Mapping[str, Any], asked: Mapping[str, Any]) -> Table:
    """Means and intervals; `asked` is what was found of the specification."""
    reward = summary["return"]
    planned = "plans" in asked  # a system, whose return is robustness
    names = ("robustness of what was executed", "executed satisfies the specification") if planned else ("return", "success rate")
    count = summary["episodes"]
    rows = [(names[0], count, f"{reward['mean']:.2f}", f"{reward['low']:.2f} … {reward['high']:.2f}")]
    shares = [(names[1], summary["success"])]
    if planned:
        shares += [("executed is safe", asked["safe"]), ("first plan satisfies the specification", asked["first_plan"])]
    elif asked:
        shares.append(("satisfies the specification", asked["satisfied"]))
        if robustness := asked["robustness"]:
            bounds = f"{robustness['low']:.3f} … {robustness['high']:.3f}"
            rows.append(("robustness of those that did not end early", robustness["episodes"], f"{robustness['mean']:.3f}", bounds))
    rows += [(what, count, f"{share['rate']:.3f}", f"{share['low']:.3f} … {share['high']:.3f}") for what, share in shares if share]
    return Table("", ("", "n", "mean", "95 % interval"), rows)


def _verdicts(asked: Mapping[str, Any]) -> Report:
    """What was neither satisfied nor violated, and the episodes that ended early; `asked` as above."""
    if asked.get("unbroken"):
        yield f"neither satisfied nor violated when they ended: {asked['unbroken']} episodes; they do not count as satisfied"
    early = asked.get("ended_early", {})
    if total := sum(early.values()):
        yield f"of {total} that ended early, {', '.join(f'{count} {verdict}' for verdict, count in early.items())}"


def _motion(motion: Mapping[str, Any] | None, ends: Mapping[str, int]) -> Report:
    """What success does not say."""
    if motion:
        yield from motion_words(motion)
    yield f"episodes ended by: {', '.join(f'{why} {count}' for why, count in ends.items())}"


def _paired(paired: Mapping[str, Any]) -> str:
    reward, success = paired["return"], paired["success"]
    told = f"return {reward['difference']:+.2f} ({reward['low']:+.2f} … {reward['high']:+.2f})"
    if success:
        told += f", success {success['difference']:+.3f} ({success['low']:+.3f} … {success['high']:+.3f})"
        told += f", only here {success['here']}, only there {success['there']}"
    return f"less {paired['against']} on the same {paired['episodes']} seeds: {told}"
