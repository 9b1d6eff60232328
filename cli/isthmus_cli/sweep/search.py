"""The search of a sweep: Optuna's studies, kept in a file, so that a driver that dies loses nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus_cli.sweep.plan import Range, SweepPlan

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
        # Optuna keeps a trial before it draws its settings, one by one: what a driver that died had not drawn is drawn now.
        running = [trial for trial in self._study.trials if trial.state == self._states.RUNNING]
        self.unfinished = [self._drawn(optuna.trial.Trial(self._study, trial._trial_id)) for trial in running]

    @property
    def left(self) -> int:
        """Trials that are still to be suggested."""
        return self._plan.count - sum(trial.state != self._states.WAITING for trial in self._study.trials)

    def suggest(self) -> Suggestion:
        """The next trial."""
        return self._drawn(self._study.ask())

    def conclude(self, number: int, value: float | None) -> None:
        """Tell what came of a trial; None if it failed."""
        if value is None:
            self._study.tell(number, state=self._states.FAIL)
        else:
            self._study.tell(number, value)

    def _drawn(self, trial: Any) -> Suggestion:
        return Suggestion(trial.number, {name: _draw(trial, name, values) for name, values in self._plan.space.items()})


def _draw(trial: Any, name: str, values: Range) -> Any:
    """A setting's value in a trial, drawn unless it is there already."""
    if values.choice:
        return json.loads(trial.suggest_categorical(name, [_stored(values, value) for value in values.choice]))
    if values.integer:
        return trial.suggest_int(name, *values.integer)
    return trial.suggest_float(name, *values.ends, log=values.log_uniform is not None)


def _stored(values: Range, value: Any) -> Any:
    """A value as Optuna keeps it: choices as JSON, since a list, such as the widths of layers, is no category."""
    return json.dumps(value) if values.choice else value
