"""Write the reference pages that come from the code: tasks and commands.

`python docs/generate.py` writes them, `python docs/generate.py --check` fails if they are not up to date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from isthmus_sim.tasks import get_task, task_names

REFERENCE = Path(__file__).parent / "reference"
COMMANDS = ("train sac", "eval", "inspect", "doctor", "tasks", "robots", "plants", "demo")
NOTE = "<!-- written by docs/generate.py; change the code instead -->\n\n"


def main() -> int:
    pages = {"tasks.md": tasks_page(), "commands.md": commands_page()}
    stale = []
    for name, text in pages.items():
        path = REFERENCE / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"out of date: {', '.join(stale)}; run: python docs/generate.py")
        return 1
    return 0


def tasks_page() -> str:
    lines = [NOTE + "# Tasks\n"]
    for name in task_names():
        task = get_task(name)
        contract = task.contract
        lines += [
            f"## {name}\n",
            f"{task.description[0].upper()}{task.description[1:]}. Robot `{contract.robot}`; plants {', '.join(task.plants)}; "
            f"{contract.mode} commands every {contract.control_period:g} s; episodes of {task.episode_steps} periods.\n",
            f"Success: {task.success}, in each of the last {task.success_steps} periods.\n",
            "| reward term | weight | unit |\n|---|---|---|",
            *[f"| {term.name} | {term.weight:g} | {term.unit} |" for term in task.reward],
            "\n| signal | source | elements | unit | history |\n|---|---|---|---|---|",
            *[
                f"| `{signal.name}` | {signal.source} | {', '.join(signal.elements)} | {signal.unit} | {signal.history} |"
                for signal in contract.observation
            ],
            "",
        ]
    lines += [
        "## Parameters\n",
        "Physical parameters of every task, on every engine: `isthmus eval … --parameters payload=1.0`.\n",
        "| parameter | unit | nominal | range | meaning |\n|---|---|---|---|---|",
        *[f"| `{p.name}` | {p.unit} | {p.nominal:g} | {p.low:g} … {p.high:g} | {p.description} |" for p in get_task("reach").parameters.values() if "." not in p.name],
    ]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    lines = [
        NOTE + "# Commands\n",
        "Exit codes: 0 success, 1 the command found something wrong, 2 a user error (one sentence), 130 after Ctrl-C.\n",
    ]
    for command in COMMANDS:
        script = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", script, *command.split(), "--help"]
        text = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
        shown = "\n".join(line.rstrip() for line in text.strip().splitlines())
        lines += [f"## isthmus {command}\n", "```text", shown, "```\n"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
