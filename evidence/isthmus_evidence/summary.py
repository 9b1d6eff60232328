"""Sums up episodes, wherever they ran: scores with intervals, ends, motion and the specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, cast

import numpy as np

from isthmus.motion import Motion
from isthmus_controllers.stl import Judgement
from isthmus_evidence.motions import motion_summary
from isthmus_evidence.sequential import SequentialTest
from isthmus_evidence.specification import plain_judgement, satisfaction
from isthmus_evidence.statistics import mean_interval, success_interval

__all__ = ["summarize"]

_ENDS = {  # attributes of results, the first one that is set counts
    "diverged": "exploded",
    "invalid": "not finite",
    "stopped_by_guard": "stopped by the guard",
    "fallen": "fallen",
}


class ScoredEpisode(Protocol):
    """What is needed of an episode's result, a dataclass, wherever it ran; more attributes are passed on.

    Attributes:
        seed: of its start state and inputs.
        total_reward: undiscounted return.
        success: whether it counts as a success; None where nothing says so.
        steps: control periods until its end.
    """

    @property
    def seed(self) -> int: ...
    @property
    def total_reward(self) -> float: ...
    @property
    def success(self) -> bool | None: ...
    @property
    def steps(self) -> int: ...


def summarize(
    task: str,
    plant: str,
    seed: int,
    results: Sequence[ScoredEpisode],
    cadence: Mapping[str, Any],
    *,
    episode_steps: int,
    motions: Sequence[Motion] = (),
    unit: str = "",
    specification: str = "",
    judgements: Sequence[Judgement] = (),
    until: SequentialTest | None = None,
) -> dict[str, Any]:
    """Sum up episodes, wherever they ran.

    Args:
        task: name.
        plant: name.
        seed: of the first episode.
        results: one per episode.
        cadence: summary of the loop's times.
        episode_steps: control periods of an episode that nothing ends.
        motions: one per episode; none where nobody recorded them.
        unit: of the action, see `isthmus.signals.Signal`.
        specification: formula that was judged by, "" for none.
        judgements: one per episode, likewise.
        until: the test that decided how many episodes there are, None for none; the interval of the success rate is then the test's.

    Returns:
        plain data: `task`, `plant`, `seed`, `episodes`, `return` and `success` with 95 % intervals, `ends`, `motion`, `cadence`, `per_episode`.
        `success` is None if no episode says whether it was one; `ends` counts why episodes ended; `motion` is
        `isthmus_evidence.motions.motion_summary`, None without motions. With a specification there is `specification`, see
        `isthmus_evidence.specification.satisfaction`; with a test `until`, see `SequentialTest.plain`.

    Raises:
        ValueError: there is no episode, or a return is not finite.
    """
    for result in results:
        if not np.isfinite(result.total_reward):
            raise ValueError(
                f"the return of the episode with seed {result.seed} is {result.total_reward}; whoever runs episodes must end such a row"
            )
    returns = np.array([result.total_reward for result in results])
    successes = [result.success for result in results if result.success is not None]
    low, high = mean_interval(returns)
    success = None
    if successes:
        rate_low, rate_high = (until.interval if until else success_interval)(sum(successes), len(successes))
        success = {"rate": sum(successes) / len(successes), "low": rate_low, "high": rate_high}
    episodes = [_plain(result) for result in results]
    for name, told in (
        ("motion", [asdict(motion) for motion in motions]),
        ("specification", [plain_judgement(judged) for judged in judgements]),
    ):
        for episode, own in zip(episodes, told, strict=bool(told)):
            episode[name] = own
    return {
        "task": task,
        "plant": plant,
        "seed": seed,
        "episodes": len(results),
        "return": {"mean": float(returns.mean()), "low": low, "high": high},
        "success": success,
        "ends": dict(Counter(_end(episode, episode_steps) for episode in episodes)),
        "motion": motion_summary(motions, unit) if motions else None,
        **({"specification": satisfaction(specification, judgements)} if judgements else {}),
        **({"until": until.plain(sum(successes), len(successes))} if until else {}),
        "cadence": dict(cadence),
        "per_episode": episodes,
    }


def _plain(result: ScoredEpisode) -> dict[str, Any]:
    values = asdict(cast(Any, result))
    values.pop("judgement", None)  # told as `specification`
    return {"seed": values.pop("seed"), "return": values.pop("total_reward"), **values}


def _end(episode: Mapping[str, Any], longest: int) -> str:
    """Why an episode ended."""
    usual = "time limit" if episode["steps"] >= longest else "ended early"
    return next((end for name, end in _ENDS.items() if episode.get(name)), usual)
