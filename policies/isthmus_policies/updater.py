"""The half of a training that learns: as many updates as are due, each from fresh batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from isthmus_policies.divergence import save_divergence
from isthmus_policies.learner import DivergedError, OffPolicyConfig, OffPolicyLearner
from isthmus_policies.offline import Offline, mix
from isthmus_policies.replay import Batch, Replay

__all__ = ["Updater"]


class Updater:
    """Draws batches and updates the learner.

    Attributes:
        updates: done so far.
    """

    def __init__(
        self,
        learner: OffPolicyLearner,
        replay: Replay,
        offline: Offline | None,
        config: OffPolicyConfig,
        generator: np.random.Generator,
        out: Path,
    ) -> None:
        """Prepare.

        Args:
            learner: what learns.
            replay: what happened.
            offline: recorded experience that each batch has its share of.
            config: the learner's settings.
            generator: draws the batches.
            out: folder for the state of a training that diverged.
        """
        self.updates = 0
        self._learner, self._replay, self._offline, self._config = learner, replay, offline, config
        self._recorded = offline.count(config.batch_size) if offline else 0
        self._generator, self._out = generator, out

    def advance(self, step: int, share: float) -> Iterator[Mapping[str, float]]:
        """All updates that are due; gives the losses of each.

        Args:
            step: control periods done.
            share: of the training that is done, 0 … 1.

        Raises:
            DivergedError: a loss is not finite; the message names the file with the state before the update and with the batch.
        """
        config = self._config
        due = int((step - config.learning_starts) * config.update_ratio) if step > config.learning_starts else 0
        rate = config.learning_rate_decay + (1 - config.learning_rate_decay) * (1 - share)
        drawn: list[Batch] = []

        def draw() -> Batch:
            drawn.append(self._batch())
            return drawn[-1]

        while self.updates < due:
            drawn.clear()
            try:
                losses = self._learner.update(draw, rate)
            except DivergedError as error:
                path = self._out / f"diverged_{step:09d}.safetensors"
                tensors = {f"learner.{name}": tensor for name, tensor in self._learner.state().items()}
                found = save_divergence(path, tensors, [batch.tensors() for batch in drawn], {"step": step, "updates": self.updates})
                raise DivergedError(f"{error} in update {self.updates + 1}; {found}") from None
            self.updates += 1
            yield losses

    def _batch(self) -> Batch:
        config = self._config
        batch = self._replay.sample(config.batch_size - self._recorded, config.gamma, config.n_step, self._generator)
        if self._offline:
            return mix(batch, self._offline.replay.sample(self._recorded, config.gamma, config.n_step, self._generator))
        return batch
