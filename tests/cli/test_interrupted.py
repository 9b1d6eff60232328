"""Ctrl-C and SIGTERM at random moments of every command that runs for a while: no traceback, no half file, the documented exit code.

A few moments by default; `ISTHMUS_EXAMPLES=100 python -m pytest -s tests/cli/test_interrupted.py` tries more, of more commands, and says what
came of each.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from forked_commands import Commands

from isthmus import strict
from isthmus.artifact import Artifact
from isthmus.mcap_records import has_footer
from isthmus.robot import load_robot

sys.path.insert(0, str(Path(__file__).parents[1] / "sim"))
from arm_logs import EFFORTS, NOMINAL, model_text, simulate, unknown, write_csv

EXAMPLES = int(os.environ.get("ISTHMUS_EXAMPLES", "0"))
SMALL = ("--learning-starts", 60, "--batch-size", 8, "--hidden", 8, "--evaluate-every", 100, "--checkpoint-every", 50)
FEW = ("--strikes", 1, "--duration", 1.0, "--draws", 2, "--force")
# Command → s within which it is interrupted. Those of the processor, where the command does its work itself.
QUICK = {
    "train sac pendulum --steps 200 --out run {small}": 3.0,
    "eval {policy} --episodes 20 --json r.json --record traces --plot p.png": 2.0,
    "robots import mine {urdf}": 0.7,
    "robots ur5e --copy mine": 0.06,
    "new my_lab --robot {urdf}": 0.6,
    "script reach --out s.isthmus": 0.25,
    "compare {policy} {policy} --episodes 20 --json r.json --out compared": 2.0,
    "gap {traces} {others} --policy {policy} --out gap": 3.0,
    "replay {traces} {policy} --against pendulum --plot p.png --json r.json": 2.0,
}
SLOW = {
    "train bc reach --scripted 2 --steps 200 --out run --hidden 8 --evaluate-every 100": 5.0,
    "train ppo pendulum --steps 4000 --num-envs 4 --periods 64 --minibatches 2 --hidden 8 --evaluate-every 1000 --out run": 5.0,
    "train sac pendulum --steps 200 --video-every 100 --out run {small}": 10.0,
    "train sac pendulum --engine sb3 --steps 200 --out run {small}": 6.0,
    "eval {policy} --plant pybullet --episodes 20 --json r.json --video v.mp4": 6.0,
    "view pendulum --video film.mp4": 6.0,
    "view ur5e --video film.mp4": 6.0,
    "zoo pendulum --learner sac --steps 300 --episodes 10 --out zoo": 8.0,
    "demo --task pendulum --steps 300 --episodes 5 --ros-episodes 1 --out demo": 12.0,
    "identify {log}/arm.xml --log {log}/log.csv --parameters {log}/p.yaml --out found --starts 2": 6.0,
    "mpc navigate --out m.isthmus": 2.0,
    "train npc stl:ship-safe --out run": 5.0,
    "doctor": 3.0,
    "certify mine.isthmus --episodes 4 --margins delay --out certified --json r.json": 8.0,
    "asid slide --real mujoco:{truth} --alone --no-film --starts 1 --episodes 2 --out loop {few}": 20.0,
    "train asid slide --unknown puck.friction --out explored {few}": 15.0,
    "identify design ur5e --duration 4 --out designed": 6.0,
    "motions ur5e --out motions": 1.0,
    "card {policy} --out card.md": 1.0,
    "view {film} --video film.mp4": 6.0,
}
WITH_PROCESSES = {
    "train sac pendulum --seeds 0-1 --steps 300 --out run {small}": 40.0,
    "sweep {plan} --out sweep": 40.0,
    "eval {policy} --plant ros --episodes 3 --json r.json": 30.0,
    "deploy {policy} --sim --start": 30.0,
    "faults ur5e --rows 1 --repeats 1 --out faults": 40.0,
}


@pytest.fixture(scope="module")
def commands():
    with Commands() as running:
        yield running


@pytest.fixture(scope="module")
def there(tmp_path_factory, policies, commands):
    """What commands are given: name → path or words."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "arm.xml").write_text(model_text(NOMINAL))
    (folder / "p.yaml").write_text(EFFORTS + unknown())
    write_csv(folder / "log.csv", *simulate(seconds=6.0))
    settings = {"steps": 200, "learning_starts": 60, "batch_size": 8, "hidden": [8], "evaluate_every": 100, "checkpoint_every": 50}
    space = {"learning_rate": {"choice": [0.001, 0.002]}}
    plan = {"algorithm": "sac", "task": "pendulum", "settings": settings, "search": "grid", "space": space}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    (folder / "truth.yaml").write_text("puck.friction: 0.2\n")
    for name, seed in (("traces", 0), ("others", 9)):
        (work := folder / f"{name}.made").mkdir()
        words = ("eval", policies / "pendulum.isthmus", "--episodes", 2, "--seed", seed, "--record", folder / name)
        assert commands.run(words, work)[0] == 0
    robot = load_robot("fr3")
    return {
        "policy": policies / "pendulum.isthmus",
        "reach": policies / "reach.isthmus",
        "urdf": robot.urdf_path,
        "log": folder,
        "plan": folder / "plan.yaml",
        "traces": folder / "traces",
        "others": folder / "others",
        "film": min((folder / "traces").glob("*.mcap")),
        "truth": folder / "truth.yaml",
        "small": " ".join(map(str, SMALL)),
        "few": " ".join(map(str, FEW)),
    }


