"""Owns the loop: asks a policy, executes the first actions of its chunk, keeps time and reports the cadence.

Simulators run in lockstep, as fast as they can. A plant whose time passes by itself is paced with absolute deadlines: after a stall, missed ticks are
skipped, never caught up. Only the runner ever waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.cadence import Cadence
from isthmus.chunks import Chunks
from isthmus.control import ControlStep
from isthmus.guard import HOLD, Decision
from isthmus.policy import Policy
from isthmus.records import ActionChunk, Array, Measurement

__all__ = ["Runner", "Tick"]

Inputs = Mapping[str, Array]
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Tick:
    """What happened in one control period.

    Attributes:
        index: control periods since the runner began.
        measurement: sample at the beginning of the period.
        inputs: inputs at the decision, `[B, n]` per name.
        rows: indices `[n]` of the rows that the policy was asked for; the others continued an earlier chunk, or have ended.
        observation: what all rows showed at the decision, `[B, history, *shape]` per signal; None if no row was asked for.
        chunk: what the policy decided for `rows`, `[n, H, A]`; None likewise.
        asked: primitive action, `[B, A]`, SI, NaN in rows without one; None if no row had one.
        decision: what the guard let through.
        ended: rows `[B]` whose episode had ended before, see `Runner.end`.
        corrected: `asked` is a person's, in place of the policy's.
    """

    index: int
    measurement: Measurement
    inputs: Inputs
    rows: Array
    observation: Mapping[str, Array] | None
    chunk: ActionChunk | None
    asked: Array | None
    decision: Decision
    ended: Array
    corrected: bool = False


class Runner:
    """Runs one policy on one plant.

    Attributes:
        step: the control step; its guard is the only one that acts.
        cadence: times of the run so far.
    """

    def __init__(
        self,
        policy: Policy,
        step: ControlStep,
        *,
        inputs: Callable[[], Inputs] | None = None,
        replan: int | None = None,
        on_tick: Callable[[Tick], None] | None = None,
        correction: Callable[[], Array | None] = lambda: None,
    ) -> None:
        """Bind policy and plant.

        Args:
            policy: what decides.
            step: the control step around the plant; must have the policy's contract.
            inputs: called at each decision for goals and other external signals, `[B, n]` per name.
            replan: execute this many of the H actions of a chunk before deciding again; None means all of them.
            on_tick: called after each control period, for traces and scores.
            correction: called in each control period that has a new sample: what a person asks for in place of the policy, `[B, A]`; None for
                nothing. The policy is asked all the same, and decides anew in each such period.

        Raises:
            ValueError: the contracts differ (with the diff), or `replan` is not in 1 … H.
        """
        if policy.contract.digest() != step.contract.digest():
            raise ValueError(f"policy and control step differ: {'; '.join(policy.contract.diff(step.contract))}")
        horizon = policy.contract.horizon
        if replan is not None and not 1 <= replan <= horizon:
            raise ValueError(f"replan must be in 1 … {horizon}, got {replan}")
        self.step = step
        self._policy = policy
        self._inputs = inputs or dict
        self._chunks = Chunks(step.plant.batch, replan or horizon, len(policy.contract.action.elements))
        self._on_tick = on_tick
        self._correction = correction
        self._index = 0
        self.cadence = Cadence(step.contract.control_period, step.plant.realtime)

    def begin(self, seeds: Sequence[int] | None = None) -> None:
        """Begin new episodes: drop the chunks and reset the policy's caches, with one seed per row or none."""
        self._policy.reset()
        for row, seed in enumerate(seeds or ()):
            self._policy.reset(np.array([row]), seed)
        self._chunks.begin()
        self._index = 0

    def end(self, rows: Array) -> None:
        """The episodes of the rows of a mask `[B]` have ended: until `begin`, the policy is not asked for them, and the guard brakes them."""
        self._chunks.end(rows)

    def warm_up(self) -> None:
        """Decide once on a neutral observation, so that the first real decision is not the slow one."""
        zeros = {
            signal.name: np.zeros((self.step.plant.batch, signal.history, *signal.shape), dtype=signal.dtype)
            for signal in self.step.contract.observation
        }
        self._policy.act(zeros)
        self._policy.reset()
        np.percentile(np.zeros(2), 50)  # of the cadence; its first call imports modules, which takes a control period of its own

    def tick(self, *, decide: bool = True, woken: float | None = None) -> Tick:
        """One control period on the sample that `step.sense` took last.

        Args:
            decide: False asks for nothing, so that the guard holds.
            woken: when the loop woke up for it, on `time.perf_counter`; None means now.

        Raises:
            Exception: whatever the policy raised, in lockstep; on a real-time plant the guard holds instead and names it.
        """
        began = time.perf_counter() if woken is None else woken
        observation = chunk = None
        inputs: Inputs = {}
        if not decide:
            self._chunks.drop()
        needs = self._chunks.needs
        rows = np.flatnonzero(needs) if decide else _NONE
        if rows.size:
            try:
                inputs = self._inputs()
                observation = self.step.observe(inputs, needs)
                thinking = time.perf_counter()
                chunk = self._chunks.ask(self._policy, observation)
            except Exception as error:
                if not self.step.plant.realtime:
                    raise
                self.step.hold(f"policy failed: {type(error).__name__}: {error}", needs)
            else:
                if self.cadence.work:
                    self.cadence.inference.append(time.perf_counter() - thinking)
        asked = self._chunks.next()
        correction = self._correction() if decide else None
        if correction is not None:
            asked = correction
            self._chunks.drop()
        measurement = self.step.measurement
        decision = self.step.act(asked)
        self._chunks.drop(decision.rung >= HOLD)
        self.cadence.work.append(time.perf_counter() - began)
        self.cadence.steps += 1
        tick = Tick(
            self._index, measurement, inputs, rows, observation, chunk, asked, decision, self._chunks.ended.copy(), correction is not None
        )
        self._index += 1
        if self._on_tick:
            self._on_tick(tick)
        return tick

    def run(self, steps: int | None = None, stop: threading.Event | None = None) -> Cadence:
        """Run until `steps` periods are done or `stop` is set; the caller has begun the episode and taken the first sample in lockstep.

        Args:
            steps: control periods; None means until `stop`.
            stop: set by another thread to end the loop.

        Returns:
            the cadence of all periods so far.
        """
        if self.step.plant.realtime:
            self._run_paced(steps, stop or threading.Event())
        else:
            done = 0
            while (steps is None or done < steps) and not (stop and stop.is_set()):
                self.tick()
                self.step.sense()
                done += 1
        return self.cadence

    def _run_paced(self, steps: int | None, stop: threading.Event) -> None:
        period = self.step.contract.control_period
        deadline = time.monotonic()
        done = 0
        while (steps is None or done < steps) and not stop.wait(max(deadline - time.monotonic(), 0.0)):
            self.cadence.lateness.append(time.monotonic() - deadline)
            woken = time.perf_counter()
            self.tick(decide=self._sensed(), woken=woken)
            done += 1
            late = time.monotonic() - deadline
            self.cadence.missed += late > period
            behind = int(late // period)
            self.cadence.skipped += behind
            deadline += (behind + 1) * period

    def _sensed(self) -> bool:
        """Whether there is a new sample; a plant that raises makes the guard hold on the last one."""
        try:
            self.step.sense()
        except Exception as error:
            self.step.hold(f"the robot cannot be read: {type(error).__name__}: {error}")
            return False
        return True
