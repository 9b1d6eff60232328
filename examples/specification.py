"""A requirement in Signal Temporal Logic: judged on a run, explained where it fails, and watched while the run goes on.

`python examples/specification.py` lets the scripted solution of `reach` run, on a good robot and on one whose commands come late, and asks of both:
be within 2 cm of the goal after 1.2 s, and stay there for a second; never faster than 2 rad/s.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isthmus.trace import read_trace
from isthmus_controllers import stl
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import evaluate
from isthmus_sim.tasks import get_task

REQUIREMENT = "eventually[0,1.2] always[0,1] (distance <= 0.02) and always[0,4] (speed <= 2)"


def main() -> None:
    """Judge one episode of each robot."""
    task = get_task("reach")
    policy, period = scripted_artifact(task.contract), task.contract.control_period
    formula = stl.parse(REQUIREMENT, dt=period)
    for name, delay in (("on time", 0.0), ("0.15 s late", 0.15)):
        folder = Path(f"recordings-{delay:g}")
        evaluate(policy, episodes=1, seed=7, parameters={"action_delay": delay}, record=folder)
        trace = read_trace(next(folder.glob("*.mcap")))
        distance = np.linalg.norm(trace.observations["tool0"][:, -1] - trace.observations["goal"][:, -1], axis=1)
        signals = {"distance": distance[None], "speed": np.abs(trace.velocity).max(axis=1)[None]}  # [runs, samples], m and rad/s
        print(f"{name}: robustness {stl.robustness(formula, signals)[0]:+.3f}; {stl.explain(formula, signals)}")
        monitor = stl.Monitor(formula)
        for sample in range(len(trace.stamps)):
            verdict = monitor.update({name: float(values[0, sample]) for name, values in signals.items()})
            if verdict.verdict != "unknown":
                print(f"  the monitor knew after {sample * period:.2f} s: {verdict.verdict}")
                break


if __name__ == "__main__":
    main()