def half_files(folder):
    """Files that are not whole, or should not be there."""
    found = [path for path in folder.rglob("*") if path.is_file() and not _whole(path)]
    found += [path for path in folder.rglob(".*") if path not in found]
    for robot in folder.glob("mine/*" if (folder / "mine" / "ur5e").exists() else "robots/*"):
        try:
            load_robot(robot.name, [robot.parent])
        except (ValueError, OSError):
            found.append(robot)
    if (folder / "my_lab").exists() and not (folder / "my_lab" / "my_lab" / "tasks.py").exists():
        found.append(folder / "my_lab")
    return [str(path.relative_to(folder)) for path in found]


def _whole(path):
    content = path.read_bytes()
    try:
        match path.suffix:
            case ".json":
                json.loads(content)
            case ".jsonl":
                return not content or (content.endswith(b"\n") and all(json.loads(line) for line in content.splitlines()))
            case ".yaml":
                strict.load_yaml(path)
            case ".urdf" | ".xml":
                ElementTree.fromstring(content)
            case ".isthmus":
                Artifact.load(path)
            case ".safetensors":
                size = int.from_bytes(content[:8], "little")
                ends = [value["data_offsets"][1] for name, value in json.loads(content[8 : 8 + size]).items() if name != "__metadata__"]
                return len(content) == 8 + size + max(ends)
            case ".mcap":
                return has_footer(path)
            case ".mp4":
                return b"moov" in content
            case ".png":
                return content.endswith(b"IEND\xaeB`\x82")
            case ".html":
                return content.rstrip().endswith(b"</html>")
    except (ValueError, OSError, ElementTree.ParseError):
        return False
    return True


