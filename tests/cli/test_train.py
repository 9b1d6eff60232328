"""`isthmus train sac`: a small training from the command line, Ctrl-C, SIGKILL and --resume."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from isthmus.artifact import Artifact
from isthmus_policies.sac import sac_config

SMALL = ("--learning-starts", 100, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 120)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from isthmus_cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    assert main([str(word) for word in ("train", "sac", "pendulum", "--steps", 200, "--seed", 3, "--out", folder, *SMALL)]) == 0
    return folder


def test_training_leaves_a_policy_that_eval_runs(trained, read_json):
    training = Artifact.load(trained / "policy.isthmus").training
    assert (training["algorithm"], training["seed"], training["config"]["steps"]) == ("sac", 3, 200)
    result = read_json("eval", trained / "policy.isthmus", "--episodes", 2, "--json", "-")
    assert result["task"] == "pendulum"


def test_training_leaves_curves_and_a_checkpoint(trained):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [120, 200]
    assert list((trained / "checkpoints").glob("*.safetensors"))
    assert list((trained / "tensorboard").iterdir())


def test_equal_seeds_give_equal_policies(trained, tmp_path, isthmus):
    code, out, _ = isthmus("train", "sac", "pendulum", "--steps", 200, "--seed", 3, "--out", tmp_path, *SMALL)
    assert code == 0
    for word in ("angle", "rad^2", "tensorboard --logdir", f"next: isthmus eval {tmp_path / 'policy.isthmus'}"):
        assert word in out
    first, second = (Artifact.load(folder / "last.isthmus") for folder in (trained, tmp_path))
    assert first.policy_digest == second.policy_digest


@pytest.mark.parametrize(("task", "steps"), [("pendulum", 10_000), ("reach", 20_000), ("reach-wide", 100_000)])
def test_defaults_are_those_of_the_task(isthmus, task, steps):
    assert f"(default: {steps})" in " ".join(isthmus("train", "sac", task, "--help")[1].split())
    assert sac_config(task).steps == steps


def start(*words):
    program = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"
    # A shell that runs this in the background may have SIGINT ignored, and Python would inherit that.
    return subprocess.Popen(
        [sys.executable, "-c", program, *(str(word) for word in words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def newest(folder):
    return load_file(max((folder / "checkpoints").glob("*.safetensors")))


def test_a_training_killed_at_random_moments_and_resumed_ends_with_the_same_weights(isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--steps", 700, *SMALL, "--evaluate-every", 450, "--checkpoint-every", 100, "--out")
    assert isthmus(*words, tmp_path / "whole")[0] == 0
    generator = np.random.default_rng()
    kills = 0
    for _ in range(40):
        process = start(*words, tmp_path / "killed", *(("--resume",) if (tmp_path / "killed" / "config.json").exists() else ()))
        before = len(list(tmp_path.glob("killed/checkpoints/*")))
        while kills < 2 and process.poll() is None and len(list(tmp_path.glob("killed/checkpoints/*"))) <= min(before, 1):
            time.sleep(0.01)
        try:
            process.wait(timeout=generator.uniform(0, 1.5) if kills < 2 else 120)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        if process.wait() == 0:
            break
    whole, killed = newest(tmp_path / "whole"), newest(tmp_path / "killed")
    assert kills > 0
    assert whole.keys() == killed.keys()
    assert all(np.array_equal(whole[name], killed[name]) for name in whole)


def test_resume_refuses_another_training(trained, refuse):
    told = refuse("train", "sac", "pendulum", "--steps", 150, "--seed", 3, "--out", trained, *SMALL, "--resume")
    assert "holds another training, which cannot be resumed with steps 150 (there: 200)" in told
    told = refuse("train", "sac", "pendulum", "--out", trained)
    assert "already holds a training, of 200 control periods; continue it with --resume, begin anew with --overwrite, or choose" in told
    assert "give one of them" in refuse("train", "sac", "pendulum", "--out", trained, "--resume", "--overwrite")


def test_a_mistyped_folder_is_not_resumed_and_the_one_that_was_meant_is_named(trained, refuse, tmp_path):
    shutil.copytree(trained, tmp_path / "sac-pendulum-3")
    told = refuse("train", "sac", "pendulum", "--out", tmp_path / "sac-pendlum-3", *SMALL, "--resume")
    assert "sac-pendlum-3 holds no training that could be resumed" in told
    assert "did you mean 'sac-pendulum-3'?" in told
    assert not (tmp_path / "sac-pendlum-3").exists()
    assert "there is none in" in refuse("train", "sac", "pendulum", "--out", tmp_path / "no" / "where", *SMALL, "--resume")


def test_a_folder_in_which_nothing_was_learned_does_not_block_and_overwrite_begins_anew(trained, isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--out", tmp_path / "run", *SMALL, "--steps", 120)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(trained / "config.json", tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert isthmus(*words)[0] == 0
    assert isthmus(*words, "--overwrite", "--seed", 5)[0] == 0
    assert Artifact.load(tmp_path / "run" / "policy.isthmus").training["seed"] == 5
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_training_that_did_not_begin_is_not_said_to_go_on(trained, isthmus, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    shutil.copytree(trained, tmp_path / "old")
    monkeypatch.setattr("isthmus_cli.train.training.training_environment", interrupted)
    words = ("train", "sac", "pendulum", "--seed", 3, *SMALL, "--out")
    for more in ((tmp_path / "new",), (tmp_path / "old", "--overwrite")):
        code, out, error = isthmus(*words, *more)
        assert (code, error) == (130, "isthmus: interrupted\n")
        assert "--resume" not in out
    assert list((tmp_path / "old" / "checkpoints").iterdir())
    assert "--resume" in isthmus(*words, tmp_path / "old", "--resume", "--steps", 300)[1]


def test_overwrite_removes_nothing_for_a_training_that_cannot_begin(trained, refuse, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "none.mcap").write_bytes(b"no recording")
    words = ("train", "sac", "pendulum", *SMALL, "--out", tmp_path / "run", "--overwrite")
    assert "none.mcap" in refuse(*words, "--offline", tmp_path / "none.mcap")
    assert Artifact.load(tmp_path / "run" / "policy.isthmus").training["seed"] == 3


def test_a_finished_training_goes_on_for_longer_and_another_starts_from_its_policy(trained, isthmus, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    words = ("train", "sac", "pendulum", "--seed", 3, *SMALL)
    code, out, _ = isthmus(*words, "--steps", 200, "--out", tmp_path / "run", "--resume")
    assert (code, "nothing is left to do; train longer with more --steps" in out) == (0, True)
    code, out, _ = isthmus(*words, "--steps", "2.6e2", "--out", tmp_path / "run", "--resume")
    assert (code, "goes on at 200 of 260 control periods" in out) == (0, True)
    assert Artifact.load(tmp_path / "run" / "last.isthmus").training["steps"] == 260
    code, _, error = isthmus(*words, "--steps", 110, "--out", tmp_path / "from", "--from", trained / "policy.isthmus")
    assert code == 0, error
    assert Artifact.load(tmp_path / "from" / "last.isthmus").training["from"] == Artifact.load(trained / "policy.isthmus").policy_digest


def test_the_engine_of_stable_baselines3_stays_available(isthmus, refuse, tmp_path):
    words = ("train", "sac", "pendulum", "--steps", 130, "--out", tmp_path / "sb3", *SMALL, "--engine", "sb3")
    assert isthmus(*words)[0] == 0
    assert Artifact.load(tmp_path / "sb3" / "policy.isthmus").training["engine"] == "sb3"
    assert "a training with --engine sb3 cannot be resumed" in refuse(*words, "--resume")
    assert "n_step must be 1 with --engine sb3, got 2" in refuse(*words[:6], tmp_path / "new", "--engine", "sb3", "--n-step", 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_keeps_a_checkpoint_and_says_how_to_go_on(tmp_path, number):
    process = start("train", "sac", "pendulum", "--steps", 100_000, "--out", tmp_path / "run", *SMALL)
    try:
        for line in process.stdout:
            if line.startswith("sac pendulum: "):
                break
        process.send_signal(number)
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    done = int(re.search(r"interrupted after (\d+) of 100000 control periods", out)[1])
    assert re.search(r"^checkpoint: (.*)$", out, re.MULTILINE)[1] == str(tmp_path / "run" / "checkpoints" / f"step_{done:09d}.safetensors")
    assert re.search(rf"^go on with: isthmus train sac pendulum .* --out {tmp_path / 'run'} .* --resume$", out, re.MULTILINE)
    assert Artifact.load(tmp_path / "run" / "policy.isthmus").contract.task == "pendulum"
