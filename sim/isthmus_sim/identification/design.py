"""Excitation before data: which motion, of those that a robot may make, tells most of the unknown parameters.

The information of a motion is that of the fit itself: derivatives of what would be measured, in multiples of its noise, over the same windows and
without what their initial states explain. A prior, uniform over the bounds, keeps the determinant finite where nothing is known (D-optimality with a
ridge; "a" is the trace of the expected covariance). Amplitudes, phases and size of a sum of sines are searched by cross-entropy, a batch at a time.
The information is that at one set of parameters; what it promises is a lower bound, so identify simulated logs of other sets before trusting it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.kinds.excitation import MultiSine
from isthmus.records import Array
from isthmus_sim.explosions import quiet_mujoco
from isthmus_sim.identification.course import Course, placeholder, played, sines, violation
from isthmus_sim.identification.estimate import UNIFORM, verdict
from isthmus_sim.identification.identify import WINDOW
from isthmus_sim.identification.linear import differences, free_starts
from isthmus_sim.identification.mechanism import Target
from isthmus_sim.identification.problem import ParameterFile, Problem, make_problem
from isthmus_sim.identification.rollouts import Rollouts
from isthmus_sim.identification.windows import cut_windows

__all__ = ["CRITERIA", "NOISE", "Design", "DesignOptions", "design"]

CRITERIA = ("d", "a")
NOISE = {"position": 2e-4, "velocity": 0.02, "effort": 0.2}
"""Of what will be measured, rad, rad/s and N·m (m, m/s, N): an encoder of 14 bit, and a velocity as drives report it."""
_ELITE = 0.25
_BAND = (0.15, 2.0)  # Hz
_LEAST = 2  # periods of the slowest sine in a motion
_INSIDE = 0.05  # of the range: how far inside its bounds the model stands


@dataclass(frozen=True, slots=True)
class DesignOptions:
    """How to search.

    Attributes:
        duration: of a motion, s.
        harmonics: number of sines of each joint.
        criterion: "d" or "a".
        population: motions that are simulated at once.
        rounds: of these.
        seed: of the search.
    """

    duration: float = 15.0
    harmonics: int = 5
    criterion: str = "d"
    population: int = 16
    rounds: int = 6
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Design:
    """What was found; p parameters.

    Attributes:
        problem: with the two designed motions as logs, as the model makes them.
        motion: to be recorded and fitted.
        validation: to be recorded and predicted: other frequencies.
        naive: one sine, the same in every joint, for comparison.
        sd: expected after `motion`, `[p]`.
        naive_sd: after `naive`, `[p]`.
        verdicts: that are expected.
    """

    problem: Problem
    motion: MultiSine
    validation: MultiSine
    naive: MultiSine
    sd: Array
    naive_sd: Array
    verdicts: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As in `design.json`."""
        names = self.problem.names
        return {
            "expected_sd": dict(zip(names, self.sd.tolist(), strict=True)),
            "expected_sd_of_one_sine": dict(zip(names, self.naive_sd.tolist(), strict=True)),
            "expected_verdict": dict(zip(names, self.verdicts, strict=True)),
            "unit": dict(zip(names, self.problem.units, strict=True)),
            "bounds": {unknown.name: [unknown.low, unknown.high] for unknown in self.problem.unknown},
            "assumed_noise": NOISE,
            "frequencies": {"motion": list(self.motion.frequency), "validation": list(self.validation.frequency)},
        }


