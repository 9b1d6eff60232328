"""Finding commands, explaining them, and telling users what they got wrong."""

import json
import os
import subprocess
import sys

import pytest

from isthmus_cli import dispatch as module
from isthmus_cli.main import main

COMMANDS = [*(name for name in module._COMMANDS if name != "train"), "train sac", "train dsac-t", "train srl", "train mentor"]


@pytest.mark.parametrize("command", [*COMMANDS, "train"])
def test_every_command_explains_itself(isthmus, command):
    code, out, _ = isthmus(*command.split(), "--help")
    assert code == 0
    assert f"usage: isthmus {command}" in out


def test_overview_names_every_command_and_loads_nothing_heavy():
    program = "import sys; from isthmus_cli.main import main; main(['--help']); print(*sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    text, loaded = out.rstrip().rsplit("\n", 1)
    for name in module._COMMANDS:
        assert f"  {name} " in text
    assert not {"torch", "mujoco", "pybullet", "scipy", "rclpy", "gymnasium", "onnxruntime", "tyro"} & set(loaded.split())


def test_without_a_command_the_overview_is_an_error(isthmus):
    assert isthmus()[0] == 2
    assert isthmus("train")[0] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("tran", "unknown command 'tran'; did you mean 'train'? Known (7 of 26): calibrations, "),
        ("train reinforce reach", "unknown algorithm 'reinforce'; Known: asid, bc, drm, drqv2, dsac-t, mentor, npc, ppo, sac, srl"),
        ("train sac reech", "unknown task 'reech'; did you mean 'reach'? Known: "),
        ("train sac --seed 1 reech", "unknown task 'reech'; did you mean 'reach'? Known: "),
        ("train sac reach --plant gazebo", "unknown plant 'gazebo'; Known: isaacgym, mujoco, pybullet"),
        ("train sac reach --gamma 2", "gamma must be in [0, 1), got 2.0; see isthmus train sac --help"),
        ("train sac reach --seed -1", "seed must be >= 0, got -1"),
        ("tasks juggle", "unknown task 'juggle'; Known: "),
        ("robots ur5", "unknown robot 'ur5'; did you mean 'ur5e'? Known: diffbot, "),
        ("robots --robots nowhere", "--robots nowhere is not a folder; it must hold NAME/robot.yaml"),
        ("doctor --robot ur5", "unknown robot 'ur5'; did you mean 'ur5e'? Known: diffbot, "),
        ("inspect nowhere.isthmus", "nowhere.isthmus cannot be read: No such file or directory"),
        ("eval", "Missing from isthmus eval: POLICY; see isthmus eval --help"),
        ("identify", "Missing from isthmus identify: TARGET, --out PATH; see isthmus identify --help"),
        ("view ur5", "; or the robot 'ur5e'?"),
        ("plants --jsn", "Unrecognized options: --jsn; did you mean --json? see isthmus plants --help"),
        (
            "train sac reach --learning_rat 1e-3",
            "Unrecognized options: --learning_rat, 1e-3; did you mean --learning-rate? see isthmus train sac --help",
        ),
        ("train sac reach --steps 1.5", "--steps must be a whole number of at most 1e18, such as 100, 1e5 or 100_000, got '1.5'; see"),
        ("train sac reach --steps 0_1", "--steps must be a whole number of at most 1e18, such as 100, 1e5 or 100_000, got '0_1'; see"),
        ("train sac reach --seed 1e30", "--seed must be a whole number of at most 1e18, such as 100, 1e5 or 100_000, got '1e30'; see"),
        (
            "train sac reach --video-every 1e2x",
            "--video-every must be a whole number of at most 1e18, such as 100, 1e5 or 100_000, got '1e2x'",
        ),
        (
            "train sac reach --learning-rate x",
            "--learning-rate must be a number, such as 0.5 or 1e-3, got 'x'; see isthmus train sac --help",
        ),
        ("train sac reach --stop-at x", "--stop-at must be a number, such as 0.5 or 1e-3, got 'x'; see isthmus train sac --help"),
        ("identify desing reach", "unknown command 'identify desing'; did you mean 'identify design'?"),
        ("identify desing reach --out x", "unknown command 'identify desing'; did you mean 'identify design'?"),
        ("robots improt mine arm.urdf", "unknown command 'robots improt'; did you mean 'robots import'?"),
        ("robots ur5e fr3", "Unrecognized options: fr3; see isthmus robots --help"),
        ("view nowhere.mcap", "nowhere.mcap: No such file or directory"),
        ("view nowhere.npz", "nowhere.npz cannot be read: No such file or directory"),
        ("train ppo reach --plant ros", "--plant ros trains sac, dsac-t, drqv2, drm, mentor, got ppo"),
        ("train sac reach --plant ros --clock sundial", "--clock must be wall or stepped, got 'sundial'"),
        ("train sac reach --plant ros --seeds 0-1", "--plant ros is one robot as it is; leave --seeds out"),
        ("train sac reach --attach", "--clock, --attach, --corrections and --traces go with --plant ros, got --plant mujoco"),
        ("train sac gym:Pendulum-v1 --plant ros", "runs in a suite's own simulation"),
        ("train npc navigate --plant ros", "--plant ros is no engine to train models in"),
        ("doctor ur5e", "'ur5e' is a robot, no policy file; what is known of it: isthmus robots ur5e, isthmus doctor --robot ur5e"),
        ("eval reach", "'reach' is a task, no policy file; train one with: isthmus train sac reach"),
        ("view nowhere.isthmus", "nowhere.isthmus cannot be read: No such file or directory"),
    ],
)
def test_user_errors_are_one_sentence(refuse, words, sentence):
    said = refuse(*words.split())
    assert said.startswith("isthmus: ")
    assert sentence in said


