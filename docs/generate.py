"""Write the pages that come from the code (tasks, commands, launch arguments, parameters of the ROS nodes, robots), and the tables of figures.

`python docs/generate.py` writes them, `python docs/generate.py --check` fails if they are not up to date or a figure is not recorded, and
`python docs/generate.py --pictures [TASK …]` also takes a picture of each task.
"""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterable
from pathlib import Path

import figures
import ros_pages
from command_pages import commands_page
from tables import TABLES

from isthmus_bringup.arguments import ARGUMENTS, USES
from isthmus_evidence.results import Results
from isthmus_sim.parameters import Parameter
from isthmus_sim.task import Task
from isthmus_sim.tasks import get_task, task_names

REFERENCE = Path(__file__).parent / "reference"
PICTURES = REFERENCE / "tasks"
SHEET = ("push", "slide", "rod", "door", "peg", "navigate", "walk-rough", "reach")  # of README.md
RESULTS = Path(__file__).parent / "results"
WITH_FIGURES = (
    Path(__file__).parents[1] / "README.md",
    REFERENCE / "robots-that-import.md",
    *(path for path in sorted(Path(__file__).parent.glob("*/*.md")) if path.parent != REFERENCE),
)
NOTE = "<!-- written by docs/generate.py; change the code instead -->\n\n"


def main() -> int:
    if "--pictures" in sys.argv:
        take_pictures(sys.argv[sys.argv.index("--pictures") + 1 :] or task_names())
    pages = {"tasks.md": tasks_page(), "commands.md": commands_page(NOTE), "bringup.md": bringup_page(), **ros_pages.robot_pages(NOTE)}
    if importlib.util.find_spec("rclpy"):
        pages["ros.md"] = ros_pages.nodes_page(NOTE)
    else:
        print("ros.md is left as it is: rclpy is not installed")
    fresh, wrong = {REFERENCE / name: text for name, text in pages.items()}, []
    for page in WITH_FIGURES:
        fresh[page], problems = figures.filled(page, TABLES, RESULTS)
        wrong += problems
    for file in sorted(RESULTS.glob("*.json")):
        wrong += figures.old_rows(file, RESULTS / "changes.yaml")
    stale = [path for path, text in fresh.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for line in wrong:
        print(line)
    if "--check" in sys.argv:
        if stale:
            print(f"out of date: {', '.join(path.name for path in stale)}; run: python docs/generate.py")
        return int(bool(stale or wrong))
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(fresh[path], encoding="utf-8")
    return 0


def take_pictures(names: list[str]) -> None:
    from PIL import Image

    from isthmus_evidence.pictures.stills import picture

    PICTURES.mkdir(exist_ok=True)
    for name in names:
        with Image.open(io.BytesIO(picture(get_task(name)))) as image:
            image.convert("RGB").resize((800, 450)).save(PICTURES / f"{name}.jpg", quality=85)
    sheet = Image.new("RGB", (4 * 400, 2 * 225), "white")
    for place, name in enumerate(SHEET):
        with Image.open(PICTURES / f"{name}.jpg") as image:
            sheet.paste(image.resize((398, 223)), (place % 4 * 400 + 1, place // 4 * 225 + 1))
    sheet.save(PICTURES.parent.parent / "assets" / "tasks.jpg", quality=88)


def tasks_page() -> str:
    lines = [
        NOTE + "# Tasks\n",
        "Pictures: `python docs/generate.py --pictures`. Scripted solutions: `isthmus script TASK` writes the policy file, and "
        "`python docs/solve.py` evaluates all of them: 100 episodes per engine, Wilson 95 % intervals.\n",
    ]
    for name in task_names():
        lines += task_section(get_task(name))
    lines += [
        "## Parameters of every task\n",
        "Set with `isthmus eval … --parameters payload=1.0`, drawn with `--randomize FILE.yaml`. Joints and bodies add their own: "
        "`isthmus tasks NAME` lists them. What an engine cannot express is an error.\n",
        *parameter_table([parameter for name, parameter in get_task("reach").parameters.items() if "." not in name]),
    ]
    return "\n".join(lines) + "\n"


def task_section(task: Task) -> list[str]:
    contract = task.contract
    lines = [f"## {task.name}\n"]
    if (PICTURES / f"{task.name}.jpg").is_file():
        lines.append(f"![{task.description}](tasks/{task.name}.jpg)\n")
    lines += [
        f"{task.description[0].upper()}{task.description[1:]}. Robot `{contract.robot}`; plants {', '.join(task.plants)}; "
        f"{contract.mode} commands every {contract.control_period:g} s; episodes of {task.episode_steps} periods.\n",
        f"Success: {task.success}, in each of the last {task.success_steps} periods.\n",
        *solved_lines(task.name),
        "| reward term | weight | unit |\n|---|---|---|",
        *[f"| {term.name} | {term.weight:g} | {term.unit} |" for term in task.reward],
        "\n| signal | source | elements | unit | history |\n|---|---|---|---|---|",
        *[
            f"| `{signal.name}` | {signal.source} | {', '.join(signal.elements)} | {signal.unit} | {signal.history} |"
            for signal in contract.observation
        ],
        "",
    ]
    if task.identifiable:
        lines += ["Unknown to a robot, with the range that an identification would search:\n", *parameter_table(task.identifiable), ""]
    if task.specification:
        lines.append(f"Specification: `{task.specification.formula}`, where\n")
        lines += [f"* `{name}` is `{text}`" for name, text in task.specification.signals.items()] + [""]
    return lines


def solved_lines(name: str) -> list[str]:
    """What `docs/solve.py` found about a task."""
    rows = [row for row in Results(RESULTS / "solved.json").rows.values() if row["task"] == name]
    parts = [f"{figures.span(*(row['success'][of] for of in ('rate', 'low', 'high')))} in {row['plant']}" for row in rows]
    return [f"Solved by its script (`isthmus script {name}`): success {'; '.join(parts)}.\n"] if parts else []


def parameter_table(parameters: Iterable[Parameter]) -> list[str]:
    return [
        "| parameter | unit | nominal | range | meaning |\n|---|---|---|---|---|",
        *[f"| `{p.name}` | {p.unit} | {p.nominal:g} | {p.low:g} … {p.high:g} | {p.description} |" for p in parameters],
    ]


def bringup_page() -> str:
    lines = [
        NOTE + "# Launch arguments\n",
        "One table, `isthmus_bringup.arguments`, feeds the launch files, `isthmus deploy` and this page. In ROS an argument is `name:=value`. With "
        "`isthmus deploy` it is `--name value`, with `-` for `_`; the switches `--record`, `--shadow`, "
        "`--use-sim-time` and `--accept-no-deadman` take no value, and there is no `autostart`.\n",
        *(f"* `ros2 launch isthmus_bringup {use}.launch.py`: {description}" for use, description in USES.items()),
        "\n| argument | default | in | what it is |\n|---|---|---|---|",
    ]
    for argument in ARGUMENTS:
        defaults = {use: str(argument.default_for(use)).lower() or "empty" for use in argument.uses}
        same = len(set(defaults.values())) == 1
        shown = next(iter(defaults.values())) if same else ", ".join(f"{use}: {value}" for use, value in defaults.items())
        valid = f"; one of {', '.join(filter(None, argument.choices))}" if argument.choices else ""
        uses = "all" if len(argument.uses) == len(USES) else ", ".join(argument.uses)
        lines.append(f"| `{argument.name}` | {shown} | {uses} | {argument.description}{valid} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
