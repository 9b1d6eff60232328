"""How sure a fit is: standard deviations, block-bootstrap intervals, and a verdict for each parameter.

The covariance of least squares assumes that the model is right and that residuals are white; neither is. So windows are drawn again and again with
replacement, and the larger of both is told. In directions that the data do not determine, all that is known is the range: a uniform prior.

Of objects there are few windows, often one for each push. While what is left of them is noise, the noise tells how sure the fit is. Otherwise half
seconds are drawn again, and there are only as many degrees of freedom as there are more of them than parameters. And as few windows hardly contradict
each other, all widths are those of Student's t with as many degrees of freedom as there are more windows than parameters, 1 at least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from isthmus.records import Array
from isthmus_sim.identification.fit import Fit
from isthmus_sim.identification.linear import Linear
from isthmus_sim.identification.problem import Problem

__all__ = ["IDENTIFIED", "NOT_IDENTIFIABLE", "UNIFORM", "WEAK", "Estimates", "estimates", "plain_estimates", "verdict", "weak_directions"]

IDENTIFIED, WEAK, NOT_IDENTIFIABLE = "IDENTIFIED", "WEAK", "NOT IDENTIFIABLE"
_SURE, _UNSURE = 0.02, 0.25  # sd as a share of the range: below, identified; above, not identifiable
UNIFORM = 12.0
"""Precision of a uniform prior over a range of 1."""
_AT_BOUND = 1e-3  # of the range
_DRAWS = 400
_TOLD = 8  # trades at most, the strongest
_TRADE = 0.9  # correlation from which two parameters are said to trade

_ADVICE = {
    frozenset({"action_delay", "damping"}): "faster motion tells them apart: a delay lags more with frequency",
    frozenset({"action_delay", "armature"}): "faster motion tells them apart",
    frozenset({"damping", "frictionloss"}): "motion at several speeds, very slow ones among them, tells them apart",
    frozenset({"armature", "mass"}): "a second recording with a known payload, or other poses against gravity, tells them apart",
    frozenset({"gain", "mass"}): "a second recording with a known payload tells them apart",
    frozenset({"torque_scale", "mass"}): "a second recording with a known payload tells them apart",
    frozenset({"damping", "gain"}): "steps and fast motion together tell them apart",
    frozenset({"offset", "com_x"}): "poses far from each other against gravity tell them apart",
}


@dataclass(frozen=True, slots=True)
class Estimates:
    """What is known of each parameter, in the problem's order.

    Attributes:
        values: `[p]`.
        sd: standard deviation, `[p]`.
        low: of the 95 % interval, `[p]`.
        high: likewise.
        spread: largest distance of another minimum that fits as well, `[p]`.
        at_bound: whether it sits on a bound that was chosen, `[p]`.
        at_zero: whether it is 0 and cannot be less, as a friction, a rotor inertia or a delay, `[p]`.
        verdicts: one of the three words each.
        covariance: `[p, p]`.
        step_change: by how much half the physics step would move it, `[p]`.
    """

    values: Array
    sd: Array
    low: Array
    high: Array
    spread: Array
    at_bound: Array
    at_zero: Array
    verdicts: tuple[str, ...]
    covariance: Array
    step_change: Array

    @property
    def correlation(self) -> Array:
        """`[p, p]`."""
        deviation = np.sqrt(np.diag(self.covariance))
        return np.asarray(self.covariance / deviation[:, None] / deviation)


def estimates(
    problem: Problem, found: Fit, linear: Linear, finer: Array | None = None, *, pieces: int = 1, noisy: bool = False, seed: int = 0
) -> Estimates:
    """Judge a fit.

    Args:
        problem: what was unknown.
        found: by the fit.
        linear: the problem around it.
        finer: residual of half the physics step, projected likewise, `[W, M]`; None leaves that out.
        pieces: into which windows are divided where they are drawn again.
        noisy: whether noise is all that is left, so that it alone tells how sure the fit is.
        seed: of the draws.
    """
    span, size = problem.high - problem.low, len(problem.names)
    parts = [
        (slope, left)
        for slopes, residual in zip(linear.jacobian, linear.residual, strict=True)
        for slope, left in zip(np.array_split(slopes, pieces), np.array_split(residual, pieces), strict=True)
        if left.any()
    ]
    blocks = np.stack([slope.T @ slope for slope, _ in parts])
    slopes = np.stack([slope.T @ left for slope, left in parts])
    known = np.diag(linear.weights**2 + UNIFORM)
    plain = np.linalg.inv(blocks.sum(0) / max(linear.chi2, 1.0) + known)
    moves = _bootstrap(blocks, slopes, known, np.random.default_rng(seed))
    count = len(blocks)
    fitted = size if problem.objects_alone else 1
    if noisy:
        moves = np.random.default_rng(seed).multivariate_normal(np.zeros(size), plain, _DRAWS)
        count = 10**6
    freedom = max(count - fitted, 1)
    wider = float(student.ppf(0.975, freedom) / student.ppf(0.975, 1e6)) * np.sqrt(count / freedom)
    drawn = moves.var(0) * wider**2
    scale = np.sqrt(np.maximum(drawn, np.diag(plain)) / drawn)
    stretch = np.sqrt(np.maximum(drawn, np.diag(plain)) / np.diag(plain))
    covariance = plain * stretch[:, None] * stretch  # correlations of few windows drawn again would be those of the draw
    moved = np.zeros(len(span))
    if finer is not None:
        side = np.einsum("wmp,wm->p", linear.jacobian, finer - linear.residual)
        moved = -np.linalg.solve(blocks.sum(0) + known, side)
    covariance = covariance + np.diag(moved**2)
    sd = np.sqrt(np.diag(covariance))
    shares = (found.values - problem.low) / span
    middle = moves - moves.mean(0)
    low, high = (np.abs(np.percentile(middle, q, axis=0)) for q in (2.5, 97.5))
    low, high = (np.hypot(np.maximum(side * wider * scale, 0.0), 1.96 * np.abs(moved)) for side in (low, high))
    spread = np.abs((found.minima - found.values) / span).max(0)
    if problem.objects_alone:  # the region of what is as likely, where slopes say little
        stretch = np.maximum(0.5 * spread / sd, 1.0)
        sd = sd * stretch
        if len(found.minima) > 3 * size:
            covariance = np.atleast_2d(np.cov((found.minima - problem.low) / span, rowvar=False)) + np.diag(moved**2 + 1e-12)
        sd, low, high = (_alone(found.trust, len(linear.jacobian), size) * width for width in (sd, low, high))
        shape = sd / np.sqrt(np.diag(covariance))
        covariance = covariance * shape[:, None] * shape
        low, high = (np.maximum(side, (sign * (found.minima - found.values) / span).max(0)) for side, sign in ((low, -1), (high, 1)))
    least = np.array([problem.mechanism.table[name].low for name in problem.names])
    at_zero = (shares < _AT_BOUND) & (problem.low == 0) & (least == 0)
    at_bound = (shares < _AT_BOUND) & ~at_zero | (shares > 1 - _AT_BOUND)
    rows = zip(sd, spread, at_bound, at_zero, strict=True)
    verdicts = tuple(verdict(max(one, other), bound=bound, zero=zero) for one, other, bound, zero in rows)
    return Estimates(
        values=found.values,
        sd=sd * span,
        low=np.maximum(found.values - low * span, problem.low),
        high=np.minimum(found.values + high * span, problem.high),
        spread=spread * span,
        at_bound=at_bound,
        at_zero=at_zero,
        verdicts=verdicts,
        covariance=covariance * span[:, None] * span,
        step_change=moved * span,
    )


def _alone(trust: Array | None, count: int, size: int) -> float:
    """By how much intervals of so many parameters grow because few windows are there that could contradict each other."""
    windows = count if trust is None else float(trust.sum() ** 2 / (trust**2).sum())
    return float(student.ppf(0.975, max(windows - size, 1)) / student.ppf(0.975, 1e6))


def weak_directions(problem: Problem, known: Estimates) -> list[str]:
    """What trades with what, in sentences, with the motion that would tell them apart."""
    trades: list[tuple[float, str]] = []
    correlation = known.correlation
    names, units = problem.names, problem.units
    for one in range(len(names)):
        for two in range(one + 1, len(names)):
            weak = known.verdicts[one] != IDENTIFIED or known.verdicts[two] != IDENTIFIED
            if not weak or abs(correlation[one, two]) < _TRADE:
                continue
            step = _round(known.sd[one])
            trade = correlation[one, two] * known.sd[two] / known.sd[one] * step
            advice = _ADVICE.get(
                frozenset({names[one].rpartition(".")[2], names[two].rpartition(".")[2]}), "a motion of another kind may tell them apart"
            )
            sentence = f"{names[one]} and {names[two]} trade: {step:+.3g} {units[one]} is {trade:+.3g} {units[two]}; {advice}"
            trades.append((abs(float(correlation[one, two])), sentence))
    sentences = [sentence for _, sentence in sorted(trades, reverse=True)[:_TOLD]]
    for index in np.flatnonzero(known.at_zero).tolist():
        sentences.append(
            f"{names[index]} ended at 0, and cannot be less: it is at most {known.high[index]:.3g} {units[index]}, or something else takes its place"
        )
    for index, word in enumerate(known.verdicts):
        if word == NOT_IDENTIFIABLE and not any(names[index] in sentence for sentence in sentences):
            why = "it sits on a bound" if known.at_bound[index] else "this motion says nothing of it"
            sentences.append(f"{names[index]}: {why}; move what it acts on more, or take it out of the unknown ones")
    return sentences


def _bootstrap(blocks: Array, slopes: Array, known: Array, generator: np.random.Generator) -> Array:
    """How the solution moves when windows are drawn again, one linear step each, `[draws, p]`."""
    count, size = slopes.shape
    weights = generator.multinomial(count, np.full(count, 1 / count), size=_DRAWS)
    matrices = (weights @ blocks.reshape(count, -1)).reshape(-1, size, size) + known
    return np.asarray(-np.linalg.solve(matrices, (weights @ slopes)[..., None])[..., 0])


def verdict(share: float, *, bound: bool = False, zero: bool = False) -> str:
    """One of the three words.

    Args:
        share: standard deviation, or distance of another minimum, as a share of the range.
        bound: whether it sits on a bound that was chosen.
        zero: whether it is 0 and cannot be less.
    """
    if bound or share > _UNSURE:
        return NOT_IDENTIFIABLE
    return IDENTIFIED if share < _SURE and not zero else WEAK


def _round(value: float) -> float:
    """One significant digit."""
    return float(f"{value:.0e}")


def plain_estimates(problem: Problem, known: Estimates) -> Mapping[str, Any]:
    """By name, as in `result.json`."""
    rows = list(zip(problem.names, known.values, known.sd, known.low, known.high, known.verdicts, strict=True))
    return {
        "estimate": {name: float(value) for name, value, *_ in rows},
        "sd": {name: float(sd) for name, _, sd, *_ in rows},
        "interval": {name: [float(low), float(high)] for name, _, _, low, high, _ in rows},
        "verdict": {name: word for name, *_, word in rows},
        "unit": dict(zip(problem.names, problem.units, strict=True)),
        "bounds": {unknown.name: [unknown.low, unknown.high] for unknown in problem.unknown},
        "spread_over_starts": dict(zip(problem.names, known.spread.tolist(), strict=True)),
        "change_at_half_step": dict(zip(problem.names, known.step_change.tolist(), strict=True)),
        "correlation": known.correlation.tolist(),
    }
