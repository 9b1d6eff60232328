"""A policy file on the same starts in two engines: how well it does, how it moves, and what the engines differ by.

`python examples/evaluate.py` writes the scripted solution of `reach` and evaluates it.
"""

from __future__ import annotations

from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import evaluate
from isthmus_evidence.paired import paired_difference
from isthmus_sim.tasks import get_task


def main() -> None:
    """Run ten episodes in each engine."""
    file = Path("reach-scripted.isthmus")
    scripted_artifact(get_task("reach").contract).save(file)
    found = {plant: evaluate(file, plant=plant, episodes=10, seed=100) for plant in ("mujoco", "pybullet")}
    for plant, result in found.items():
        success, returns, motion = result["success"], result["return"], result["motion"]
        print(f"{plant}: success {success['rate']:.2f} ({success['low']:.2f} … {success['high']:.2f})", end=", ")
        print(f"return {returns['mean']:.1f} ({returns['low']:.1f} … {returns['high']:.1f}), ends {result['ends']}")
        print(f"  clamped {100 * motion['clamped']:.1f} % of the time, peak speed {motion['peak_speed']:.2f} of the limit")
    less = paired_difference(found["pybullet"], found["mujoco"])["return"]
    print(f"pybullet less mujoco, seed by seed: {less['difference']:+.2f} ({less['low']:+.2f} … {less['high']:+.2f})")


if __name__ == "__main__":
    main()
