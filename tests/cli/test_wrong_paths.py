"""Every command with every wrong kind of path: one sentence, the documented exit code, and nothing half written."""

import contextlib
import dataclasses
import json
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from isthmus.artifact import Artifact
from isthmus.robot import load_robot
from isthmus_sim.tasks import get_task

READ = {
    "inspect": ("inspect", "{}"),
    "eval": ("eval", "{}", "--episodes", 1),
    "doctor": ("doctor", "{}"),
    "deploy": ("deploy", "{}"),
    "view": ("view", "pendulum", "{}", "--video", "film.mp4"),
    "view alone": ("view", "{}", "--video", "film.mp4"),
    "dump": ("view", "--dump", "{}"),
    "sweep": ("sweep", "{}"),
    "import": ("robots", "import", "mine", "{}"),
    "new": ("new", "mine", "--robot", "{}"),
    "randomize": ("train", "sac", "pendulum", "--randomize", "{}", "--out", "run"),
    "from": ("train", "sac", "pendulum", "--from", "{}", "--out", "run"),
    "offline": ("train", "sac", "pendulum", "--offline", "{}", "--out", "run"),
    "robots": ("robots", "--robots", "{}/none"),
    "target": ("identify", "{}", "--log", "policy.isthmus", "--out", "found"),
    "log": ("identify", "pendulum", "--log", "{}", "--out", "found"),
    "parameters": ("identify", "pendulum", "--log", "policy.isthmus", "--parameters", "{}", "--out", "found"),
    "calibrations": ("calibrations", "{}", "{}"),
    "calibration": ("view", "pendulum", "--calibration", "{}", "--video", "film.mp4"),
    "recording": ("view", "{}.mcap", "--video", "film.mp4"),
    "faults": ("faults", "mine", "--robots-dir", "{}"),
    "robots of view": ("view", "mine", "--robots", "{}", "--video", "film.mp4"),
}
FILES = {
    "script": ("script", "reach", "--out", "{}"),
    "mpc": ("mpc", "navigate", "--out", "{}"),
    "zoo": ("zoo", "pendulum", "--learner", "sac", "--steps", 300, "--record", "{}"),
    "json": ("eval", "policy.isthmus", "--episodes", 1, "--json", "{}"),
    "plot": ("eval", "policy.isthmus", "--episodes", 1, "--plot", "{}.png"),
    "video": ("eval", "policy.isthmus", "--episodes", 1, "--video", "{}.mp4"),
}
SMALL = ("--steps", 200, "--learning-starts", 150, "--batch-size", 8, "--hidden", 8, "--evaluate-every", 200)


