"""`isthmus train drqv2`: from the pictures of a task to a policy file, from the command line."""

import json

import pytest

import isthmus_cli.train.pixels
import isthmus_cli.train.training
import isthmus_sim.rendering
from isthmus.artifact import Artifact
from isthmus_cli.train.pixels import software_sentence

SMALL = ("--small", "--steps", 90, "--learning-starts", 40, "--batch-size", 8, "--hidden", 16, "--channels", 4, "--evaluate-every", 1000)


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch):
    monkeypatch.setattr(isthmus_cli.train.training, "EVALUATION_EPISODES", 1)


@pytest.mark.parametrize("algorithm", ["drqv2", "mentor"])
def test_a_small_training_leaves_a_policy_that_sees(algorithm, isthmus, tmp_path):
    assert isthmus("train", algorithm, "peg", "--out", tmp_path, *SMALL)[0] == 0
    artifact = Artifact.load(tmp_path / "policy.isthmus")
    assert artifact.training["algorithm"] == algorithm
    assert artifact.contract.signal("wrist").shape == (84, 84, 3)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [90]
    assert isthmus("train", algorithm, "peg", "--out", tmp_path, *SMALL, "--resume")[0] == 0


@pytest.mark.parametrize("algorithm", ["drqv2", "mentor"])
def test_a_task_without_pictures_is_refused_with_those_that_have_some(algorithm, refuse):
    told = refuse("train", algorithm, "reach")
    seeing = "peg, peg-cross, peg-square, reach-pixels, reach-pixels-two do, and tasks of an outside suite"
    assert f"{algorithm} learns from pictures, and task 'reach' shows none; {seeing}" in told
    assert "--small" in refuse("train", algorithm, "peg", "--smal")


def test_more_pictures_than_memory_are_refused_before_the_training(refuse, tmp_path, monkeypatch):
    import isthmus_policies.pictures

    monkeypatch.setattr(isthmus_policies.pictures.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 250_000}[name])
    told = refuse("train", "drqv2", "peg", "--small", "--steps", 100_000, "--out", tmp_path)
    assert "the pictures of 100000 control periods need 4.23 GB, and this machine has 1.02 GB of memory" in told
    assert "remember fewer with --buffer-size 12093" in told


def test_pictures_that_the_processor_draws_are_said_where_a_card_was_asked_for(isthmus, monkeypatch):
    assert isthmus_sim.rendering.drawn_by()
    assert software_sentence("NVIDIA H100/PCIe/SSE2") == ""
    monkeypatch.setattr(isthmus_sim.rendering, "drawn_by", lambda: "llvmpipe (LLVM 15.0.6, 256 bits)")
    told = "pictures are drawn by the processor (llvmpipe (LLVM 15.0.6, 256 bits)), though the networks learn on a card"
    words = ("train", "mentor", "reach-pixels", "--small")
    monkeypatch.setattr(isthmus_cli.train.pixels.TrainPixels, "train", lambda command, config: 0)
    for device, said in (("cuda", True), ("cpu", False)):
        code, out, error = isthmus(*words, "--device", device)
        assert code == 0
        assert (told in out + error) == said
