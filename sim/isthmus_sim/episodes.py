"""Whole episodes of a policy on a plant, scored: what `isthmus eval` and the best-model selection of training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from isthmus.cadence import Cadence
from isthmus.control import ControlStep
from isthmus.guard import RUNGS, STOP
from isthmus.plant import Simulator
from isthmus.policy import Policy
from isthmus.records import Array
from isthmus.runner import Runner, Tick
from isthmus_sim.task import EpisodeStart, Scorer, Task, Transition

__all__ = ["EpisodeResult", "episode_start", "run_episodes"]


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """One scored episode.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return.
        success: the task's condition held at the end, and the guard did not stop it.
        steps: control periods until its end.
        stopped_by_guard: cause of the guard's stop, "" if there was none.
        fallen: the task ended it as a failure (`Task.fallen`).
        diverged: the physics exploded, which ended it as a failure.
        terms: weighted reward terms, summed.
        rungs: control periods spent on each rung of the guard.
        parameters: physical parameters that were set, those drawn for this episode among them.
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


def episode_start(task: Task, seeds: Sequence[int]) -> EpisodeStart:
    """Draw the beginnings of episodes; equal seeds give equal episodes, whatever the batch, the engine or the transport."""
    return task.start([np.random.default_rng(seed) for seed in seeds])


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
    scorer = Scorer(task, plant.batch)
    before, taken = plant.truth(), 0
    ended = np.zeros(plant.batch, dtype=bool)
    totals: dict[str, Array] = {term.name: np.zeros(plant.batch) for term in task.reward}
    success = np.zeros(plant.batch, dtype=bool)
    steps = np.zeros(plant.batch, dtype=np.int64)
    rungs = np.zeros((plant.batch, len(RUNGS)), dtype=np.int64)
    causes = [""] * plant.batch
    fallen, diverged = np.zeros(plant.batch, dtype=bool), np.zeros(plant.batch, dtype=bool)

    def score(tick: Tick) -> None:
        nonlocal before, success, taken
        after = plant.truth()
        taken += 1
        sent = tick.decision.command
        assert sent is not None  # noqa: S101 - `step.reset` has armed every row
        asked = sent.values if tick.asked is None else tick.asked
        transition = Transition(before, after, asked, start.inputs, np.full(plant.batch, taken * task.contract.control_period))
        outcome = scorer.score(transition)
        before = after
        if on_transition:
            on_transition(transition)
        # A row whose physics exploded ends as a failure, with the rewards that it had until then.
        lost = ~ended & ~np.isfinite(after.position + after.velocity).all(axis=1)
        diverged[lost] = ended[lost] = True
        success[lost] = False
        running = ~ended
        for name, value in outcome.terms.items():
            totals[name][running] += value[running]
        steps[running] += 1
        rungs[running, tick.decision.rung[running]] += 1
        stopped = running & (tick.decision.rung == STOP)
        down = running & task.fallen(transition) if task.fallen else np.zeros_like(running)
        for row in np.flatnonzero(stopped):
            causes[row] = tick.decision.cause[row]
        success = np.where(running, outcome.success & ~stopped & ~down, success)
        ended[stopped | down] = True
        fallen[down] = True
        if on_tick:
            on_tick(tick)

    runner = Runner(policy, step, inputs=lambda: start.inputs, replan=replan, on_tick=score)
    runner.begin(seed=int(seeds[0]))
    cadence = runner.run(task.episode_steps)
    results = [
        EpisodeResult(
            seed=int(seed),
            total_reward=float(sum(total[row] for total in totals.values())),
            success=bool(success[row]),
            steps=int(steps[row]),
            stopped_by_guard=causes[row],
            fallen=bool(fallen[row]),
            diverged=bool(diverged[row]),
            terms={name: float(total[row]) for name, total in totals.items()},
            rungs={name: int(count) for name, count in zip(RUNGS, rungs[row], strict=True)},
            parameters={name: float(values[row]) for name, values in physical.items()},
        )
        for row, seed in enumerate(seeds)
    ]
    return results, cadence
