"""Recordings with a known fault between policy and robot, on which whatever names causes is tried.

Each fault changes one thing on one side of the interface: what the plant is told, what it says, its physics, or what the policy sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus import strict
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Array, Command, Measurement, reorder
from isthmus.runner import Tick
from isthmus_evidence.traces import EpisodeTraces
from isthmus_sim.episodes import run_episodes
from isthmus_sim.plants import task_plant
from isthmus_sim.task import Task

__all__ = ["FAULTS", "Fault", "record_episodes"]

Change = Callable[[Array, int], Array]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong.

    Attributes:
        cause: what the gap report should call it.
        parameters: physical parameters, SI; `{joint}` stands for the joint.
        told: new commands `[B, J]` from those given, and the control period.
        said: new measurement from the true one, the one said before, and the generator.
        seen: new observation from the true one, and those before.
    """

    cause: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    told: Callable[[Array, Array, int, int], Array] | None = None
    said: Callable[[Measurement, Measurement | None, int, np.random.Generator], Measurement] | None = None
    seen: Callable[[Mapping[str, Array], list[Mapping[str, Array]]], dict[str, Array]] | None = None


def _columns(change: Callable[[Array, int], Array]) -> Callable[..., Measurement]:
    """Changes positions and velocities alike."""

    def said(now: Measurement, _: Measurement | None, joint: int, __: np.random.Generator) -> Measurement:
        return replace(now, position=change(now.position, joint), velocity=change(now.velocity, joint))

    return said


def _exchanged(values: Array, joint: int) -> Array:
    order = np.arange(values.shape[1])
    other = (joint + 1) % len(order)
    order[[joint, other]] = other, joint
    return values[:, order]


def _at(values: Array, joint: int, value: Any) -> Array:
    changed = values.copy()
    changed[:, joint] = value
    return changed


def _dropped(now: Measurement, before: Measurement | None, _: int, generator: np.random.Generator) -> Measurement:
    if before is None or generator.random() > 0.2:
        return now
    return replace(before, stamp=now.stamp)


def _normalised(now: Mapping[str, Array], _: list[Mapping[str, Array]]) -> dict[str, Array]:
    generator = np.random.default_rng(7)
    found = {}
    for name, values in now.items():
        scale, shift = generator.uniform(0.6, 1.6, values.shape[2:]), generator.normal(0.0, 0.1, values.shape[2:])
        found[name] = (values * scale + shift).astype(values.dtype) if values.dtype != np.uint8 else values
    return found


def _turned(now: Mapping[str, Array], _: list[Mapping[str, Array]]) -> dict[str, Array]:
    goal = now["goal"].copy()
    goal[..., 0], goal[..., 1] = -now["goal"][..., 1], now["goal"][..., 0]
    return {**now, "goal": goal}


FAULTS: Mapping[str, Fault] = {
    "joint swap": Fault("joint order", told=lambda command, before, joint, period: _exchanged(command, joint)),
    "sign": Fault("sign", said=_columns(lambda values, joint: _at(values, joint, -values[:, joint]))),
    "degrees": Fault("unit", said=_columns(lambda values, joint: values * 180 / np.pi)),
    "offset": Fault(
        "offset",
        said=lambda now, before, joint, generator: replace(now, position=_at(now.position, joint, now.position[:, joint] + 0.15)),
    ),
    "delay": Fault("delay", {"action_delay": 0.03}),
    "half rate": Fault("rate", told=lambda command, before, joint, period: command if period % 2 == 0 else before),
    "stale history": Fault("stale history", seen=lambda now, past: dict(past[-3] if len(past) > 2 else past[0])),
    "wrong normalisation": Fault("normalisation", seen=_normalised),
    "missing gravity": Fault("gravity", {"gravity": 0.0}),
    "low gain": Fault("servo gain", {"{joint}.gain": 0.1}),
    "frozen joint": Fault("frozen joint", told=lambda command, before, joint, period: _at(command, joint, before[:, joint])),
    "wrong frame": Fault("frame", seen=_turned),
    "payload": Fault("payload", {"payload": 1.0}),
    "dropped messages": Fault("dropped messages", said=_dropped),
    "filter": Fault("filter", {"action_lag": 0.1}),
    "noise": Fault("missing filter", {"position_noise": 0.01}),
    "damping": Fault("friction", {"joint_damping": 2.0}),
}
"""Name → fault."""