def interrupt(commands, there, folder, line, within, draws, busy=True):
    """One command, interrupted once; what is wrong with what it left, and what happened in a line."""
    folder.mkdir()
    shutil.copy(there["policy"], folder / "mine.isthmus")
    moment, number = draws.uniform(0.0, within), draws.choice((signal.SIGINT, signal.SIGTERM))
    again = draws.choice((None, None, None, 0.02, 0.3))
    words = " ".join(line.split()).format(**there).split()
    code, out, error, sent, left = commands.run(words, folder, moment, number, again, busy)
    happened = f"{number.name} at {moment:.2f} s{f', again {again} s later' if again else ''}: code {code}{'' if sent else ', before'}"
    whole = 1 if line.startswith("asid") else 0  # a single short strike tells nothing
    ended = code in (whole, -signal.SIGVTALRM, -signal.SIGALRM, *((130,) if sent else ()))  # negative: Python itself was ending
    half = half_files(folder)
    wrong = [] if ended or "the motion was ended" in error else [f"exit code {code}", out]
    wrong += [f"stderr: {error}"] if any(words in error for words in ("Traceback", "Exception ignored", "*** ")) else []
    wrong += [f"half: {', '.join(half)}"] if half else []
    wrong += [f"left: {left}"] if left else []
    return wrong, f"{line}: {happened}"


def all_interrupted(commands, there, folder, lines, count, busy=True):
    draws, wrong = random.Random(f"{EXAMPLES} {list(lines)}"), []
    for example in range(count):
        line = list(lines)[example % len(lines)]
        found, happened = interrupt(commands, there, folder / f"{example:03d}", line, lines[line], draws, busy)
        sys.stdout.write("\n    ".join([happened, *found]) + "\n")
        wrong += [f"{happened}: {one}" for one in found]
    return wrong


def test_at_any_moment_a_command_ends_in_a_sentence_and_leaves_whole_files(commands, there, tmp_path):
    assert not all_interrupted(commands, there, tmp_path, QUICK, max(EXAMPLES, 6))


@pytest.mark.skipif(not EXAMPLES, reason="takes minutes; ISTHMUS_EXAMPLES=20")
@pytest.mark.parametrize("line", SLOW)
def test_so_do_commands_that_take_long(commands, there, tmp_path, line):
    assert not all_interrupted(commands, there, tmp_path, {line: SLOW[line]}, max(EXAMPLES // len(SLOW), 3))


@pytest.mark.skipif(not EXAMPLES, reason="takes minutes; ISTHMUS_EXAMPLES=20")
@pytest.mark.parametrize("line", WITH_PROCESSES)
def test_so_do_commands_with_processes_of_their_own_and_end_these(commands, there, tmp_path, line):
    count = max(EXAMPLES // len(WITH_PROCESSES), 3)
    assert not all_interrupted(commands, there, tmp_path, {line: WITH_PROCESSES[line]}, count, busy=False)


def listens(process):
    """Whether the process has begun to listen for SIGTERM."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("SigCgt:")[2].split()[0], 16) & (1 << signal.SIGTERM - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_from_its_first_import_on_a_command_ends_in_a_sentence(number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever runs this has the signal ignored, as a shell does for what runs in its background")
    program = "import sys; from isthmus_cli.main import main; sys.exit(main())"
    draws = random.Random(EXAMPLES)
    left = max(EXAMPLES // 5, 1)
    while left:
        process = subprocess.Popen([sys.executable, "-c", program, "tasks"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not listens(process):
            time.sleep(0.001)
        time.sleep(draws.choice((0.0, draws.uniform(0.0, 0.3))))
        process.send_signal(number)
        _, error = process.communicate(timeout=300)
        if process.returncode != 0:  # else it was over before
            left -= 1
            assert (process.returncode, error) == (130, "isthmus: interrupted\n")


HALF_MADE = """
import signal, sys
from isthmus_cli import dispatch, main

class Half:
    def __del__(self):
        raise ValueError("it was freed before")

def perform(words):
    own = Half()
    kept.append(Half())
    signal.raise_signal(signal.SIGTERM)

kept, dispatch.perform = [], perform
sys.exit(main.main())
"""


def test_nothing_is_said_of_what_was_interrupted_while_it_was_made():
    made = subprocess.run([sys.executable, "-c", HALF_MADE, "tasks"], capture_output=True, text=True, timeout=300)
    assert (made.returncode, made.stderr) == (130, "isthmus: interrupted\n")
