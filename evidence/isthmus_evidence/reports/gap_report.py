"""The gap between two sets of recordings in sentences and tables, and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from isthmus_evidence.gap.comparison import Gap
from isthmus_evidence.reports.table import Report, Table

__all__ = ["cadence_rows", "cause_rows", "gap_report", "outcome_rows", "plain_gap", "signal_rows", "verdict"]

CAUSES = ("cause", "explains", "what")
SIGNALS = ("signal", "joint", "rms here", "rms there", "bias", "error on equal seeds", "common spectrum")
_SIGNIFICANT = 12  # rows of a table of signals


def gap_report(found: Gap) -> Report:
    """For a terminal."""
    yield verdict(found)
    yield Table("causes", CAUSES, cause_rows(found))
    for cause in found.named:
        yield f"{cause.cause}: " + "; ".join(
            f"{name} was {before:.3g} times the usual, then {after:.2g}" for name, before, after in cause.evidence
        )
    yield Table("outcome", ("", "recordings", "return", "success"), outcome_rows(found))
    if ranks := found.ranks:
        yield ranks_words(ranks)
    yield Table("cadence, ms", ("", "period", "jitter", "longest", "repeated", "delay of tracking"), cadence_rows(found))
    yield Table("signals that differ most", SIGNALS, signal_rows(found)[:_SIGNIFICANT])
    yield from (f"not looked at: {remark}" for remark in found.remarks)


def verdict(found: Gap) -> str:
    """One sentence."""
    sets = f"{len(found.first)} and {len(found.second)} recordings"
    if found.named:
        return f"{sets} differ: {'; '.join(cause.claim for cause in found.named)}"
    if found.excess > 0:
        return f"{sets} differ, and none of the causes that were tested explains it"
    return f"{sets} do not differ by more than recordings of one set do: no cause is named"


def cause_rows(found: Gap) -> list[tuple[str, str, str]]:
    """Named causes, then the best of the others."""
    shown = [cause for cause in found.causes if cause.named or cause.explained > 0.01]
    return [
        (f"{cause.cause}{'' if cause.named else ' (not named)'}", f"{100 * cause.explained:.0f} %", cause.claim + _spread(cause))
        for cause in shown[:10]
    ]


def _spread(cause: Any) -> str:
    return f" (the halves of the data differ by {cause.spread:.2g})" if cause.named and cause.spread else ""


def outcome_rows(found: Gap) -> list[tuple[str, ...]]:
    """Returns and successes with 95 % intervals."""
    rows: list[tuple[str, ...]] = []
    for name in ("first", "second"):
        one = found.outcome[name]
        reward, success = one.get("return"), one.get("success")
        rows.append(
            (
                name,
                str(one["recordings"]),
                f"{reward['mean']:.4g} ({reward['low']:.4g} … {reward['high']:.4g}, n = {reward['n']})" if reward else "not recorded",
                f"{100 * success['rate']:.0f} % ({100 * success['low']:.0f} … {100 * success['high']:.0f} %, n = {success['n']})"
                if success
                else "not recorded",
            )
        )
    if apart := found.outcome.get("difference"):
        rows.append(
            ("second less first, equal seeds", str(apart["n"]), f"{apart['mean']:+.4g} ({apart['low']:+.4g} … {apart['high']:+.4g})", "")
        )
    return rows


def ranks_words(ranks: Mapping[str, Any]) -> str:
    """Whether both sets rank policies alike, in a sentence."""
    person = ranks["pearson"]
    told = (
        f"Pearson {person['value']:.2f} ({person['low']:.2f} … {person['high']:.2f})"
        if person
        else "too few policies for a correlation (4 are needed)"
    )
    return f"ranks of {ranks['policies']} policies: {told}, mean maximum rank violation {ranks['mean_maximum_rank_violation']:.3g}"


def cadence_rows(found: Gap) -> list[tuple[str, ...]]:
    """Times of both sets."""
    rows: list[tuple[str, ...]] = []
    for name, times in found.cadence.items():
        shown = [f"{times[key]:.3g}" if key in times else "" for key in ("period", "jitter", "longest")]
        rows.append(
            (name, *shown, f"{100 * times['repeated']:.0f} %" if times else "", f"{times['delay']:.3g}" if "delay" in times else "")
        )
    return rows


def signal_rows(found: Gap) -> list[tuple[str, ...]]:
    """Signals, those first that differ most for their size."""
    ordered = sorted(found.signals, key=lambda gap: -abs(gap.second - gap.first) / max(gap.first, 1e-3))
    return [
        (
            gap.signal,
            gap.joint,
            f"{gap.first:.4g}",
            f"{gap.second:.4g}",
            f"{gap.bias:+.3g}",
            "" if gap.error is None else f"{gap.error:.3g}",
            f"{100 * gap.coherence:.0f} %",
        )
        for gap in ordered
    ]


def plain_gap(found: Gap) -> dict[str, Any]:
    """As plain data."""
    return {
        "verdict": verdict(found),
        "causes": [asdict(cause) for cause in found.causes],
        "excess": found.excess,
        "relations": {
            name: {"halves": [channel.of(0), channel.of(1)], "floor": channel.floor} for name, channel in found.relations.items()
        },
        "signals": [asdict(signal) for signal in found.signals],
        "cadence": found.cadence,
        "outcome": found.outcome,
        "ranks": found.ranks,
        "recordings": {"first": [r.name for r in found.first], "second": [r.name for r in found.second]},
        "remarks": list(found.remarks),
    }
