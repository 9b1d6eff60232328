"""Evaluate the scripted solution of every task in every engine, and write docs/results/solved.json; what is in it is not measured again.

`python docs/solve.py [TASK …]`; about ten minutes for all. `python docs/generate.py` puts the figures into docs/reference/tasks.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact, scripted_tasks
from isthmus_evidence.results import Results
from isthmus_evidence.task_evaluation import evaluate_task as evaluate
from isthmus_sim.tasks import get_task

OUT = Path(__file__).parent / "results" / "solved.json"
EPISODES = 100


def main() -> int:
    results = Results(OUT)
    for name in sys.argv[1:] or scripted_tasks():
        task = get_task(name)
        policy = scripted_artifact(task.contract).policy()
        for plant in task.plants:
            key = f"{name} | {plant}"
            if plant == "isaacgym" or key in results.rows:
                continue
            summary = evaluate(task, policy, plant, episodes=EPISODES)
            steps = [episode["steps"] for episode in summary["per_episode"]]
            kept = {part: summary[part] for part in ("task", "plant", "seed", "episodes", "success", "ends")}
            results.add(key, kept | {"steps": sum(steps) / len(steps)}, ("eval", "script"))
            print(key, summary["success"], flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
