"""The training of all off-policy learners, from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from isthmus.artifact import Artifact
from isthmus.policy import Policy
from isthmus_policies.environment import LostError, TrainingEnv
from isthmus_policies.interruption import interruption
from isthmus_policies.learner import Learner, LearnerConfig
from isthmus_policies.offline import Offline
from isthmus_policies.outcome import Evaluation, Progress, TrainingResult
from isthmus_policies.session import Session

__all__ = ["train"]


def train(
    learner: Learner,
    env: TrainingEnv,
    evaluate: Callable[[Policy], Evaluation],
    out: Path,
    *,
    config: LearnerConfig,
    seed: int,
    resume: bool = False,
    progress: Progress | None = None,
    git: str = "",
    notes: Mapping[str, Any] | None = None,
    film: Callable[[Policy, int], None] | None = None,
    film_every: int = 1,
    offline: Offline | None = None,
    experienced: bool = False,
) -> TrainingResult:
    """Train, keeping the best policy of the periodic evaluations.

    Ends after `config.steps` control periods, or with the first evaluation that reaches the target of `config`, whose policy is then the result.
    Ctrl-C or SIGTERM ends it after the control period in which it comes, with a checkpoint of that moment; a second one ends it at once, without.

    Leaves in `out`: `policy.isthmus` (best), `last.isthmus`, `checkpoints/`, `metrics.jsonl` (evaluations), `training.jsonl`, `tensorboard/` and
    `config.json`.

    Args:
        learner: what learns; new, or just made with the same settings as the one that is resumed.
        env: where it learns.
        evaluate: scores an exported policy on episodes of its own.
        out: folder, created if missing.
        config: the learner's settings.
        seed: of warm-up, replay and episodes.
        resume: continue from the newest checkpoint in `out`, if there is one; `config.steps` may be more than at its beginning.
        progress: told about every step.
        git: state of the source tree, for the manifest.
        notes: what else makes it this training, such as engine and randomisation; plain data. The manifest says it, and a resumed training has the
            same.
        film: films an exported policy; told the control periods done.
        film_every: control periods between two films.
        offline: recorded experience that each batch has its share of.
        experienced: the learner starts from a policy that was trained before, and makes the first actions itself instead of at random.

    Raises:
        ValueError: `out` holds another training, or evaluations without a checkpoint, a checkpoint is damaged, or an exported graph differs from the
            trained one.
        OSError: a file cannot be written.
        DivergedError: a loss is not finite; the message names the file with the state before the update and with the batch.
        LostError: the environment cannot go on; there is a checkpoint of that moment.
    """
    # Gradients that do not depend on each other have threads of their own; within one, more threads are slower at this size.
    torch.set_num_threads(1)
    session = Session(learner, env, evaluate, out, config, seed, progress, git, notes or {}, offline, experienced)
    with interruption() as heard:
        resumed = session.begin(resume)
        try:
            while not session.finished and not heard.asked:
                session.advance(lambda: heard.asked)
                if film and session.due(film_every):
                    film(session.export().policy(), session.step)
            session.keep()
        except LostError:
            session.keep()
            raise
        finally:
            session.close()
        interrupted = not session.finished
        last, policy = out / "last.isthmus", out / "policy.isthmus"
        # An interrupted training that was resumed from an older checkpoint leaves what it has not come to again.
        if not (interrupted and resumed and _is_ahead(last, session.step)):
            session.export().save(last)
        if session.selection.best is None and not (resumed and _is_ahead(policy, session.step)):
            session.export().save(policy)
    return TrainingResult(policy, session.step, session.selection.best, interrupted, session.checkpoint, session.selection.reached)


def _is_ahead(policy: Path, step: int) -> bool:
    """Whether a policy comes from a step that a resumed training has not come to again."""
    return policy.exists() and Artifact.load(policy).training["steps"] > step
