"""The loop of a training: explore, learn, evaluate, and be able to go on after anything.

At step 0 and every `checkpoint_every` control periods all rows of the environment begin new episodes, seeded by the training's seed and the step.
So the environment has no state worth saving there, the checkpoint holds all else that learning depends on (networks, optimisers, memory,
generators, counters), and a training that was killed and resumed does bit for bit what an uninterrupted one does. One that was interrupted goes on
from a checkpoint of that moment, with new episodes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from isthmus_policies.environment import TrainingEnv
from isthmus_policies.explorer import Explorer
from isthmus_policies.export import PARITY_SAMPLES
from isthmus_policies.identity import check_resumable, write_identity
from isthmus_policies.journal import Journal
from isthmus_policies.learner import Learner, LearnerConfig
from isthmus_policies.memory import Recorded, memory_for
from isthmus_policies.offline import Offline
from isthmus_policies.outcome import Evaluation, Progress
from isthmus_policies.selection import Selection

__all__ = ["Session"]

LOG_EVERY = 500  # control periods between rows of training.jsonl


class Session:
    """A training in progress; `train` runs one from beginning to end and explains the arguments.

    Attributes:
        step: control periods done, of all rows together.
        selection: keeps the best policy.
        checkpoint: the newest; made by `begin`, as is the journal.
    """

    checkpoint: Path
    _saved: int
    _journal: Journal

    def __init__(
        self,
        learner: Learner,
        env: TrainingEnv,
        evaluate: Callable[[Policy], Evaluation],
        out: Path,
        config: LearnerConfig,
        seed: int,
        progress: Progress | None,
        git: str,
        notes: Mapping[str, Any],
        offline: Offline | None = None,
        experienced: bool = False,
    ) -> None:
        self.step = 0
        notes = {**notes, **({"offline": offline.identity} if offline else {})}
        told = {"algorithm": learner.algorithm, "seed": seed, **learner.summary(), **notes}
        self.selection = Selection(learner.contract, config, evaluate, out, git, told)
        self._identity = (learner.algorithm, seed, config, notes)
        self._learner, self._out, self._config, self._seed, self._progress = learner, out, config, seed, progress
        self._env, self._rows = env, env.num_envs
        self._looked = self._before = 0  # steps after which it was looked at what is due, last and the time before
        self._random_periods = config.warm_up if learner.warms_up_at_random and not experienced else 0
        self._generator = np.random.default_rng(seed)
        self._memory, self._updater = memory_for(learner, env, offline, config, self._generator, out)
        self._acts = not isinstance(self._memory, Recorded)
        self._explorer = Explorer(learner, env, self._memory, self._generator, config.gamma)
        self._seconds, self._began = 0.0, time.monotonic()

    def begin(self, resume: bool) -> bool:
        """Start where the newest checkpoint was taken, if it is to be resumed and there is one (True), or else at the beginning (False)."""
        self._out.mkdir(parents=True, exist_ok=True)
        newest = newest_checkpoint(self._out / "checkpoints") if resume else None
        if newest is None:
            if resume and (metrics := self._out / "metrics.jsonl").is_file() and metrics.stat().st_size:
                raise ValueError(f"{self._out} holds the evaluations of a training, and no checkpoint from which it could go on")
            write_identity(self._out, *self._identity)
            self._save()
        else:
            check_resumable(self._out, *self._identity)
            self._load(newest)
            write_identity(self._out, *self._identity)  # it may have more steps now
        self._journal = Journal(self._out, None if newest is None else self.step)
        self._begin_episodes()
        return newest is not None

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.step >= self._config.steps or self.selection.reached

    def advance(self, enough: Callable[[], bool] = lambda: False) -> None:
        """One control period of all rows, and what is due after it, unless the environment is busy: then it is due later.

        An environment that waits for a person asks whether it is `enough`, and nothing is done then.
        """
        config = self._config
        if self._acts and not self._explorer.advance(self._share, self.step < self._random_periods, enough):
            return
        self.step += self._rows
        if getattr(self._env, "busy", False) and not self.finished:
            if self._progress:
                self._progress(self.step, config.steps, None)
            return
        self._before, self._looked = self._looked, self.step
        for losses in self._updater.advance(self.step, self._share):
            self._journal.collect(losses)
        evaluation = None
        if self.due(LOG_EVERY):
            self._log()
        if (self.due(config.evaluate_every) and self.step > config.warm_up) or self.finished:
            evaluation = self.selection.consider(self.export)
            self._journal.write("eval", self.step, {**evaluation.scores(), "seconds": self._elapsed()})
        if self.due(config.checkpoint_every) or self.finished:
            self._memory.cut()
            self._save()
            if not self.finished:
                self._begin_episodes()
        if self._progress:
            self._progress(self.step, config.steps, evaluation)

    def keep(self) -> None:
        """Write a checkpoint of this moment, unless there is one. Where it is resumed, all rows begin new episodes."""
        if self._saved != self.step:
            self._memory.cut()
            self._save()

    def export(self) -> Artifact:
        """The deterministic policy of this moment as a policy file."""
        return self.selection.export(self._learner.policy(), self._memory.observations(PARITY_SAMPLES), self.step)

    def due(self, every: int) -> bool:
        """Whether a multiple of `every` was reached since the last look at it."""
        return self._looked // every > self._before // every

    def close(self) -> None:
        """Flush what was written down."""
        self._journal.close(self.finished)

    def _begin_episodes(self) -> None:
        """Reset all rows, with a seed that is different at every step."""
        seed = int(np.random.SeedSequence((self._seed, self.step)).generate_state(1)[0])
        self._explorer.begin_episodes(seed, self._share)

    def _log(self) -> None:
        recent = self._explorer.recent_return
        told = {} if recent is None else {"return": recent}
        self._journal.write_means(self.step, {**told, "updates": float(self._updater.updates), "seconds": self._elapsed()})

    @property
    def _share(self) -> float:
        """Of the training that is done, 0 … 1."""
        return min(self.step / self._config.steps, 1.0)

    def _elapsed(self) -> float:
        """Seconds of training, of all its parts."""
        return self._seconds + time.monotonic() - self._began

    def _save(self) -> None:
        best = self.selection.best
        state = {
            "step": self.step,
            "updates": self._updater.updates,
            "best": dataclasses.asdict(best) if best else None,
            "reached": self.selection.reached,
            "generator": self._generator.bit_generator.state,
            "seconds": self._elapsed(),
            "contract": self._learner.contract.digest(),
        }
        parts = {"learner": self._learner.state(), "memory": self._memory.state()}
        tensors = {f"{owner}.{name}": tensor for owner, part in parts.items() for name, tensor in part.items()}
        self.checkpoint = save_checkpoint(self._out / "checkpoints", self.step, tensors, state)
        self._saved = self.step

    def _load(self, path: Path) -> None:
        tensors, state = load_checkpoint(path)
        if state["contract"] != self._learner.contract.digest():
            raise ValueError(f"checkpoint {path} belongs to another contract; the task has changed since")
        for owner, whole in (("learner", self._learner), ("memory", self._memory)):
            part = {name.removeprefix(f"{owner}."): tensor for name, tensor in tensors.items() if name.startswith(f"{owner}.")}
            whole.load(part)
        self.step, self._updater.updates = state["step"], state["updates"]
        self.selection.best = Evaluation(**state["best"]) if state["best"] else None
        self.selection.reached = state["reached"]
        self._generator.bit_generator.state = state["generator"]
        self._seconds, self._began = state["seconds"], time.monotonic()
        self.checkpoint, self._saved = path, self.step
        self._looked = self._before = self.step
