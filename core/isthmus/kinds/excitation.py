"""Kind `excitation`: an open-loop multi-sine for system identification.

A sum of sines excites chosen frequencies with known amplitude, repeats exactly and can be averaged over periods, which is why robot dynamics are
identified with it (Swevers, Ganseman, Tükel, De Schutter, Van Brussel: Optimal robot excitation and identification, IEEE Transactions on Robotics and
Automation 13(5), 1997). It does not look at the robot: the guard is what keeps it safe. For moving to a pose use a tracker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array

__all__ = ["ExcitationPolicy", "MultiSine", "excitation_artifact"]

_MEMBER = "excitation.json"
_SINES = 10**6  # that one decision adds up


@dataclass(frozen=True, slots=True)
class MultiSine:
    """The waveform base + Σₙ amplitudeₙ sin(2π frequencyₙ t + phaseₙ), faded in and out with zero slope at all four ends of the fades.

    Units are those of the contract's action: rad, rad/s or N·m (m, m/s, N for prismatic joints).

    Attributes:
        base: mean per joint, `[A]`.
        amplitude: `[A][N]`.
        frequency: Hz, `[N]`, > 0.
        phase: rad, `[A][N]`.
        fade: length of the fade-in and of the fade-out, s.
        duration: of the whole, s, at least two fades.

    Raises:
        ValueError: shapes differ, a number is not finite, or a time or frequency is out of range.
    """

    base: tuple[float, ...]
    amplitude: tuple[tuple[float, ...], ...]
    frequency: tuple[float, ...]
    phase: tuple[tuple[float, ...], ...]
    fade: float
    duration: float

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase"):
            lengths = [len(row) for row in getattr(self, name)]
            if lengths != [len(self.frequency)] * len(self.base):
                raise ValueError(f"{name} must have {len(self.base)} rows of {len(self.frequency)} like base and frequency, got {lengths}")
        for name in ("base", "amplitude", "frequency", "phase"):
            values = np.asarray(getattr(self, name), dtype=float).ravel()
            if (bad := np.flatnonzero(~np.isfinite(values))).size:
                raise ValueError(f"{name} must be finite, got {values[bad[0]]}")
        for value in self.frequency:
            if not value > 0:
                raise ValueError(f"frequency must be > 0 Hz, got {value} Hz")
        if not self.fade > 0:
            raise ValueError(f"fade must be > 0 s, got {self.fade} s")
        if not 2 * self.fade <= self.duration < math.inf:
            raise ValueError(f"duration must be finite and at least two fades of {self.fade} s, got {self.duration} s")

    def sample(self, time: Array, rest: Array) -> Array:
        """The waveform at the given times; before 0 and after `duration` it is at rest.

        Args:
            time: seconds since reset, `[…]`.
            rest: what the waveform fades from and to, `[A]`.

        Returns:
            `[…, A]`.
        """
        time = np.asarray(time, dtype=float)[..., None]
        angle = 2 * np.pi * time[..., None] * np.asarray(self.frequency) + np.asarray(self.phase)
        waveform = np.asarray(self.base) + (np.asarray(self.amplitude) * np.sin(angle)).sum(-1)
        inside = np.clip(np.minimum(time, self.duration - time) / self.fade, 0.0, 1.0)
        weight = (1 - np.cos(np.pi * inside)) / 2
        result: Array = rest + weight * (waveform - rest)
        return result


class ExcitationPolicy:
    """Commands a `MultiSine` as a function of the contract's `time` signal, whatever the robot does.

    Rest is zero in velocity and effort mode, and the base in position mode: start position-mode excitation at its base.

    Attributes:
        contract: what is commanded; one observation signal has source `time`.
        excitation: the waveform.

    Raises:
        ValueError: the contract has no time signal, another number of joints, bounds that the waveform or rest could leave, or a horizon for which a
            decision adds up more than 1 000 000 sines.
    """

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    def __init__(self, contract: Contract, excitation: MultiSine) -> None:
        clocks = [signal.name for signal in contract.observation if signal.source == "time"]
        if len(clocks) != 1:
            names = ", ".join(signal.name for signal in contract.observation)
            raise ValueError(f"an excitation needs one signal with source 'time'; the contract observes {names}")
        action = contract.action
        joints = len(action.elements)
        if len(excitation.base) != joints:
            raise ValueError(f"member {_MEMBER!r}: base must have {joints} entries, one per joint, got {len(excitation.base)}")
        if (sines := contract.horizon * joints * len(excitation.frequency)) > _SINES:
            shown = f"{contract.horizon} × {joints} × {len(excitation.frequency)} = {sines}"
            raise ValueError(f"member {_MEMBER!r}: horizon × joints × frequencies must be <= {_SINES}, got {shown}")
        self.contract = contract
        self.excitation = excitation
        self._clock = clocks[0]
        self._rest = np.array(excitation.base) if contract.mode == "position" else np.zeros(len(action.elements))
        swing = np.abs(np.asarray(excitation.amplitude)).sum(-1)
        lowest = np.minimum(np.asarray(excitation.base) - swing, self._rest)
        highest = np.maximum(np.asarray(excitation.base) + swing, self._rest)
        for joint, unit, least, most, low, high in zip(
            action.elements, action.units, lowest, highest, action.low, action.high, strict=True
        ):
            if not low <= least <= most <= high:
                reach = f"{least:g} … {most:g} {unit}"
                raise ValueError(f"member {_MEMBER!r}: {joint} reaches {reach}, the action's bounds are {low:g} … {high:g} {unit}")

    @property
    def duration(self) -> float:
        """Of the run, s: a policy that has an end of its own says when."""
        return self.excitation.duration

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> ExcitationPolicy:
        """The policy of an artifact of kind `excitation`."""
        return cls(artifact.contract, _read(artifact.members))

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse a waveform that cannot be read."""
        _read(members)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget: time is observed."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """The waveform over the coming control periods.

        Args:
            observation: seconds since reset, `[B, history, 1]` under the name of the time signal; other keys are ignored.

        Returns:
            actions `[B, H, A]` in SI units; action h is the waveform h control periods from now.

        Raises:
            KeyError: the time signal is missing.
            ValueError: it has another shape.
        """
        now = np.asarray(asked_observation(self.contract, observation, [self._clock])[self._clock], dtype=float)[:, -1]
        coming = now + self.contract.control_period * np.arange(self.contract.horizon)
        return ActionChunk(self.excitation.sample(coming, self._rest))


def excitation_artifact(contract: Contract, excitation: MultiSine, training: Mapping[str, Any] | None = None, git: str = "") -> Artifact:
    """Put a waveform into an artifact.

    Args:
        contract: what is commanded.
        excitation: the waveform.
        training: how it was designed, plain data.
        git: commit it was made from.

    Raises:
        ValueError: the waveform does not fit the contract; see `ExcitationPolicy`.
    """
    artifact = Artifact(contract, "excitation", {_MEMBER: strict.canonical_json(excitation)}, training or {}, git=git)
    artifact.policy()
    return artifact


def _read(members: Mapping[str, bytes]) -> MultiSine:
    where = f"member {_MEMBER!r}"
    return strict.decode(MultiSine, strict.load_json(members[_MEMBER], where), where)
