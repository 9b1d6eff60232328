"""Proportional joint-position tracking: the smallest controller that is a policy.

In velocity mode it is the kinematic control law q̇ = K (q_goal − q) (Siciliano, Sciavicco, Villani, Oriolo: Robotics, chapter 3), whose error decays
with time constant 1/K; in position mode the robot's servo does the same. Use it to park an arm and to test a robot's wiring; it plans no path and
avoids no obstacle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.contract import Contract
from isthmus.kind import PolicyData
from isthmus.policy import asked_observation
from isthmus.records import ActionChunk, Array, reorder
from isthmus.robot import Joint, Robot
from isthmus.signals import Signal

__all__ = ["TrackingPolicy", "tracking_artifact", "tracking_contract"]

_MEMBER = "tracking.json"
_GOAL = "joint_goal"
_SOURCES = {"position": "joint_position", "velocity": "joint_velocity"}


@dataclass(frozen=True, slots=True)
class _Settings:
    gain: float


class TrackingPolicy:
    """Moves every commanded joint towards the input `joint_goal`.

    Attributes:
        contract: position or velocity mode; observes the commanded joints (source `joint_position`) and the input `joint_goal`, which has the
            action's elements.
        gain: 1/s; in position mode it has no effect.

    Raises:
        ValueError: effort mode, a missing or wrong signal, or a gain that overshoots at this control period.
    """

    members: ClassVar[tuple[str, ...]] = (_MEMBER,)

    def __init__(self, contract: Contract, gain: float) -> None:
        if contract.mode not in _SOURCES:
            raise ValueError(f"tracking commands position or velocity; the contract's action is {contract.mode}")
        measured = [signal for signal in contract.observation if signal.source == "joint_position"]
        missing = set(contract.action.elements) - {joint for signal in measured for joint in signal.elements}
        if len(measured) != 1 or missing:
            needed = ", ".join(contract.action.elements)
            raise ValueError(f"tracking needs one joint_position signal with {needed}; the contract has {_listed(measured)}")
        inputs = {signal.name: signal for signal in contract.inputs}
        if _GOAL not in inputs or inputs[_GOAL].elements != contract.action.elements:
            raise ValueError(f"tracking needs an input {_GOAL!r} with the action's joints; the contract has {_listed(contract.inputs)}")
        if not 0 < gain <= 1 / contract.control_period:
            raise ValueError(f"gain must be > 0 and at most 1/control_period = {1 / contract.control_period:g} 1/s, got {gain} 1/s")
        self.contract = contract
        self.gain = gain
        self._measured = measured[0]

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> TrackingPolicy:
        """The policy of an artifact of kind `tracking`."""
        return cls(artifact.contract, _read(artifact.members).gain)

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse settings that cannot be read."""
        _read(members)

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        """Track the goal; in a chunk each action starts where the ones before it lead.

        Args:
            observation: joint positions and goal, `[B, history, elements]`, rad or m; other keys are ignored.

        Returns:
            actions `[B, H, A]` in the unit of the action, velocities clipped to its bounds.

        Raises:
            KeyError: a signal is missing.
            ValueError: a signal has another shape.
        """
        observation = asked_observation(self.contract, observation, (self._measured.name, _GOAL))
        action, horizon = self.contract.action, self.contract.horizon
        goal = np.asarray(observation[_GOAL], dtype=float)[:, -1]
        if self.contract.mode == "position":
            return ActionChunk(np.repeat(goal[:, None], horizon, axis=1))
        position = reorder(np.asarray(observation[self._measured.name], dtype=float)[:, -1], self._measured.elements, action.elements)
        velocities = []
        for _ in range(horizon):
            velocity = np.clip(self.gain * (goal - position), action.low, action.high)
            velocities.append(velocity)
            position = position + velocity * self.contract.control_period
        return ActionChunk(np.stack(velocities, axis=1))


def tracking_contract(robot: Robot, control_period: float, mode: str | None = None) -> Contract:
    """A contract to track joint goals on a robot.

    A continuous joint commanded in position mode may turn once either way from home, because an action has finite bounds.

    Args:
        robot: its joints in hardware order and its own limits.
        control_period: s.
        mode: "position" or "velocity"; None takes the one that the robot prefers.

    Raises:
        ValueError: the robot has no such mode, or cannot be commanded at this period.
    """
    modes = [name for name in robot.command_modes if name in _SOURCES and mode in (None, name)]
    if not modes:
        wanted = mode or "position or velocity"
        raise ValueError(f"tracking commands {wanted}; robot {robot.name!r} accepts {', '.join(robot.command_modes)}")
    low = tuple(joint.position[0] for joint in robot.joints)
    high = tuple(joint.position[1] for joint in robot.joints)
    if modes[0] == "position":
        bounds = tuple(_position_bounds(joint) for joint in robot.joints)
    else:
        bounds = tuple((-joint.velocity, joint.velocity) for joint in robot.joints)
    contract = Contract(
        robot=robot.name,
        task="tracking",
        observation=(
            Signal("joint_position", "joint_position", robot.joint_names, robot.unit("position"), low, high, dtype="float64"),
            Signal(_GOAL, "input", robot.joint_names, robot.unit("position"), low, high, dtype="float64"),
        ),
        action=Signal(
            name="action",
            source=_SOURCES[modes[0]],
            elements=robot.joint_names,
            unit=robot.unit(modes[0]),
            low=tuple(bound[0] for bound in bounds),
            high=tuple(bound[1] for bound in bounds),
            dtype="float64",
        ),
        limits=robot.limits(),
        control_period=control_period,
    )
    if problems := contract.fits(robot):
        raise ValueError("; ".join(problems))
    return contract


def tracking_artifact(contract: Contract, gain: float = 2.0) -> Artifact:
    """Put a tracker into an artifact.

    Args:
        contract: see `tracking_contract`.
        gain: 1/s.

    Raises:
        ValueError: the gain or the contract is refused; see `TrackingPolicy`.
    """
    artifact = Artifact(contract, "tracking", {_MEMBER: strict.canonical_json(_Settings(gain))})
    artifact.policy()
    return artifact


def _position_bounds(joint: Joint) -> tuple[float, float]:
    low, high = joint.position
    turn = 2 * math.pi
    return (low if math.isfinite(low) else joint.home - turn, high if math.isfinite(high) else joint.home + turn)


def _listed(signals: Iterable[Signal]) -> str:
    return "; ".join(f"{signal.name} with {', '.join(signal.elements)}" for signal in signals) or "none"


def _read(members: Mapping[str, bytes]) -> _Settings:
    where = f"member {_MEMBER!r}"
    return strict.decode(_Settings, strict.load_json(members[_MEMBER], where), where)
