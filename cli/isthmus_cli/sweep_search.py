"""The search of a sweep: Optuna's studies, kept in a file, so that a driver that dies loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus_cli.sweep_plan import Range, SweepPlan

__all__ = ["Search", "Suggestion"]

_NAME = "sweep"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A trial.

    Attributes:
        number: from 0.
        chosen: value per searched setting.
    """

    number: int
    chosen: Mapping[str, Any]


class Search:
    """Suggests settings, and learns from what came of them.

    Attributes:
        unfinished: trials that were suggested, but never concluded.
    """

    def __init__(self, plan: SweepPlan, file: Path) -> None:
        """Open the study.

        Args:
            plan: what is searched, and how.
            file: Optuna's journal; continued if it exists.
        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan, self._states = plan, optuna.trial.TrialState
        self._distributions = {name: _distribution(values) for name, values in plan.space.items()}
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(file))), study_name=_NAME, direction="maximize", load_if_exists=True
        )
        # A continued search draws anew, not what it drew at its beginning.
        seed = plan.seed + len(self._study.trials)
        self._study.sampler = (
            optuna.samplers.TPESampler(seed=seed, constant_liar=True) if plan.search == "tpe" else optuna.samplers.RandomSampler(seed=seed)
        )
        if plan.search == "grid":
            for values in plan.grid():
                self._study.enqueue_trial({name: _stored(plan.space[name], value) for name, value in values.items()}, skip_if_exists=True)
        self.unfinished = [self._suggestion(trial) for trial in self._study.trials if trial.state == self._states.RUNNING]

    @property
    def left(self) -> int:
        """Trials that are still to be suggested."""
        return self._plan.count - sum(trial.state != self._states.WAITING for trial in self._study.trials)

    def suggest(self) -> Suggestion:
        """The next trial."""
        return self._suggestion(self._study.ask(self._distributions))

    def conclude(self, number: int, value: float | None) -> None:
        """Tell what came of a trial; None if it failed."""
        if value is None:
            self._study.tell(number, state=self._states.FAIL)
        else:
            self._study.tell(number, value)

    def _suggestion(self, trial: Any) -> Suggestion:
        chosen = {name: json.loads(value) if self._plan.space[name].choice else value for name, value in trial.params.items()}
        return Suggestion(trial.number, {name: chosen[name] for name in self._plan.space})


def _distribution(values: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if values.choice:
        return CategoricalDistribution([_stored(values, value) for value in values.choice])
    if values.integer:
        return IntDistribution(*values.integer)
    return FloatDistribution(*values.ends, log=values.log_uniform is not None)


def _stored(values: Range, value: Any) -> Any:
    """A value as Optuna keeps it: choices as JSON, since a list, such as the widths of layers, is no category."""
    return json.dumps(value) if values.choice else value
