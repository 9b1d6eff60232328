"""Speed of Signal Temporal Logic against stlcgpp (STLCG++) and rtamt, on one thread, in CPU time.

    always[0,50] (eventually[0,20] x > 0 and y < 1),  T = 200 samples

python benchmarks/stl.py [--record docs/results/logic.json]
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rivals import Recorder

from isthmus_controllers import stl

TEXT = "always[0,50] (eventually[0,20] x > 0 and y < 1)"
SAMPLES, BATCH = 200, 256
TEMPERATURE = 0.05
_SECONDS = 3.0  # of each measurement


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="file of figures to write")
    record = Recorder(parser.parse_args().record, "stlcgpp", "rtamt")
    torch.set_num_threads(1)
    phi = stl.parse(TEXT)
    draw = np.random.default_rng(0)
    arrays = {name: np.cumsum(draw.normal(size=(BATCH, SAMPLES)), axis=1) * 0.1 for name in ("x", "y")}
    tensors = {name: torch.from_numpy(values).float() for name, values in arrays.items()}
    single = {name: values[:1] for name, values in arrays.items()}
    print(f"load {os.getloadavg()[0]:.2f}; {TEXT}, {SAMPLES} samples; CPU time, median")
    print(f"{'what':52} {'here':>10} {'peer':>10} {'ratio':>7} {'target':>16}")

    soft = {"mode": "logsumexp", "temperature": TEMPERATURE}
    peer = _stlcgpp(tensors)
    ours = timed(lambda: stl.robustness(phi, tensors, **soft))
    theirs = timed(peer) if peer else None
    show(f"robustness, smooth, batch {BATCH}, torch", ours, theirs, "<= 25 ms, 20x", record)
    ours = timed(lambda: _backward(tensors, lambda held: stl.robustness(phi, held, **soft)))
    theirs = timed(lambda: _backward(tensors, _stlcgpp)) if peer else None
    show("  and its gradient", ours, theirs, "<= 60 ms, 20x", record)
    ours = timed(lambda: stl.trace(phi, tensors, **soft))
    show("  at every start time that fits", ours, None, "", record)
    show(f"robustness, exact, batch {BATCH}, numpy", timed(lambda: stl.robustness(phi, arrays)), None, "", record)
    offline = _rtamt_offline(single)
    show(
        "robustness, exact, batch 1, numpy",
        timed(lambda: stl.robustness(phi, single)),
        timed(offline) if offline else None,
        "<= 0.2 ms",
        record,
    )
    online = _rtamt_online(single)
    show(
        "monitor, per sample",
        timed(_monitored(phi, single)) / phi.horizon,
        timed(online) / SAMPLES if online else None,
        "<= 0.020 ms",
        record,
    )
    return 0


def timed(action: Callable[[], Any]) -> float:
    """Median CPU time, s."""
    action()
    times: list[float] = []
    end = time.monotonic() + _SECONDS
    while len(times) < 5 or time.monotonic() < end:
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return statistics.median(times)


def show(what: str, ours: float, theirs: float | None, target: str, record: Recorder) -> None:
    """One line."""
    here, (peer, ratio) = f"{ours * 1e3:.3f} ms", ("", "") if theirs is None else (f"{theirs * 1e3:.3f} ms", f"{theirs / ours:.1f}x")
    print(f"{what:52} {here:>10} {peer:>10} {ratio:>7} {target:>16}".rstrip(), flush=True)
    record.line(what.strip(), here, peer, ratio, target)


def _backward(tensors: dict[str, Any], robustness: Callable[[dict[str, Any]], Any]) -> None:
    held = {name: values.clone().requires_grad_() for name, values in tensors.items()}
    found = robustness(held)
    (found() if callable(found) else found).sum().backward()


def _monitored(phi: stl.Formula, single: dict[str, Any]) -> Callable[[], None]:
    samples = [{name: float(values[0, t]) for name, values in single.items()} for t in range(phi.horizon)]

    def run() -> None:
        monitor = stl.Monitor(phi)
        for sample in samples:
            monitor.update(sample)

    return run


def _stlcgpp(tensors: dict[str, Any]) -> Callable[[], Any] | None:
    """The same formula in STLCG++, batched by vmap, as its authors advise."""
    try:
        from stlcgpp.formula import Always, And, Eventually, GreaterThan, LessThan, Predicate
    except ImportError:
        return None
    x, y = Predicate("x", lambda signal: signal[..., 0]), Predicate("y", lambda signal: signal[..., 1])
    phi = Always(And(Eventually(GreaterThan(x, 0.0), interval=[0, 20]), LessThan(y, 1.0)), interval=[0, 50])
    signals = torch.stack([tensors["x"], tensors["y"]], -1)

    def robustness(signal: Any) -> Any:
        return phi.robustness(signal, approx_method="logsumexp", temperature=1 / TEMPERATURE)

    return lambda: torch.vmap(robustness)(signals)


def _rtamt_offline(single: dict[str, Any]) -> Callable[[], Any] | None:
    try:
        import rtamt
    except ImportError:
        return None
    specification = rtamt.StlDiscreteTimeOfflineSpecification()
    _declare(specification)
    specification.parse()
    dataset = {"time": list(range(SAMPLES)), **{name: values[0].tolist() for name, values in single.items()}}
    return lambda: specification.evaluate(dataset)


def _rtamt_online(single: dict[str, Any]) -> Callable[[], Any] | None:
    try:
        import rtamt
    except ImportError:
        return None
    specification = rtamt.StlDiscreteTimeOnlineSpecification()
    _declare(specification)
    specification.parse()
    specification.pastify()
    samples = [[(name, float(values[0, t])) for name, values in single.items()] for t in range(SAMPLES)]

    clock = itertools.count()  # its reset does not work in this version, so the stream goes on

    def run() -> None:
        for sample in samples:
            specification.update(next(clock), sample)

    return run


def _declare(specification: Any) -> None:
    for name in ("x", "y"):
        specification.declare_var(name, "float")
    specification.spec = "always[0,50]((eventually[0,20](x > 0)) and (y < 1))"


if __name__ == "__main__":
    sys.exit(main())
