"""Coverage of 95 % intervals of a mean: how often do they hold the true one?

`python benchmarks/intervals.py [--record docs/results/intervals.json]` draws many evaluations of n episodes from returns whose mean is known, and
counts. Returns are normal; skewed, minus a log-normal; or of a policy that fails in a tenth of its episodes, which then earn far less. Below are the
interquartile mean over seeds, of normal scores, and the difference of paired success rates, as `isthmus_evidence.statistics` makes their intervals.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap, t

from isthmus_evidence.results import Results
from isthmus_evidence.statistics import CONFIDENCE, RESAMPLES, interquartile_mean, paired_rate_interval

_SIZES = (5, 10, 20, 50, 100)
_METHODS = ("percentile", "BCa", "bootstrap-t", "Student's t")


def main() -> None:
    """Print a row per distribution and number of episodes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=2000, help="of each kind")
    parser.add_argument("--resamples", type=int, default=RESAMPLES // 5, help="of each bootstrap")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results, concerns = Results(arguments.record) if arguments.record else None, ("intervals",)
    draw = np.random.default_rng(0)
    print(f"{'returns':12} {'episodes':>8}  " + "  ".join(f"{method:>18}" for method in _METHODS) + "     coverage and mean width")
    for kind, mean in (("normal", 0.0), ("skewed", -np.exp(0.5)), ("failing", 0.9 * 112 + 0.1 * 30)):
        for size in _SIZES:
            samples = _returns(kind, draw, (arguments.evaluations, size))
            cells = []
            for method in _METHODS:
                low, high = _interval(method, samples, arguments.resamples, draw)
                held, width = (low <= mean) & (mean <= high), np.median(high - low)
                cells.append(f"{held.mean():9.3f} {width:8.2f}")
                if results:
                    row = {"kind": kind, "size": size, "method": method, "held": float(held.mean()), "width": float(width)}
                    results.add(f"{kind} | {size} | {method}", row, concerns)
            print(f"{kind:12} {size:8d}  " + "  ".join(cells), flush=True)
    print(f"\n{'interquartile mean':20} {'seeds':>8}  coverage")
    for size in (3, 5, 10, 20):
        _, low, high = interquartile_mean(draw.normal(size=(size, arguments.evaluations)))
        share = float(((low <= 0) & (high >= 0)).mean())
        print(f"{'normal':20} {size:8d}  {share:.3f}", flush=True)
        if results:
            results.add(
                f"interquartile mean | {size}", {"what": "interquartile mean", "kind": "normal", "size": size, "held": share}, concerns
            )
    print(f"\n{'paired rates':20} {'episodes':>8}  coverage")
    for shares in ((0.85, 0.10, 0.02, 0.03), (0.6, 0.2, 0.1, 0.1), (0.95, 0.02, 0.01, 0.02)):
        for size in _SIZES:
            counts = draw.multinomial(size, shares, arguments.evaluations)
            found = np.array([paired_rate_interval(*row) for row in counts.tolist()])
            held = (found[:, 0] <= shares[1] - shares[2]) & (shares[1] - shares[2] <= found[:, 1])
            print(f"{shares!s:20} {size:8d}  {held.mean():.3f}", flush=True)
            if results:
                row = {"what": "paired rates", "kind": "shares " + ", ".join(map(str, shares)), "size": size, "held": float(held.mean())}
                results.add(f"paired rates | {shares} | {size}", row, concerns)


def _returns(kind: str, draw: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    if kind == "normal":
        return draw.normal(size=shape)
    if kind == "skewed":
        return -draw.lognormal(size=shape)
    return np.where(draw.random(shape) < 0.1, draw.normal(30, 10, shape), draw.normal(112, 5, shape))


def _interval(method: str, samples: np.ndarray, resamples: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the intervals of samples `[evaluations, n]`."""
    size = samples.shape[1]
    mean, error = samples.mean(1), samples.std(1, ddof=1) / np.sqrt(size)
    if method == "Student's t":
        reach = t.ppf((1 + CONFIDENCE) / 2, size - 1) * error
        return mean - reach, mean + reach
    if method == "bootstrap-t":
        found = np.empty((resamples, len(samples)))
        for number in range(resamples):
            again = samples[:, draw.integers(0, size, size)]
            spread = again.std(1, ddof=1) / np.sqrt(size)
            found[number] = (again.mean(1) - mean) / np.where(spread > 0, spread, np.inf)
        low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        return mean - high * error, mean - low * error
    result = bootstrap(
        (samples,), np.mean, axis=1, n_resamples=resamples, batch=20, confidence_level=CONFIDENCE, method=method, vectorized=True, rng=draw
    ).confidence_interval
    return result.low, result.high


if __name__ == "__main__":
    main()
