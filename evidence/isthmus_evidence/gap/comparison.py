"""Two sets of recordings compared: what differs, by how much, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isthmus.kinematics import Kinematics
from isthmus.policy import Policy
from isthmus.recording import Trace
from isthmus.robot import Robot, load_robot
from isthmus_evidence.gap.causes import Cause, find_causes, total_excess
from isthmus_evidence.gap.decisions import decision_causes, recorded_decisions
from isthmus_evidence.gap.measured import measured
from isthmus_evidence.gap.metrics import SignalGap, cadence_gap, mean_return, outcome_gap, rank_agreement, signal_gaps
from isthmus_evidence.gap.observations import compare_observations, observation_causes
from isthmus_evidence.gap.recordings import Recording, check_comparable, read_recordings, resampled
from isthmus_evidence.gap.response import Loads
from isthmus_evidence.gap.score import Channel, Reference
from isthmus_evidence.gap.table import make_table
from isthmus_sim.identification.bag_commands import CommandTopics

__all__ = ["Gap", "compare", "policy_side_causes"]

_ENOUGH, _HALF = 40, 0.5  # samples of a set, and the share of the gap that a cause explains that is named from fewer
_LEAST_SHARE = 0.3  # of what its stage leaves to explain, for a cause that is named


@dataclass(frozen=True, slots=True)
class Gap:
    """What was found.

    Attributes:
        first: recordings of the first set.
        second: of the second.
        causes: the named ones first, strongest first.
        relations: errors of the second set in relations fitted to the first.
        excess: how large the gap is, in nats; 0 for sets that do not differ.
        signals: differences of measured signals.
        cadence: periods, jitter, repeated messages and delays of both sets.
        outcome: returns and successes with intervals, and their difference.
        ranks: whether both rank several policies alike, see `rank_agreement`; None if there are not several.
        remarks: what could not be looked at, and why.
    """

    first: Sequence[Recording]
    second: Sequence[Recording]
    causes: Sequence[Cause]
    relations: Mapping[str, Channel]
    excess: float
    signals: Sequence[SignalGap]
    cadence: Mapping[str, Mapping[str, float]]
    outcome: Mapping[str, Any]
    ranks: Mapping[str, Any] | None
    remarks: Sequence[str]

    @property
    def named(self) -> list[Cause]:
        """Causes that are taken for such."""
        return [cause for cause in self.causes if cause.named]


def compare(
    first: Path | Sequence[Path],
    second: Path | Sequence[Path],
    *,
    robot: Robot | None = None,
    policy: Policy | None = None,
    tolerance: float = 0.0,
    resample: bool = False,
    commands: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Gap:
    """Compare two sets of recordings.

    Args:
        first: what is expected, such as episodes in simulation: MCAP files, or folders of them.
        second: what is asked about, such as runs of the robot.
        robot: profile; by default the one that the recordings name.
        policy: that acted, so that its decisions are compared, too.
        tolerance: difference of its actions that says nothing, as a share of their range; 0 for policies without a solver.
        resample: bring recordings of other rates to the larger period.
        commands: topic of a bag's commands; by default …/guard/executed, else those of the robot's profile.
        progress: called with hypotheses tested and in total.

    Raises:
        ValueError: a file is no recording, or the sets are of other robots, contracts or rates, with the differences.
        OSError: a file cannot be read.
    """
    places = [[place] if isinstance(place, Path) else place for place in (first, second)]
    sets = [read_recordings(place, CommandTopics(commands, robot)) for place in places]
    remarks: list[str] = []
    if robot is None:
        robot = _profile([*sets[0], *sets[1]], remarks)
        if robot is not None and any(recording.trace is None and not recording.log.mode for recordings in sets for recording in recordings):
            sets = [read_recordings(place, CommandTopics(commands, robot)) for place in places]  # now that its topics are known
        check_comparable(*sets, rates=not resample)
    else:
        check_comparable(*sets, rates=not resample)
        _check_robot(robot, sets[0][0])
    remarks += dict.fromkeys(remark for recordings in sets for recording in recordings for remark in recording.log.remarks)
    remarks += [recording.cut_off for recordings in sets for recording in recordings if recording.cut_off]
    if resample:
        sets = _one_rate(sets, remarks)
    mine, theirs, unmeasured = measured(sets[0], sets[1], remarks)
    kinds = {} if robot is None else {joint.name: joint.type for joint in robot.joints}
    known = robot is not None and robot.base.kind == "fixed" and mine[0].log.joints == sets[0][0].log.joints
    loads = Loads(Kinematics(robot.urdf_path), robot.tool_frame, kinds) if robot is not None and known else Loads(None, kinds=kinds)
    one, two = make_table(mine), make_table(theirs)
    if not one.mode:
        remarks.append("no commands were recorded, so that it cannot be told how they were followed")
    if one.effort is None or two.effort is None:
        where = "the first set" if two.effort is not None else "the second set" if one.effort is not None else "either set"
        remarks.append(f"efforts of all joints are not known in {where}, so that loads show only where the servos give way")
        one, two = replace(one, effort=None), replace(two, effort=None)
    found, relations = find_causes(Reference(one, loads), two, progress)
    for which, recordings in (("first", mine), ("second", theirs)):
        if (samples := sum(len(recording.log.time) for recording in recordings)) < _ENOUGH:
            remarks.append(
                f"the {which} set has {samples} samples, and from fewer than {_ENOUGH} no cause is named that explains less than half: record more"
            )
            found = [replace(cause, named=cause.named and cause.explained >= _HALF) for cause in found]
    stages = [(found, total_excess(relations)), *unmeasured]
    traces = [recording.trace for recording in theirs if recording.trace is not None]
    if robot is not None and traces:
        stages += policy_side_causes(traces, robot, policy, remarks, tolerance)
    if policy is None and traces:
        remarks.append("no policy was given (--policy), so that recorded actions were not compared with those that it takes")
    if policy is not None and not traces:
        remarks.append("the policy was not asked, since no recording of the second set holds observations and decisions at its own rate")
    return Gap(
        mine, theirs, _ranked(stages), relations, sum(size for _, size in stages),
        signal_gaps(mine, theirs), cadence_gap(mine, theirs), outcome_gap(mine, theirs), _ranks(mine, theirs), remarks,
    )  # fmt: skip


def policy_side_causes(
    traces: Sequence[Trace], robot: Robot, policy: Policy | None, remarks: list[str], tolerance: float = 0.0
) -> list[tuple[list[Cause], float]]:
    """Causes between the raw signals and the actions: observations that are not what their contract says, and decisions that do not follow from them.

    Args:
        traces: recordings of isthmus.
        robot: profile.
        policy: that acted; None if it is not at hand.
        remarks: gets what could not be looked at.
        tolerance: see `decision_causes`.

    Returns:
        for both: causes, the first one named if it explains enough, and how much there is to be explained, in nats.
    """
    stages = []
    try:
        stages.append(observation_causes(compare_observations(traces, robot)))
    except (KeyError, ValueError) as error:
        remarks.append(f"observations were not rebuilt: {error.args[0]}")
    if policy is not None and (decisions := recorded_decisions(traces, policy)) is not None:
        stages.append(decision_causes(decisions, policy, tolerance))
    named = []
    for causes, size in stages:
        if causes and causes[0].explained >= _LEAST_SHARE:
            causes = [replace(causes[0], named=True), *causes[1:]]
        named.append((causes, size))
    return named


def _ranked(stages: Sequence[tuple[Sequence[Cause], float]]) -> list[Cause]:
    """Causes of all stages, named ones first, by what they explain of all."""
    whole = max(sum(size for _, size in stages), 1e-9)
    found = [replace(cause, explained=cause.explained * size / whole) for causes, size in stages for cause in causes]
    return sorted(found, key=lambda cause: (not cause.named, -cause.explained))


def _ranks(first: Sequence[Recording], second: Sequence[Recording]) -> Mapping[str, Any] | None:
    scores = {}
    for name in dict.fromkeys(recording.group for recording in first if recording.group):
        pair = [mean_return([recording for recording in recordings if recording.group == name]) for recordings in (first, second)]
        if pair[0] is not None and pair[1] is not None:
            scores[name] = (pair[0], pair[1])
    return rank_agreement(scores) if len(scores) > 1 else None


def _one_rate(sets: Sequence[list[Recording]], remarks: list[str]) -> list[list[Recording]]:
    """Both sets at the largest period, and what is lost by that in the remarks."""
    period = max(recording.period for recordings in sets for recording in recordings)
    found = [resampled(recordings, period) for recordings in sets]
    for which, before, after in zip(("first", "second"), sets, found, strict=True):
        lost = sum(one.trace is not None and other.trace is None for one, other in zip(before, after, strict=True))
        if lost:
            remarks.append(
                f"{lost} of {len(before)} recordings of the {which} set were brought to a period of {period:.4g} s: their observations, decisions, "
                "seeds and outcomes were left out"
            )
    return found


def _check_robot(robot: Robot, recording: Recording) -> None:
    """Refuse a robot that the recordings are not of; the twist of a base has components in place of joints."""
    missing = [joint for joint in recording.log.joints if joint not in (*robot.joint_names, *robot.base.wheels)]
    if missing and not (recording.trace and recording.trace.contract.mode == "twist"):
        raise ValueError(
            f"robot {robot.name!r} has no joint {', '.join(missing)}, of which there are recordings; it has {', '.join(robot.joint_names)}"
        )


def _profile(recordings: Sequence[Recording], remarks: list[str]) -> Robot | None:
    trace = next((recording.trace for recording in recordings if recording.trace is not None), None)
    if trace is None:
        remarks.append("the recordings do not name their robot (--robot), so that loads and frames were not looked at")
        return None
    try:
        return load_robot(trace.contract.robot)
    except ValueError as error:
        remarks.append(f"loads and frames were not looked at: {error}")
        return None
