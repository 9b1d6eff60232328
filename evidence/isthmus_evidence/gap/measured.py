"""What was not measured: samples that are no numbers say nothing, which is no agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from isthmus.records import Array
from isthmus_evidence.gap.causes import Cause
from isthmus_evidence.gap.recordings import Recording
from isthmus_sim.identification.logs import Log

__all__ = ["measured"]

_MOST = 0.5  # share of the samples of a joint that may be no numbers, before it is left out
_SIZE = 5.0  # nats that a joint counts which one set alone measures, as much as one that is far off

Stage = tuple[list[Cause], float]


def measured(
    first: Sequence[Recording], second: Sequence[Recording], remarks: list[str]
) -> tuple[list[Recording], list[Recording], list[Stage]]:
    """Both sets in one order of joints and without what is no number: joints that are not measured in one of them, and of the others the samples.

    Args:
        first: a set.
        second: the other, of the same joints.
        remarks: gets what was left out.

    Returns:
        both sets, and a named cause for each joint that one of them alone measures, with its size in nats.

    Raises:
        ValueError: no joint is measured in both.
    """
    first, second = _without_efforts(first, second, remarks)
    shares = [_missing(recordings) for recordings in (first, second)]
    stages: list[Stage] = []
    for joint in first[0].log.joints:
        gone = [share[joint] > _MOST for share in shares]
        if any(gone):
            where = "either set" if all(gone) else "the second set" if gone[1] else "the first set"
            claim = f"{joint} is not measured in {where}"
            remarks.append(f"{claim}, so that it, loads and frames were not looked at")
            if not all(gone):
                stages.append(([Cause("not measured", claim, 1.0, True)], _SIZE))
        for which, share in zip(("first", "second"), shares, strict=True):
            if 0 < share[joint] <= _MOST:
                remarks.append(f"{100 * share[joint]:.2g} % of the samples of {joint} in the {which} set are no numbers and were left out")
    for which, recordings in (("first", first), ("second", second)):
        bad = sum(int((~np.isfinite(recording.log.command)).any(axis=1).sum()) for recording in recordings if recording.log.command.size)
        if bad:
            remarks.append(f"{bad} commands of the {which} set are no numbers and were left out")
    kept = [joint for joint in first[0].log.joints if all(share[joint] <= _MOST for share in shares)]
    mine, theirs = _finite(first, kept), _finite(second, kept)
    if not (kept and mine and theirs):
        raise ValueError("no joint is measured in both sets: positions or velocities are not finite")
    return mine, theirs, stages


def _without_efforts(
    first: Sequence[Recording], second: Sequence[Recording], remarks: list[str]
) -> tuple[Sequence[Recording], Sequence[Recording]]:
    """Both sets without efforts, where those of a joint are no numbers in most samples of one of them."""
    for which, recordings in (("first", first), ("second", second)):
        efforts = [(recording.log.joints, recording.log.effort) for recording in recordings if recording.log.effort is not None]
        if not efforts:
            continue
        bad = [
            joint
            for joint in recordings[0].log.joints
            if np.concatenate([~np.isfinite(effort[:, joints.index(joint)]) for joints, effort in efforts]).mean() > _MOST
        ]
        if bad:
            remarks.append(f"the efforts of {', '.join(bad)} in the {which} set are no numbers, so that no efforts were looked at")
            both = [[replace(one, log=replace(one.log, effort=None)) for one in recordings] for recordings in (first, second)]
            return both[0], both[1]
    return first, second


def _bad(log: Log) -> Array:
    """Samples of which a position, velocity or effort is no number, `[T, J]`."""
    bad = ~np.isfinite(log.position)
    for values in (log.velocity, log.effort):
        bad |= False if values is None else ~np.isfinite(values)
    return bad


def _missing(recordings: Sequence[Recording]) -> dict[str, float]:
    """Share of samples that are no numbers, by joint."""
    logs = [recording.log for recording in recordings]
    return {joint: float(np.concatenate([_bad(log)[:, log.joints.index(joint)] for log in logs]).mean()) for joint in logs[0].joints}


def _finite(recordings: Sequence[Recording], joints: Sequence[str]) -> list[Recording]:
    """Those of which anything is left."""
    found = [replace(recording, log=_cut(recording.log, joints)) for recording in recordings]
    return [recording for recording in found if len(recording.log.time) > 1]


def _cut(log: Log, joints: Sequence[str]) -> Log:
    columns = [log.joints.index(joint) for joint in joints]
    good = ~_bad(log)[:, columns].any(axis=1)
    told = np.isfinite(log.command).all(axis=1) if log.command.size else np.ones(len(log.command_time), dtype=bool)
    if good.all() and told.all() and tuple(joints) == log.joints:
        return log

    def cut(values: Array | None) -> Array | None:
        return None if values is None else values[good][:, columns]

    poses = {name: values[good] for name, values in log.poses.items()}
    command = log.command[told][:, columns] if log.command.size else log.command
    return replace(
        log, time=log.time[good], joints=tuple(joints), position=log.position[good][:, columns], velocity=cut(log.velocity), effort=cut(log.effort),
        current=cut(log.current), command_time=log.command_time[told],
        command=command, poses=poses,
    )  # fmt: skip