@quiet_mujoco()
def design(
    target: Target,
    file: ParameterFile,
    course: Course,
    options: DesignOptions,
    *,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Design:
    """Search for the motion.

    Args:
        target: task, robot or model file.
        file: what is unknown, and what will be measured; without `signals`, positions and velocities.
        course: what the motion may use.
        options: how to search.
        threads: of the engine.
        progress: told of each round.

    Raises:
        ValueError: no motion within the limits was found, or a parameter is identified by none; the message names it.
    """
    tell = progress or (lambda done, total, news: None)
    search = _Search(target, file, course, options, threads)
    slowest = max(_BAND[0], _LEAST / options.duration)
    frequency = np.geomspace(slowest, max(_BAND[1], 2 * slowest), options.harmonics)
    generator = np.random.default_rng(options.seed)
    naive = search.plain(float(np.sqrt(frequency[0] * frequency[-1])))
    motion = search.best(frequency, generator, options.rounds, lambda done: tell(done, options.rounds + 1, "motion"))
    between = np.array(motion.frequency) * np.sqrt(frequency[1] / frequency[0])
    validation = search.best(between, generator, 1, lambda done: None, shift=False)
    tell(options.rounds + 1, options.rounds + 1, "")
    problem = search.problem([motion, validation])
    spread = [search.deviation([wave])[0] for wave in (motion, naive)]
    span = problem.high - problem.low
    words = tuple(verdict(share) for share in spread[0])
    if lost := [name for name, word in zip(problem.names, words, strict=True) if word == "NOT IDENTIFIABLE"]:
        raise ValueError(
            f"no motion within these limits identifies {', '.join(lost)}: take it out of the unknown ones, narrow its bounds, or allow more motion"
        )
    logs = played(problem, search.values)
    return Design(replace(problem, logs=tuple(logs)), motion, validation, naive, spread[0] * span, spread[1] * span, words)


class _Search:
    """Motions, their information, and the best of them."""

    def __init__(self, target: Target, file: ParameterFile, course: Course, options: DesignOptions, threads: int | None) -> None:
        self._target, self._course, self._options, self._threads = target, course, options, threads
        self._file = replace(file, unknown=tuple(replace(unknown, logs=()) for unknown in file.unknown))
        self._kinds = ["position", *(kind for kind in ("velocity", "effort") if file.signals is None or kind in file.signals.joints)]
        if file.signals is None:
            self._kinds = self._kinds[:2]
        first = self.problem([self.plain(1.0)])
        self.values = first.values_of(np.clip(first.shares_of(first.nominal), _INSIDE, 1 - _INSIDE))

    def problem(self, waves: list[MultiSine]) -> Problem:
        """With a log of each motion, not yet simulated."""
        return make_problem(self._target, self._file, placeholder(self._course, waves))

    def plain(self, frequency: float) -> MultiSine:
        """One sine, the same in every joint."""
        joints = len(self._course.base)
        return sines(self._course, np.array([frequency]), np.ones((joints, 1)), np.zeros((joints, 1)), self._options.duration)

    def best(
        self, frequency: Array, generator: np.random.Generator, rounds: int, tell: Callable[[int], None], *, shift: bool = True
    ) -> MultiSine:
        """By cross-entropy over amplitudes, phases, size and, where they may shift together, frequencies."""
        size = (len(self._course.base), len(frequency))
        count = size[0] * size[1]
        middle = np.concatenate([np.zeros(count), generator.uniform(-np.pi, np.pi, count), [1.0, 0.0]])
        spread = np.concatenate([np.full(count, 0.8), np.full(count, 2.0), [0.6, 0.5 if shift else 0.0]])
        found: tuple[float, MultiSine | None, str] = (-np.inf, None, "")
        for done in range(rounds):
            drawn = middle + spread * generator.standard_normal((self._options.population, len(middle)))
            drawn[0] = middle
            waves = [
                sines(
                    self._course,
                    np.maximum(frequency * np.exp(row[-1]), _LEAST / self._options.duration),
                    np.exp(row[:count]).reshape(size),
                    row[count:-2].reshape(size),
                    self._options.duration,
                    float(1 / (1 + np.exp(-2 * row[-2]))),
                )
                for row in drawn
            ]
            scores, broken = self._scores(waves)
            order = np.argsort(-scores)
            best = int(order[0])
            if scores[best] > found[0] or found[1] is None:
                found = (float(scores[best]), waves[best] if np.isfinite(scores[best]) else None, broken)
            elite = drawn[order[: max(int(_ELITE * len(drawn)), 2)]]
            middle, spread = elite.mean(0), 0.5 * spread + 0.5 * elite.std(0)
            tell(done + 1)
        if found[1] is None:
            raise ValueError(
                f"no motion within the limits was found: the {found[2]} is not kept; give a smaller --travel, or another home pose"
            )
        return found[1]

    def deviation(self, waves: list[MultiSine]) -> Array:
        """Expected standard deviations as shares of the ranges, `[n, p]`."""
        return np.stack([np.sqrt(np.diag(np.linalg.inv(matrix))) for matrix in self._information(self._played(waves))])

    def _played(self, waves: list[MultiSine]) -> Problem:
        problem = self.problem(waves)
        return replace(problem, logs=tuple(played(problem, self.values, self._threads)))

    def _scores(self, waves: list[MultiSine]) -> tuple[Array, str]:
        """-inf for motions that do not keep the limits, and what one of them does not keep."""
        problem = self._played(waves)
        broken = [violation(self._course, problem, log) for log in problem.logs]
        scores = []
        for matrix, why in zip(self._information(problem), broken, strict=True):
            value = np.linalg.slogdet(matrix)[1] if self._options.criterion == "d" else -np.trace(np.linalg.inv(matrix))
            scores.append(-np.inf if why else float(value))
        return np.array(scores), next((why for why in broken if why), "")

    def _information(self, problem: Problem) -> list[Array]:
        """Of each log and the prior, `[p, p]` each."""
        count = len(self._course.base)
        noise = {kind: np.full(count, NOISE[kind]) for kind in self._kinds}
        windows = cut_windows(problem.logs, noise, WINDOW[problem.mechanism.mode])
        rollouts = Rollouts(problem, threads=self._threads)
        starts = rollouts.starts(windows)
        free = free_starts(rollouts, windows, self.values, starts)
        _, slopes = differences(rollouts, windows, starts, problem.shares_of(self.values), free)
        blocks = np.einsum("wmp,wmq->wpq", slopes, slopes)
        ridge = np.diag(np.full(len(self.values), UNIFORM))
        return [blocks[windows.log == number].sum(0) + ridge for number in range(len(problem.logs))]
