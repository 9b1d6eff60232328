"""`isthmus train … --seeds`: several trainings side by side, interrupted, resumed and summed up."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from isthmus.artifact import Artifact
from isthmus_cli.train.seeds import parse_seeds
from isthmus_evidence.aggregate import read_evaluations

SMALL = ("--learning-starts", 50, "--batch-size", 8, "--hidden", 8, "--evaluate-every", 100)


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("5", (5,)), ("8, 0-2", (8, 0, 1, 2)), ("3-3", (3,))]
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-0", "-1", "0-", "0..4", "1,,2", "1.5", "٣"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"seeds are numbers and ranges such as 0-4 or 0,3,7, got {text!r}")):
        parse_seeds(text)


def test_a_seed_that_appears_twice_is_named():
    with pytest.raises(ValueError, match="seed 2 appears twice in '0-3,2'"):
        parse_seeds("0-3,2")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from isthmus_cli.main import main

    folder = tmp_path_factory.mktemp("seeds")
    words = ("train", "sac", "pendulum", "--seeds", "3,5", "--steps", 200, "--out", folder, *SMALL)
    assert main([str(word) for word in words]) == 0
    return folder


def test_each_seed_is_the_training_that_it_is_alone(trained, isthmus, tmp_path):
    assert isthmus("train", "sac", "pendulum", "--seed", 5, "--steps", 200, "--out", tmp_path, *SMALL)[0] == 0
    alone, beside = (Artifact.load(folder / "last.isthmus") for folder in (tmp_path, trained / "seed-5"))
    assert alone.policy_digest == beside.policy_digest
    assert (trained / "seed-3" / "log.txt").read_text().count("policy: ") == 1


def test_the_aggregate_is_of_the_evaluations(trained):
    found = json.loads((trained / "aggregate.json").read_text())
    assert (found["algorithm"], found["task"], found["seeds"], found["steps"]) == ("sac", "pendulum", [3, 5], [100, 200])
    last = [read_evaluations(trained / f"seed-{seed}" / "metrics.jsonl")[-1]["return"] for seed in (3, 5)]
    assert found["return"]["iqm"][-1] == pytest.approx(np.mean(last))
    assert found["trained"] == {"3": {"steps": 200, "reached_target": False}, "5": {"steps": 200, "reached_target": False}}
    from PIL import Image

    with Image.open(trained / "aggregate.png") as opened:
        assert opened.format == "PNG"


def test_what_cannot_be_trained_is_refused_before_anything_starts(trained, refuse, tmp_path):
    words = ("train", "sac", "pendulum", "--out", tmp_path / "new", "--steps", 200, *SMALL)
    assert "seeds are numbers and ranges such as 0-4 or 0,3,7, got '4-0'" in refuse(*words, "--seeds", "4-0")
    assert "--seed 1 and --seeds 0-1 cannot be used together" in refuse(*words, "--seeds", "0-1", "--seed", 1)
    assert "jobs must be >= 1, got 0" in refuse(*words, "--seeds", "0-1", "--jobs", 0)
    assert "--jobs goes with --seeds, got --jobs 2" in refuse(*words, "--jobs", 2)
    assert not (tmp_path / "new").exists()
    there = ("train", "sac", "pendulum", "--out", trained, "--seeds", "2-3", *SMALL)
    assert f"{trained / 'seed-3'} already holds a training" in refuse(*there, "--steps", 200)
    assert "cannot be resumed with steps 100 (there: 200)" in refuse(*there, "--steps", 100, "--resume")
    assert not (trained / "seed-2").exists()


def test_a_seed_that_fails_is_named_and_the_others_are_summed_up(trained, isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--steps", 200, *SMALL, "--seeds", "3,5", "--resume", "--out")
    shutil.copytree(trained, tmp_path / "run")
    for file in (tmp_path / "run" / "seed-3" / "checkpoints").iterdir():
        file.write_bytes(b"damaged")
    code, out, _ = isthmus(*words, tmp_path / "run")
    assert code == 1
    assert "seed 3 failed with exit code 1: ValueError: checkpoint" in out
    assert json.loads((tmp_path / "run" / "aggregate.json").read_text())["seeds"] == [5]


def test_the_reference_engine_has_seeds_too(isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--engine", "sb3", "--seeds", "1", "--steps", 150, "--out", tmp_path, *SMALL)
    assert isthmus(*words)[0] == 0
    found = json.loads((tmp_path / "aggregate.json").read_text())
    assert (found["seeds"], found["steps"]) == ([1], [100, 150])
    assert found["trained"] == {"1": {"steps": 150, "reached_target": False}}


@pytest.mark.parametrize(("engine", "begun", "goes_on"), [("isthmus", True, True), ("isthmus", False, False), ("sb3", True, False)])
def test_only_what_can_be_resumed_is_said_to_go_on(trained, isthmus, tmp_path, monkeypatch, engine, begun, goes_on):
    def interrupted(*arguments):
        if begun:
            shutil.copytree(trained / "seed-3", tmp_path / "seed-3")
        raise KeyboardInterrupt

    monkeypatch.setattr("isthmus_cli.train.seeds._run", interrupted)
    code, out, _ = isthmus("train", "sac", "pendulum", "--engine", engine, "--seeds", "3,5", "--out", tmp_path)
    assert code == 130
    assert "interrupted" in out
    assert ("--resume" in out) is goes_on


def test_overwrite_removes_the_trainings_of_all_seeds_before_the_first_begins(trained, isthmus, refuse, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    shutil.copytree(trained, tmp_path / "run")
    monkeypatch.setattr("isthmus_cli.train.seeds._run", interrupted)
    words = ("train", "sac", "pendulum", "--seeds", "3,5", "--out", tmp_path / "run", "--overwrite")
    assert "jobs must be >= 1, got 0" in refuse(*words, "--jobs", 0)
    assert len(list((tmp_path / "run").glob("seed-*/policy.isthmus"))) == 2
    code, out, _ = isthmus(*words)
    assert (code, "--resume" in out) == (130, False)
    assert not list((tmp_path / "run").glob("seed-*/policy.isthmus"))


PROGRAM = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def children(process):
    """Ids of the trainings; other helpers of the command are not among them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def begun(folder, count):
    """Wait until so many trainings are at work, which a checkpoint after the first says."""
    deadline = time.monotonic() + 120
    while len({file.parent for file in folder.glob("seed-*/checkpoints/*[1-9]*")}) < count and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_the_command_ends_all_and_resume_goes_on(tmp_path, end):
    words = ("train", "sac", "pendulum", "--seeds", "0-1", "--jobs", 2, *SMALL, "--checkpoint-every", 50, "--steps", 100_000)
    process = start(*words, "--out", tmp_path)
    try:
        begun(tmp_path, 2)
        trainings = children(process)
        process.send_signal(end)
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert len(trainings) == 2
    deadline = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{training}") for training in trainings) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{training}") for training in trainings)
    for seed in (0, 1):
        assert "interrupted after" in (tmp_path / f"seed-{seed}" / "log.txt").read_text()
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "go on with: isthmus train sac pendulum --seeds 0-1" in out


def test_resumed_seeds_end_as_uninterrupted_ones(trained, isthmus, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "seed-3" / "checkpoints" / "step_000000200.safetensors").unlink()
    words = ("train", "sac", "pendulum", "--steps", 200, *SMALL, "--seeds", "3,5", "--resume", "--out", tmp_path / "run")
    assert isthmus(*words)[0] == 0
    ends = [load_file(folder / "seed-3" / "checkpoints" / "step_000000200.safetensors") for folder in (trained, tmp_path / "run")]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert (tmp_path / "run" / "aggregate.json").read_text() == (trained / "aggregate.json").read_text()
