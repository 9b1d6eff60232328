"""Whole episodes of a policy on a plant, scored: what `isthmus eval` and the best-model selection of training run.

After a stop of the guard, a value that is not finite, exploded physics or a fall the policy is not asked any more, and the episode is a failure;
`isthmus_sim.returns` says what it is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from isthmus.cadence import Cadence
from isthmus.control import ControlStep
from isthmus.guard import RUNGS, STOP
from isthmus.monitors import finite
from isthmus.plant import Simulator
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.runner import Runner, Tick
from isthmus_sim.explosions import exploded, kept_finite
from isthmus_sim.returns import Returns
from isthmus_sim.task import EpisodeStart, Scorer, Task, Transition

__all__ = ["EpisodeResult", "episode_start", "run_episodes", "standing_poses"]


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """One scored episode.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return of the whole episode, see `isthmus_sim.returns`.
        success: the task's condition held at the end, and nothing had ended it before.
        steps: control periods until its end.
        stopped_by_guard: cause of the guard's stop, "" if there was none.
        fallen: the task ended it as a failure (`Task.fallen`).
        diverged: the physics exploded, which ended it as a failure.
        terms: weighted reward terms, summed likewise.
        rungs: control periods spent on each rung of the guard.
        parameters: physical parameters that were set, those drawn for this episode among them.
        invalid: which value was not finite, a command or a reward, which ended it as a failure; "" if all were.
    """

    seed: int
    total_reward: float
    success: bool
    steps: int
    stopped_by_guard: str
    fallen: bool
    diverged: bool
    terms: Mapping[str, float]
    rungs: Mapping[str, int]
    parameters: Mapping[str, float] = field(default_factory=dict)
    invalid: str = ""


def episode_start(task: Task, seeds: Sequence[int]) -> EpisodeStart:
    """Draw the beginnings of episodes; equal seeds give equal episodes, whatever the batch, the engine or the transport."""
    return task.start([np.random.default_rng(seed) for seed in seeds])


def standing_poses(task: Task, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Where the bodies that never move are, `[n, 7]` per name, by the physical parameters of episodes, `[n]` each.

    A simulation is told so; no sensor of a robot says it.
    """
    count = max((len(values) for values in parameters.values()), default=1)
    poses = {}
    for body in task.scene.standing if task.scene else ():
        place = [parameters.get(f"{body.name}.{axis}", np.full(count, value)) for axis, value in zip("xyz", body.position, strict=True)]
        half, (x, y, z, w) = parameters.get(f"{body.name}.yaw", np.zeros(count)) / 2, body.rotation
        cos, sin = np.cos(half), np.sin(half)
        poses[body.name] = np.stack([*place, cos * x - sin * y, cos * y + sin * x, cos * z + sin * w, cos * w - sin * z], axis=1)
    return poses


