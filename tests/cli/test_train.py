"""`isthmus train sac`: a small training from the command line, and Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from isthmus.artifact import Artifact
from isthmus_policies.sac import sac_config

SMALL = ("--learning-starts", 100, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from isthmus_cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    assert main([str(word) for word in ("train", "sac", "pendulum", "--steps", 700, "--seed", 3, "--out", folder, *SMALL)]) == 0
    return folder


def test_training_leaves_a_policy_that_eval_runs(trained, read_json):
    training = Artifact.load(trained / "policy.isthmus").training
    assert (training["algorithm"], training["seed"], training["config"]["steps"]) == ("sac", 3, 700)
    result = read_json("eval", trained / "policy.isthmus", "--episodes", 2, "--json", "-")
    assert result["task"] == "pendulum"


def test_training_leaves_curves_and_a_checkpoint(trained):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [300, 600, 700]
    assert list((trained / "checkpoints").glob("*.safetensors"))
    assert list((trained / "tensorboard").iterdir())


def test_equal_seeds_give_equal_policies(trained, tmp_path, isthmus):
    code, out, _ = isthmus("train", "sac", "pendulum", "--steps", 700, "--seed", 3, "--out", tmp_path, *SMALL)
    assert code == 0
    for word in ("angle", "rad^2", "tensorboard --logdir", f"next: isthmus eval {tmp_path / 'policy.isthmus'}"):
        assert word in out
    first, second = (Artifact.load(folder / "last.isthmus") for folder in (trained, tmp_path))
    assert first.policy_digest == second.policy_digest


@pytest.mark.parametrize(("task", "steps"), [("pendulum", 10_000), ("reach", 20_000), ("reach-wide", 100_000)])
def test_defaults_are_those_of_the_task(isthmus, task, steps):
    assert f"(default: {steps})" in " ".join(isthmus("train", "sac", task, "--help")[1].split())
    assert sac_config(task).steps == steps


def test_interrupted_training_keeps_a_checkpoint(tmp_path):
    words = [str(word) for word in ("train", "sac", "pendulum", "--steps", 100_000, "--out", tmp_path / "run", *SMALL)]
    program = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"
    # A shell that runs this in the background may have SIGINT ignored, and Python would inherit that.
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        for line in process.stdout:
            if line.startswith("sac pendulum: "):
                break
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    checkpoint = re.search(r"^checkpoint: (.*)$", out, re.MULTILINE)
    assert checkpoint
    assert os.path.getsize(checkpoint[1]) > 0
    assert re.search(r"interrupted after \d+ of 100000 control periods", out)
    assert Artifact.load(tmp_path / "run" / "policy.isthmus").contract.task == "pendulum"