class _FaultyPlant:
    """A simulated plant behind a fault."""

    def __init__(self, plant: Any, fault: Fault, joint: int) -> None:
        self._plant, self._fault, self._joint = plant, fault, joint
        self._before: Array | None = None
        self._said: Measurement | None = None
        self._period = 0
        self._generator = np.random.default_rng(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plant, name)

    def reset(self, *arguments: Any, **named: Any) -> None:
        self._plant.reset(*arguments, **named)
        self._before, self._said, self._period = None, None, 0

    def read(self) -> Measurement:
        now = self._plant.read()
        if self._fault.said is None:
            return now
        self._said = self._fault.said(now, self._said, self._joint, self._generator)
        return self._said

    def write(self, command: Command) -> None:
        values = command.values
        if self._fault.told is not None:
            if self._before is None:
                exact = self._plant.truth()
                rest = reorder(exact.position, exact.joints, command.joints)
                self._before = rest.copy() if command.mode == "position" else np.zeros_like(values)
            values = self._fault.told(values, self._before, self._joint, self._period)
            self._before = values.copy()
        self._period += 1
        self._plant.write(Command(command.mode, command.joints, values))


class _FaultyPolicy:
    """A policy that sees something else than what there is."""

    def __init__(self, policy: Policy, fault: Fault) -> None:
        self.contract = policy.contract
        self.seen: dict[str, Array] = {}
        self._policy, self._fault = policy, fault
        self._past: list[Mapping[str, Array]] = []

    def reset(self, rows: Array | None = None, seed: int | None = None) -> None:
        self._policy.reset(rows, seed)
        self._past = []

    def act(self, observation: Mapping[str, Array]) -> ActionChunk:
        now = {name: values.copy() for name, values in observation.items()}
        self._past.append(now)
        self.seen = dict(now) if self._fault.seen is None else self._fault.seen(now, self._past)
        return self._policy.act(self.seen)


def record_episodes(
    task: Task, policy: Policy, engine: str, seeds: Sequence[int], folder: Path, fault: str = "", *, joint: int = 1, hidden: bool = False
) -> None:
    """Record episodes behind a fault.

    Args:
        task: what is asked.
        policy: of that task.
        engine: name of the plant.
        seeds: one per episode.
        folder: for one MCAP trace per episode.
        fault: name; "" for none.
        joint: index of the joint that it is about, where it is about one.
        hidden: whether what the policy saw stays out of the recording.

    Raises:
        ValueError: unknown fault, with the known ones.
    """
    if fault and fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}; {strict.suggest(fault, FAULTS)}")
    planted = FAULTS[fault] if fault else Fault("")
    name = task.contract.action.elements[joint % len(task.contract.action.elements)]
    parameters = {key.format(joint=name): value for key, value in planted.parameters.items()}
    acting, plant = _FaultyPolicy(policy, planted), _FaultyPlant(task_plant(engine, task, 1), planted, joint)
    for seed in seeds:  # one after the other, as on a robot: what a policy saw before is its own
        with EpisodeTraces(folder, task.contract, plant.robot.base_frame, engine, [seed], [{}]) as traces:

            def record(tick: Tick, traces: EpisodeTraces = traces) -> None:
                traces.record(tick if hidden or tick.observation is None else replace(tick, observation=acting.seen))

            results, _ = run_episodes(task, acting, plant, [seed], parameters=parameters, on_tick=record)
            traces.conclude(results)
    plant.close()
