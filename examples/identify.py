"""What does the robot carry? Some episodes of a robot that nobody knows, and the payload that explains them.

`python examples/identify.py` runs the scripted solution of `reach` on a UR5e in PyBullet that carries 1 kg, records it, and fits the payload of
MuJoCo's model to the recordings. With a robot, `record_node` records, and `isthmus identify reach --log …` does the rest.
"""

from __future__ import annotations

from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import evaluate
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs
from isthmus_sim.tasks import get_task

PAYLOAD = 1.0  # kg


def main() -> None:
    """Record, identify, and say how sure it is."""
    policy, recordings = scripted_artifact(get_task("reach").contract), Path("recordings")
    evaluate(policy, plant="pybullet", episodes=8, parameters={"payload": PAYLOAD}, record=recordings)
    target, unknown = find_target("reach"), ParameterFile((Unknown("payload", 0.0, 3.0),))
    logs = open_logs(sorted(recordings.glob("*.mcap")), unknown, target)
    found = identify(make_problem(target, unknown, logs), FitOptions(starts=1))
    known = found.known
    print(f"payload {known.values[0]:.3f} kg ({known.low[0]:.3f} … {known.high[0]:.3f}), {known.verdicts[0]}; it carries {PAYLOAD:g} kg")
    for horizon, before, after in zip(found.prediction.horizons, found.prediction.tool_nominal, found.prediction.tool_fitted, strict=True):
        print(f"unseen motion, {horizon:g} s ahead: {before:.2f} mm off at the tool before, {after:.2f} mm after")


if __name__ == "__main__":
    main()