@pytest.fixture
def here(tmp_path, policies, monkeypatch):
    """A working folder with one wrong path of each kind beside a policy file."""
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "folder").mkdir()
    (wrong / "empty").write_bytes(b"")
    (wrong / "binary").write_bytes(bytes(range(256)) * 16)
    (wrong / "zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (wrong / "text").write_text("once upon a time: [\n", encoding="utf-8")
    (wrong / "loop").symlink_to(wrong / "loop")
    os.mkfifo(wrong / "pipe")
    (wrong / "unreadable").symlink_to("/proc/self/mem")  # whoever reads it gets an error, root too
    for kind in KINDS[:-1]:
        (wrong / f"{kind}.mcap").symlink_to(wrong / kind)
    (work := tmp_path / "work").mkdir()
    (work / "policy.isthmus").write_bytes((policies / "pendulum.isthmus").read_bytes())
    monkeypatch.chdir(work)
    return wrong


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


KINDS = ("folder", "unreadable", "empty", "binary", "zip", "text", "missing", "loop", "pipe", "empty/below")


@pytest.mark.parametrize("command", READ)
def test_what_cannot_be_read_is_told_in_one_sentence(isthmus, here, monkeypatch, command):
    for name in ("_rendering", "_ros"):
        monkeypatch.setattr(f"isthmus_cli.doctor.{name}", lambda: iter(()))
    before = files(here.parent)
    for kind in KINDS:
        if kind == "pipe" and command not in ("inspect", "eval", "doctor", "deploy", "view", "view alone", "from"):
            continue  # who gives one waits for what comes out of it, as with any program
        code, _, error = isthmus(*(str(word).format(here / kind) for word in READ[command]))
        assert (code, "Traceback" in error) in ((2, False), (1, False)), (kind, error)
        assert code == 2 or command == "doctor", (kind, code)
        assert error.count("\n") == (1 if code == 2 else 0), (kind, error)
    assert files(here.parent) == before


@pytest.mark.parametrize("command", FILES)
def test_what_cannot_be_written_is_told_before_anything_runs(isthmus, here, command):
    words = FILES[command]
    suffix = Path(str(words[-1]).format("x")).suffix
    (here / f"folder{suffix}").mkdir(exist_ok=True)
    for kind in ("folder", "empty/below", "loop/below"):
        code, _, error = isthmus(*(str(word).format(here / kind) for word in words))
        assert (code, error.count("\n"), "Traceback" in error) == (2, 1, False), (kind, error)
    if not suffix:
        code, _, error = isthmus(*(str(word).format("/dev/full") for word in words))
        assert (code, error.count("\n")) == (2, 1)
        assert not Path("/dev/full").is_file()
    assert files(Path.cwd()) == ["policy.isthmus"]


@pytest.mark.parametrize("words", [("train", "sac", "pendulum", *SMALL), ("eval", "policy.isthmus", "--episodes", 1, "--record")])
def test_a_folder_that_is_a_file_is_refused(isthmus, here, words):
    for kind in ("empty", "empty/below"):
        option = ("--out",) if words[0] == "train" else ()
        code, _, error = isthmus(*words, *option, here / kind)
        assert (code, error.count("\n"), "Traceback" in error) == (2, 1, False), (kind, error)


@contextlib.contextmanager
def full_disk(size):
    """No file can become larger, which the system tells in the same place as that the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_a_training_in_one_sentence_with_the_name_of_the_file(isthmus, here):
    with full_disk(2000):
        code, _, error = isthmus("train", "sac", "pendulum", *SMALL, "--out", "run")
    assert (code, error.count("\n")) == (2, 1), error
    assert "step_000000000.safetensors: File too large" in error
    assert not list(Path("run").rglob("*.partial"))
    assert isthmus("train", "sac", "pendulum", *SMALL, "--out", "run")[0] == 0  # nothing was learned, so nothing is in the way


@pytest.mark.parametrize(
    "words",
    [
        ("script", "reach", "--out", "new.isthmus"),
        ("robots", "import", "mine", load_robot("fr3").urdf_path),
        ("robots", "ur5e", "--copy", "mine"),
        ("new", "mine", "--robot", load_robot("fr3").urdf_path),
        ("eval", "policy.isthmus", "--episodes", 1, "--json", "result.json"),
        ("eval", "policy.isthmus", "--episodes", 1, "--plot", "chart.png"),
        ("eval", "policy.isthmus", "--episodes", 1, "--record", "traces"),
        ("view", "policy.isthmus", "--video", "film.gif"),
    ],
    ids=lambda words: " ".join(map(str, words[:2])) + f" {words[-2]}",
)
def test_a_full_disk_leaves_nothing_half_written(isthmus, here, monkeypatch, words):
    monkeypatch.setattr("isthmus_evidence.pictures.film._LARGE", (72, 128))
    task = dataclasses.replace(get_task("pendulum"), episode_steps=3, success_steps=1)
    monkeypatch.setattr("isthmus_cli.view.command.get_task", lambda name: task)
    with full_disk(500):  # what is said is written into a file here, too
        code, _, error = isthmus(*words)
    assert (code, error.count("\n")) == (2, 1), error
    assert "File too large" in error
    assert files(Path.cwd()) == ["policy.isthmus"]


def after_progress(monkeypatch, moment):
    """Ctrl-C when so many steps were shown."""
    from isthmus_cli.progress import Progress

    seen = Progress.__call__
    count = 0

    def show(self, *arguments):
        nonlocal count
        count += 1
        if count == moment:
            signal.raise_signal(signal.SIGINT)
        seen(self, *arguments)

    monkeypatch.setattr(Progress, "__call__", show)


@pytest.mark.parametrize("moment", [1, 160, 199])
def test_ctrl_c_in_train_at_any_moment_leaves_whole_files_and_can_be_resumed(isthmus, here, monkeypatch, moment):
    assert threading.current_thread() is threading.main_thread()
    with monkeypatch.context() as patched:
        after_progress(patched, moment)
        code, out, error = isthmus("train", "sac", "pendulum", *SMALL, "--out", "run")
    assert (code, error) == (130, "")
    assert f"interrupted after {moment} of 200 control periods" in out
    line = next(line for line in out.splitlines() if line.startswith("go on with: isthmus "))
    assert Artifact.load("run/policy.isthmus").training["steps"] == moment
    assert not list(Path("run").rglob("*.partial"))
    code, out, _ = isthmus(*line.removeprefix("go on with: isthmus ").split())
    assert code == 0
    assert f"goes on at {moment} of 200 control periods" in out
    assert [json.loads(row)["step"] for row in Path("run/metrics.jsonl").read_text().splitlines()] == [200]


@pytest.mark.parametrize(("moment", "finished"), [(5, 0), (350, 10)])
def test_ctrl_c_in_eval_keeps_the_episodes_that_are_finished(isthmus, here, monkeypatch, moment, finished):
    after_progress(monkeypatch, moment)
    words = ("eval", "policy.isthmus", "--plant", "pybullet", "--episodes", 20, "--json", "result.json", "--record", "traces")
    code, out, error = isthmus(*words)
    assert code == 130
    assert "Traceback" not in error
    if finished:
        assert f"interrupted after {finished} of 20 episodes" in error
        assert json.loads(Path("result.json").read_text())["episodes"] == finished
        assert f"{finished} episodes of pendulum" in out
    else:
        assert not Path("result.json").exists()
    assert len(list(Path("traces").glob("*.mcap"))) == finished
