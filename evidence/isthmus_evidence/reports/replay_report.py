"""A replayed recording in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus_evidence.replay import Divergence, Stage
from isthmus_evidence.reports.table import Report, Table

__all__ = ["divergence_report", "replay_report", "same_again"]


def replay_report(stages: Mapping[str, Sequence[Stage]]) -> Report:
    """For a terminal.

    Args:
        stages: by name of the recording.
    """
    rows = []
    for name in dict.fromkeys(stage.name for found in stages.values() for stage in found):
        same = [stage for found in stages.values() for stage in found if stage.name == name]
        skipped = [stage.skipped for stage in same if stage.skipped]
        compared, equal = sum(stage.compared for stage in same), sum(stage.equal for stage in same)
        largest = max(stage.largest for stage in same)
        verdict = "equal" if compared == equal else "passes" if all(stage.passes for stage in same) else "DIFFERS"
        if skipped:
            left = "" if len(skipped) == len(same) else f"{verdict}, {len(skipped)} of {len(same)} "
            verdict = f"{left}not compared: {skipped[0]}"
        rows.append((name, compared, equal, f"{largest:.3g}" if compared else "", verdict))
    yield Table("", ("stage", "values", "equal bit for bit", "largest difference", ""), rows)
    told: set[str] = set()
    for recording, found in stages.items():
        for stage in found:
            if not stage.passes and stage.first is not None and stage.name not in told:
                told.add(stage.name)  # of the first recording; others say the same
                period, what, said, made = stage.first
                yield f"{recording}: {stage.name} differs first in control period {period}: {what} was {said:.9g}, and is {made:.9g} again"
    good = sum(map(same_again, stages.values()))
    unknown = sum(not any(stage.compared for stage in found) for found in stages.values())
    yield f"{good} of {len(stages)} recordings are what comes of them again" + (
        f"; of {unknown} nothing could be compared" if unknown else ""
    )


def same_again(stages: Sequence[Stage]) -> bool:
    """Whether a recording is what comes of it again, as far as it was compared; one of which nothing was is not."""
    return all(stage.passes for stage in stages) and any(stage.compared for stage in stages)


def divergence_report(found: Mapping[str, Divergence], task: str, engine: str) -> Report:
    """For a terminal; joints in rad or m, tool and bodies in m."""
    yield f"recorded commands, open loop, in {task} of {engine}:"
    rows = []
    for name, divergence in found.items():
        plain = divergence.plain()
        parts = {**plain["position"], **({"tool": plain["tool"]} if "tool" in plain else {}), **plain["poses"]}
        rows += [(name, what, f"{size['rms']:.4g}", f"{size['last']:+.4g}") for what, size in parts.items()]
    yield Table("simulated less recorded", ("recording", "what", "rms", "at the end"), rows)
