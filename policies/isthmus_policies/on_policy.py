"""The half of an on-policy training that learns: from each rollout, in a few epochs of minibatches, whenever one is full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from isthmus_policies.divergence import save_divergence
from isthmus_policies.learner import DivergedError
from isthmus_policies.ppo import Ppo
from isthmus_policies.rollout import Rollout

__all__ = ["OnPolicyUpdater"]


class OnPolicyUpdater:
    """Has the learner learn from full rollouts.

    Attributes:
        updates: done so far.
    """

    def __init__(self, learner: Ppo, rollout: Rollout, generator: np.random.Generator, out: Path) -> None:
        """Prepare.

        Args:
            learner: what learns.
            rollout: what happened.
            generator: shuffles.
            out: folder for the state of a training that diverged.
        """
        self.updates = 0
        self._learner, self._rollout, self._generator, self._out = learner, rollout, generator, out

    def advance(self, step: int, share: float) -> Iterator[Mapping[str, float]]:
        """All updates of a rollout that has become full; gives the losses of each. See `Updater.advance`."""
        if not self._rollout.full:
            return
        try:
            for losses in self._learner.learn(self._rollout, self._generator, share):
                self.updates += 1
                yield losses
        except DivergedError as error:
            tensors = {f"learner.{name}": tensor for name, tensor in self._learner.state().items()}
            found = save_divergence(
                self._out / f"diverged_{step:09d}.safetensors", tensors, [self._rollout.state()], {"step": step, "updates": self.updates}
            )
            raise DivergedError(f"{error} in update {self.updates + 1}; {found}") from None
        self._rollout.clear()
