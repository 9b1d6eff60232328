"""Randomisation files: strict YAML in, the same YAML out.

```yaml
parameters:                                                          # name or pattern → unit (optional, checked) and one distribution
  payload: {unit: kg, uniform: {low: 0.0, high: 2.0}}
  "*.damping": {log_uniform: {low: 0.1, high: 10.0}}
  gravity: {normal: {mean: 9.81, sd: 0.02}}                          # cut at the valid range; low and high cut nearer
  push_x: {discrete: {values: [-20, 0, 20], weights: [1, 8, 1]}}
  joint_damping: {curriculum: {start: [0, 0], end: [0, 3], until: 0.5}}
  action_delay: {latency: {report: robot.json, series: work_ms}}     # a cadence report: `isthmus eval --json`
  puck.com_x: {estimate: {value: 0.01, interval: [0.0, 0.02]}}       # what calibration writes
correlated:                                                          # or this, where its estimates depend on each other
  - {names: [puck.mass, puck.friction], mean: [0.31, 0.4], covariance: [[1.0e-4, 2.0e-5], [2.0e-5, 4.0e-4]], units: [kg, "1"]}
appearance: {lights: [1, 3], camera_position: 0.02}                  # what cameras see: `isthmus_sim.appearance.AppearanceRanges`
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus.files import write_whole
from isthmus_sim.appearance import AppearanceRanges
from isthmus_sim.parameters import Parameter
from isthmus_sim.randomization.distributions import DISTRIBUTIONS
from isthmus_sim.randomization.gaussian import Correlated
from isthmus_sim.randomization.measured import Latency
from isthmus_sim.randomization.randomization import Entry, Randomization

__all__ = ["load_randomization", "read_latency", "save_randomization", "with_cadence"]

_PARTS = ("parameters", "correlated", "appearance")
_DELAY = "action_delay"
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def load_randomization(path: Path) -> Randomization:
    """Read a file; cadence reports that it names are read, too, and become part of it.

    Args:
        path: YAML; the paths in it are relative to its folder.

    Raises:
        ValueError: not strict YAML, an unknown key, or numbers that are no distribution; the message names the place.
        OSError: the file or a report cannot be read.
    """
    data = strict.load_yaml(path)
    if not isinstance(data, Mapping) or not data:
        raise ValueError(f"{path} must have the keys {', '.join(_PARTS)}, or some of them")
    for key in data:
        if key not in _PARTS:
            raise ValueError(f"{path}: unknown key {key!r}; {strict.suggest(str(key), _PARTS)}")
    parameters = strict.decode(dict[str, Any], data.get("parameters", {}), f"{path}: parameters")
    entries = tuple(_entry(name, content, f"{path}: parameters.{name}", path.parent) for name, content in parameters.items())
    correlated = strict.decode(tuple[Correlated, ...], data.get("correlated", ()), f"{path}: correlated")
    appearance = strict.decode(AppearanceRanges, data["appearance"], f"{path}: appearance") if "appearance" in data else None
    try:
        return Randomization(entries, correlated, appearance)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def save_randomization(randomization: Randomization, path: Path, comment: str = "") -> None:
    """Write a file that `load_randomization` reads back as the same.

    Args:
        randomization: what to write.
        path: replaced if it exists.
        comment: lines for its head, such as where the numbers come from.

    Raises:
        OSError: the file cannot be written.
    """
    import yaml

    head = "".join(f"# {line}\n" for line in comment.splitlines())
    write_whole(path, head + yaml.safe_dump(randomization.plain(), sort_keys=False, allow_unicode=True, width=140))


def read_latency(path: Path, series: str) -> Latency:
    """The times of a loop from its cadence report.

    Below the median a report only knows the minimum; one without it is taken to begin at 0.

    Args:
        path: JSON of `isthmus eval --json`, or of `Cadence.summary`.
        series: `work_ms`, `inference_ms` or `lateness_ms`.

    Raises:
        ValueError: not a cadence report, or it has no such series; the message lists those that it has.
        OSError: the report cannot be read.
    """
    report = strict.load_json(path.read_bytes(), str(path))
    cadence = report.get("cadence", report) if isinstance(report, Mapping) else {}
    known = [name for name, times in cadence.items() if isinstance(times, Mapping) and set(_QUANTILES) <= set(times)]
    if series not in known:
        raise ValueError(f"{path} has no times {series!r}; {strict.suggest(series, known)}")
    times = strict.decode(dict[str, float], cadence[series], f"{path}: {series}")
    try:
        return Latency(
            (0.0, *_QUANTILES.values()), tuple(value / 1e3 for value in (times.get("min", 0.0), *(times[name] for name in _QUANTILES)))
        )
    except ValueError as error:
        raise ValueError(f"{path}: {series}: {error}") from None


def with_cadence(randomization: Randomization | None, report: Path, parameters: Mapping[str, Parameter]) -> Randomization:
    """The delay that a loop was measured to have, from wake-up until its command was written, drawn for each episode on top of the robot's own.

    Args:
        randomization: what else is drawn; what it says of the delay itself is left out.
        report: cadence report, see `read_latency`.
        parameters: of the task.

    Raises:
        ValueError: not a cadence report, or the task has no delay of commands.
        OSError: the report cannot be read.
    """
    if _DELAY not in parameters:
        raise ValueError(f"a cadence becomes parameter {_DELAY!r}, which this task does not have")
    measured = read_latency(report, "work_ms")
    own = parameters[_DELAY].nominal
    entry = Entry(_DELAY, Latency(measured.probabilities, tuple(own + time for time in measured.times)), "s")
    known = randomization or Randomization()
    return replace(known, entries=(*(other for other in known.entries if other.pattern != _DELAY), entry))


def _entry(name: str, content: Any, where: str, folder: Path) -> Entry:
    fields = strict.decode(dict[str, Any], content, where)
    unit = strict.decode(str, fields.pop("unit", ""), f"{where}.unit")
    for word in fields:
        if word not in DISTRIBUTIONS:
            raise ValueError(f"{where}: unknown distribution {word!r}; {strict.suggest(word, DISTRIBUTIONS)}")
    if len(fields) != 1:
        raise ValueError(f"{where} must have one distribution, got {', '.join(fields) or 'none'}; known: {', '.join(DISTRIBUTIONS)}")
    ((word, numbers),) = fields.items()
    if word == "latency" and isinstance(numbers, Mapping) and "report" in numbers:
        source = strict.decode(dict[str, str], numbers, f"{where}.latency")
        if set(source) != {"report", "series"}:
            raise ValueError(f"{where}.latency must have report and series, or probabilities and times, got {', '.join(source)}")
        return Entry(name, read_latency(folder / source["report"], source["series"]), unit)
    return Entry(name, strict.decode(DISTRIBUTIONS[word], numbers, f"{where}.{word}"), unit)
