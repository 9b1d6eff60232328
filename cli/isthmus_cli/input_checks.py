"""What `isthmus doctor` says of a policy's inputs: by the policy alone, and with a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from isthmus.policy import Policy
from isthmus.recording import Trace
from isthmus.records import Array
from isthmus.robot import Robot
from isthmus_cli.checks import OK, WRONG, Check
from isthmus_evidence.gap.comparison import policy_side_causes
from isthmus_evidence.gap.decisions import recorded_decisions
from isthmus_evidence.gap.observations import compare_observations
from isthmus_evidence.gap.recordings import read_recordings
from isthmus_evidence.inputs import (
    constant_inputs,
    dead_inputs,
    extreme_actions,
    joint_fingerprint,
    outside_inputs,
    sample_observations,
    sensitivities,
)

__all__ = ["check_inputs", "check_log"]

_SHOWN = 6


def check_inputs(policy: Policy, visited: Mapping[str, Array] | None) -> Iterator[Check]:
    """By the policy alone: dead inputs, the order of its joints, and what extremes do.

    Args:
        policy: what is looked at.
        visited: observations that it comes to, where its task is known; by default any within the bounds.
    """
    contract = policy.contract
    derivatives = sensitivities(policy, visited or sample_observations(contract))
    dead = dead_inputs(contract, derivatives)
    yield Check("dead inputs", OK, _listed(dead) or "none: every input changes an action")
    for fingerprint in joint_fingerprint(contract, derivatives):
        name = f"joint order in {fingerprint.signal}"
        if fingerprint.wrong:
            mapping = ", ".join(
                f"{joint} ← {other}" for joint, other in zip(contract.action.elements, fingerprint.order, strict=True) if joint != other
            )
            told = f"actions answer other joints than their own, {fingerprint.ratio:.1f} times as much: {mapping}"
            yield Check(name, WRONG, told, "the joints were in another order when the policy was trained or exported; reorder them there")
        else:
            yield Check(name, OK, "actions answer their own joints, as far as derivatives tell")
    problems = extreme_actions(policy)
    advice = "the guard will hold or clamp there; bound the action in the graph"
    yield Check(
        "extreme inputs",
        WRONG if problems else OK,
        _listed(problems) or "actions stay finite and within bounds",
        advice if problems else "",
    )


def check_log(log: Path, policy: Policy, robot: Robot, visited: Mapping[str, Array] | None, tolerance: float = 0.0) -> Iterator[Check]:
    """With a recording: every observation rebuilt from raw signals and compared term by term, and every decision taken again.

    Args:
        log: file or folder.
        policy: that acted.
        robot: profile.
        visited: observations that it comes to; None if they are not known.
        tolerance: difference of actions that passes, as a share of their range; 0 for policies without a solver.

    Raises:
        ValueError: it is no recording.
        OSError: it cannot be read.
    """
    recordings = read_recordings([log])
    traces = [recording.trace for recording in recordings if recording.trace is not None]
    if not traces:
        yield Check(
            "log", WRONG, "no contract and no observations were recorded", "record with isthmus eval --record, or compare with: isthmus gap"
        )
        return
    if traces[0].contract.digest() != policy.contract.digest():
        yield Check("log", WRONG, "; ".join(policy.contract.diff(traces[0].contract)[:3]), "this recording is of another policy")
        return
    names = [recording.name for recording in recordings if recording.trace is not None]
    yield from _observations(traces, names, robot)
    yield from _decisions(traces, names, policy, tolerance)
    yield from _recorded(traces, policy, visited)
    remarks: list[str] = []
    for causes, _ in policy_side_causes(traces, robot, policy, remarks, tolerance):
        for cause in causes[:1]:
            if cause.named:
                yield Check(
                    "cause",
                    WRONG,
                    f"{cause.cause}: {cause.claim} (explains {100 * cause.explained:.0f} %)",
                    "see isthmus gap for all causes",
                )


def _observations(traces: Sequence[Trace], names: Sequence[str], robot: Robot) -> Iterator[Check]:
    try:
        compared = compare_observations(traces, robot)
    except (KeyError, ValueError) as error:
        yield Check("observations", WRONG, f"cannot be rebuilt: {error.args[0]}", "record the missing signal")
        return
    for signal in compared:
        first = signal.first_difference()
        if first is None:
            yield Check(f"observation {signal.name}", OK, f"{len(signal.recorded)} decisions: equal bit for bit to what raw signals give")
            continue
        number, period, element, said, made = first
        told = f"differs first in {names[number]}, control period {period}: {element} was {said:.6g}, raw signals give {made:.6g}"
        yield Check(f"observation {signal.name}", WRONG, told, "whoever fed the policy did not build what its contract says")


def _decisions(traces: Sequence[Trace], names: Sequence[str], policy: Policy, tolerance: float) -> Iterator[Check]:
    decisions = recorded_decisions(traces, policy)
    if decisions is None:
        return
    unequal = decisions.unequal
    span = np.array(policy.contract.action.high) - np.array(policy.contract.action.low)
    apart = float((np.abs(decisions.actions - decisions.taken) / span).max())
    told = f"{int((~unequal).sum())} of {len(unequal)} equal bit for bit, largest difference {apart:.2g} of the range"
    good = apart < max(1e-5, tolerance)
    yield Check(
        "decisions",
        OK if good else WRONG,
        told,
        "" if good else "these actions do not follow from these observations: another file, or something between",
    )


def _recorded(traces: Sequence[Trace], policy: Policy, visited: Mapping[str, Array] | None) -> Iterator[Check]:
    contract = policy.contract
    shown = [name for name in traces[0].observations if all(name in trace.observations for trace in traces)]
    recorded = {name: np.concatenate([trace.observations[name] for trace in traces]) for name in shown}
    constant, saturated = constant_inputs(contract, recorded)
    yield Check("constant inputs", OK, _listed(constant) or "none")
    yield Check(
        "saturated inputs",
        WRONG if saturated else OK,
        _listed(saturated) or "none",
        "a sensor or its range is at its end" if saturated else "",
    )
    if visited is not None:
        outside = [
            f"{name} {low:.3g} … {high:.3g}, in simulation {least:.3g} … {most:.3g}"
            for name, low, high, least, most in outside_inputs(contract, recorded, visited)
        ]
        yield Check("range of inputs", WRONG if outside else OK, _listed(outside) or "within what the policy meets in simulation",
                    "the policy was never there: widen its training, or look for an offset" if outside else "")  # fmt: skip


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more