def test_names_may_be_in_capitals_and_large_numbers_as_people_write_them(refuse):
    for words in ("train SAC pendulum --steps 1e5", "train dsac_t pendulum --steps 100_000"):
        assert "seed must be >= 0" in refuse(*words.split(), "--seed", -1)


def test_defaults_without_a_task_are_said_to_be_no_tasks(isthmus):
    told = "The defaults below are of a task without settings of its own"
    assert told in " ".join(isthmus("train", "sac", "--help")[1].split())
    assert told not in " ".join(isthmus("train", "sac", "reach", "--help")[1].split())


def test_missing_packages_are_named_with_the_command_that_installs_them(refuse, monkeypatch, policies, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    sentence = refuse("eval", policies / "pendulum.isthmus", "--episodes", 1, "--plot", tmp_path / "chart.png")
    assert sentence == "isthmus: this needs matplotlib, which is not installed; install it with: pip install 'isthmus[report]'"


ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
IN_ASCII = """
import sys
from isthmus_cli.main import main
sys.stdout.encoding.lower() in ("ascii", "ansi_x3.4-1968", "us-ascii") or sys.exit(f"this is {sys.stdout.encoding}")
for line in sys.argv[1].splitlines():
    code = main(line.split())
    code in (0, 1, 2) or sys.exit(f"{line}: {code}")
"""


def test_a_terminal_that_knows_ascii_alone_is_no_reason_to_end(policies):
    file = policies / "pendulum.isthmus"
    lines = ["--help", "train --help", "train sac --help", "robots", "robots ur5e", "tasks", "tasks reach", "plants", f"inspect {file}"]
    lines += [
        f"inspect {file} --json",
        f"eval {file} --episodes 1",
        f"eval {file} --replan 2",
        "tasks reech",
        "doctor ürdf",
        "doctor --robot ur5e",
    ]
    told = subprocess.run(
        [sys.executable, "-c", IN_ASCII, "\n".join(lines)], capture_output=True, env={**os.environ, **ASCII}, check=False, timeout=600
    )
    assert (told.returncode, b"Traceback" in told.stderr) == (0, False), told.stderr.decode()[-2000:]
    assert told.stdout.isascii()


def test_json_on_such_a_terminal_says_all_in_ascii(policies):
    program = "from isthmus_cli.console import write_json; write_json({'unit': 'N' + chr(183) + 'm'})"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **ASCII}, check=True).stdout
    assert json.loads(told) == {"unit": "N·m"}


def test_mistakes_of_ours_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(module._COMMANDS, "tasks", ("isthmus_cli.nonexistent:Tasks", ""))
    with pytest.raises(ModuleNotFoundError, match=r"isthmus_cli\.nonexistent"):
        main(["tasks"])


@pytest.mark.parametrize("words", [[], ["train"], ["train", "sac"], ["deploy"]])
def test_help_may_come_first(isthmus, words):
    assert isthmus("help", *words) == isthmus(*words, "--help")


def test_the_version_is_told_however_it_is_asked_for(isthmus):
    assert isthmus("version") == isthmus("-V") == isthmus("--version")
    assert isthmus("version")[0] == 0
