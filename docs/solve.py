"""Evaluate the scripted solution of every task in every engine, and write docs/reference/solved.json.

`python docs/solve.py [TASK …]`; about ten minutes for all. `python docs/generate.py` puts the figures into docs/reference/tasks.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact, scripted_tasks
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.tasks import get_task

OUT = Path(__file__).parent / "reference" / "solved.json"
EPISODES = 100


def main() -> int:
    solved = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    for name in sys.argv[1:] or scripted_tasks():
        task = get_task(name)
        policy = scripted_artifact(task.contract).policy()
        solved[name] = {}
        for plant in task.plants:
            if plant == "isaacgym":
                continue
            summary = evaluate_task(task, policy, plant, episodes=EPISODES)
            steps = [episode["steps"] for episode in summary["per_episode"]]
            solved[name][plant] = {key: summary["success"][key] for key in ("rate", "low", "high")} | {"steps": sum(steps) / len(steps)}
            print(name, plant, solved[name][plant], flush=True)
        OUT.write_text(json.dumps(solved, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