def run_episodes(
    task: Task,
    policy: Policy,
    plant: Simulator,
    seeds: Sequence[int],
    *,
    replan: int | None = None,
    parameters: Mapping[str, float] | None = None,
    on_tick: Callable[[Tick], None] | None = None,
    on_transition: Callable[[Transition], None] | None = None,
) -> tuple[list[EpisodeResult], Cadence]:
    """Run one episode per row of the plant, all at once.

    Args:
        task: gives starts, inputs and scores.
        policy: what decides; its contract must be the task's.
        plant: as many rows as there are seeds.
        seeds: one per episode.
        replan: actions of a chunk to execute before deciding again; None means all.
        parameters: physical parameters that differ from the task's own.
        on_tick: called after each control period, for traces and pictures.
        on_transition: called likewise, with the truth before and after it, for specifications.

    Returns:
        one result per seed, and the cadence of the loop.

    Raises:
        ValueError: policy, task and plant do not fit; the message lists every difference.
    """
    if len(seeds) != plant.batch:
        raise ValueError(f"the plant has {plant.batch} rows, there are {len(seeds)} seeds")
    start = episode_start(task, seeds)
    extra = {name: np.full(len(seeds), value) for name, value in (parameters or {}).items()}
    physical = {**start.parameters, **extra}
    step = ControlStep(plant, task.contract)
    step.reset(seeds=seeds, state=start.state, parameters=physical)
    scorer, returns = Scorer(task, plant.batch), Returns(task, plant.batch)
    before, taken = plant.truth(), 0
    no = np.zeros(plant.batch, dtype=bool)
    running, success, fallen, diverged = ~no, no.copy(), no.copy(), no.copy()
    steps = np.zeros(plant.batch, dtype=np.int64)
    rungs = np.zeros((plant.batch, len(RUNGS)), dtype=np.int64)
    causes, invalid = [""] * plant.batch, [""] * plant.batch

    def score(tick: Tick) -> None:
        nonlocal before, taken, running, success
        taken += 1
        action, complaints = _acted(tick, task.contract.action.elements, running)
        after = plant.truth()
        lost = exploded(after)
        if np.count_nonzero(lost):
            after = kept_finite(lost, before, after)
        transition = Transition(before, after, action, start.inputs, np.full(plant.batch, taken * task.contract.control_period))
        outcome = scorer.score(transition)
        before = after
        if on_transition:
            on_transition(transition)
        for row in np.flatnonzero(returns.add(outcome)).tolist():
            broken = [name for name, values in outcome.terms.items() if not np.isfinite(values[row])]
            complaints[row] = f"reward {', '.join(broken)} is not finite"
        returns.charge(lost)
        diverged[running & lost] = True
        alive = running & ~lost
        steps[alive] += 1
        rungs[alive, tick.decision.rung[alive]] += 1
        stopped = alive & (tick.decision.rung == STOP)
        for row in np.flatnonzero(stopped).tolist():
            causes[row] = tick.decision.cause[row]
        failed = np.zeros_like(running)
        for row, complaint in complaints.items():
            if alive[row]:
                invalid[row], failed[row] = complaint, True
        down = np.asarray(task.fallen(transition)) if task.fallen else np.zeros_like(running)
        fallen[alive & down] = True
        returns.close(down)
        returns.charge(stopped | failed)
        success = np.where(running, outcome.success & ~(lost | stopped | failed | down), success)
        running = alive & ~(stopped | failed | down)
        runner.end(~running)
        if on_tick:
            on_tick(tick)

    runner = Runner(policy, step, inputs=lambda: start.inputs, replan=replan, on_tick=score)
    runner.begin(seeds)
    cadence = runner.run(task.episode_steps)
    results = [
        EpisodeResult(
            seed=int(seed),
            total_reward=float(returns.total[row]),
            success=bool(success[row]),
            steps=int(steps[row]),
            stopped_by_guard=causes[row],
            fallen=bool(fallen[row]),
            diverged=bool(diverged[row]),
            terms={name: float(total[row]) for name, total in returns.terms.items()},
            rungs={name: int(count) for name, count in zip(RUNGS, rungs[row], strict=True)},
            parameters={name: float(values[row]) for name, values in physical.items()},
            invalid=invalid[row],
        )
        for row, seed in enumerate(seeds)
    ]
    return results, cadence


def _acted(tick: Tick, elements: Sequence[str], running: Array) -> tuple[Array, dict[int, str]]:
    """What rewards take for the action, `[B, A]`, and which of the running rows asked for something that is not finite.

    Where nothing valid was asked for, it is what the guard executed.
    """
    sent = tick.decision.command
    assert sent is not None  # noqa: S101 - `ControlStep.reset` has armed every row
    if tick.asked is None:
        return sent.values, {}
    if finite(tick.asked):
        return tick.asked, {}
    bad = ~np.isfinite(tick.asked)
    rows = np.asarray(bad.any(axis=1))
    complaints = {row: f"command of {elements[int(bad[row].argmax())]} is not finite" for row in np.flatnonzero(rows & running).tolist()}
    return np.where(rows[:, None], sent.values, tick.asked), complaints
