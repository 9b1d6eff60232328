"""What a recording of `record_node` shows: which rung of the ladder it is, of which policy, and what the guard had to do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isthmus import messages
from isthmus.ladder import rung_of
from isthmus.mcap_records import Allowance, has_footer, read_records
from isthmus_evidence.statistics import success_interval

__all__ = ["read_run"]

_KIND = "diagnostic_msgs/msg/DiagnosticArray"
_RESTING = ("", "idle")


@dataclass(slots=True)
class _Seen:
    """What the topics say, message by message."""

    ran: set[tuple[str, str]] = field(default_factory=set)  # digest of the policy, robot
    started: set[tuple[str, str]] = field(default_factory=set)  # epoch and number of a motion
    failed: set[tuple[str, str]] = field(default_factory=set)
    corrected: set[tuple[str, str]] = field(default_factory=set)  # motions in which a person took over
    scale: float | None = None  # the slowest that a guard said; None before any did
    shadows: int = 0
    first: int = 0
    last: int = 0

    def take(self, topic: str, time: int, said: Mapping[str, str] | None, robot: str) -> None:
        self.first, self.last = self.first or time, max(self.last, time)
        if topic.endswith("policy/shadow"):
            self.shadows += 1
        elif said is not None and topic.endswith("policy/status"):
            motion = said.get("epoch", ""), said.get("motion", "")
            if said.get("policy", "") not in _RESTING:
                self.started.add(motion)
                self.ran.add((said.get("policy_digest", ""), robot))
            if said.get("corrected") == "true":
                self.corrected.add(motion)
            if said.get("failure") or said.get("stop_sequence", "-1") != "-1":
                self.failed.add(motion)
        elif said is not None and topic.endswith("guard/status") and "rate_scale" in said:
            scale = float(said["rate_scale"])
            self.scale = scale if self.scale is None else min(self.scale, scale)


def read_run(recording: Path) -> tuple[str, dict[str, Any]]:
    """Read one recording.

    Args:
        recording: its folder, or the MCAP file in it.

    Returns:
        the digest of the policy that ran, as it said itself, and plain data: `rung`, `robot`, `recording` and its `sha256`, how many `runs`, in
        `seconds`; `corrected`, how many more there were in which a person took over, which show nothing of the policy; `stopped`, the share of runs
        that ended by a stop or failure, with its interval; `rate_scale`; `missing`, the evidence that was missing and allowed.

    Raises:
        ValueError: isthmus did not record it, its robot was simulated, nothing ran without a person's corrections, or it does not say of one
            policy and robot that they did, or at which rate the guard let the robot move.
        OSError: it cannot be read.
    """
    from mcap.records import Channel, Message, Metadata, Schema
    from mcap_ros2.decoder import DecoderFactory

    path = _file(recording)
    known: Mapping[str, str] = {}
    channels: dict[int, Any] = {}
    decode, seen = None, _Seen()
    for record in read_records(Allowance.of(path), has_footer(path)):
        if isinstance(record, Metadata) and record.name == "isthmus.recording":
            known = record.metadata
        elif isinstance(record, Schema) and record.name == _KIND:
            decode = DecoderFactory().decoder_for("cdr", replace(record, data=messages.SCHEMAS[_KIND].encode()))
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            topic = channels[record.channel_id].topic
            said, robot = None, ""
            if decode is not None and topic.endswith(("policy/status", "guard/status")):
                status = decode(record.data).status[0]
                said, robot = {pair.key: pair.value for pair in status.values}, status.hardware_id
            seen.take(topic, record.log_time, said, robot)
    if "simulated" not in known:
        raise ValueError(f"{path} does not say whether its robot was simulated; a recording of isthmus deploy --record does")
    if known.get("simulated") == "true":
        raise ValueError(f"the robot of {path} was simulated; the rungs above simulation need the robot")
    if not seen.started:
        raise ValueError(f"nothing ran in {path}: policy/status never says that the policy was at work")
    runs = len(seen.started - seen.corrected)
    if not runs:
        raise ValueError(f"in every run of {path} a person took over, which shows nothing of the policy")
    if len(seen.ran) > 1:
        told = "; ".join(f"policy {digest or 'unknown'} on {robot or 'unknown'}" for digest, robot in sorted(seen.ran))
        raise ValueError(f"{path} has runs of more than one policy or robot: {told}; record each by itself")
    ((digest, robot),) = seen.ran
    if not digest or not robot:
        raise ValueError(f"{path} does not say which policy ran on which robot; policy/status of isthmus deploy --record does")
    if seen.scale is None and not seen.shadows:
        raise ValueError(f"{path} does not say at which rate the robot moved; guard/status of isthmus deploy --record does")
    scale = 1.0 if seen.scale is None else seen.scale
    stopped = len(seen.failed & seen.started - seen.corrected)
    low, high = success_interval(stopped, runs)
    return digest, {
        "rung": rung_of(shadow=seen.shadows > 0, rate_scale=scale),
        "robot": robot,
        "recording": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "runs": runs,
        "corrected": len(seen.started & seen.corrected),
        "seconds": (seen.last - seen.first) / 1e9,
        "stopped": {"rate": stopped / runs, "low": low, "high": high},
        "rate_scale": scale,
        "missing": known.get("missing_evidence", ""),
    }


def _file(recording: Path) -> Path:
    """The MCAP file of a recording."""
    if not recording.is_dir():
        return recording
    files = sorted(recording.glob("*.mcap"))
    if len(files) != 1:
        raise ValueError(f"{recording} must hold one .mcap file, it holds {len(files)}")
    return files[0]
