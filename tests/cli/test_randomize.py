"""`--randomize` of `isthmus eval` and `isthmus train sac`."""

import json

import pytest

from isthmus.artifact import Artifact
from isthmus.trace import read_trace
from isthmus_sim.randomization import load_randomization

TEXT = """
parameters:
  payload: {unit: kg, uniform: {low: 0.1, high: 0.5}}
  joint_damping: {curriculum: {start: [0.0, 0.0], end: [0.0, 0.2]}}
"""
SMALL = ("--learning-starts", 100, "--batch-size", 16, "--hidden", 16, "--evaluate-every", 300)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ranges.yaml"
    path.write_text(TEXT)
    return path


def test_each_episode_draws_by_its_seed_whatever_the_engine_and_the_batch(read_json, policies, file, tmp_path):
    words = ("eval", policies / "pendulum.isthmus", "--randomize", file, "--json", "-")
    first = read_json(*words, "--episodes", 12, "--seed", 3, "--plant", "pybullet")
    second = read_json(*words, "--episodes", 1, "--seed", 14, "--plant", "mujoco", "--record", tmp_path)
    drawn = [episode["parameters"] for episode in first["per_episode"]]
    assert len({values["payload"] for values in drawn}) == 12
    assert all(0.1 <= values["payload"] <= 0.5 and 0 <= values["joint_damping"] <= 0.2 for values in drawn)
    assert second["per_episode"][0]["parameters"] == drawn[11]
    trace = read_trace(tmp_path / "mujoco-000014.mcap")
    assert float(trace.metadata["parameter.payload"]) == drawn[11]["payload"]


def test_a_given_value_stands_beside_the_drawn_ones(read_json, refuse, policies, file):
    words = ("eval", policies / "pendulum.isthmus", "--randomize", file, "--episodes", 1, "--json", "-", "--parameters")
    (episode,) = read_json(*words, "gravity=9.7")["per_episode"]
    assert set(episode["parameters"]) == {"gravity", "payload", "joint_damping"}
    assert "parameter 'payload' is both given and randomised" in refuse(*words, "payload=0.2")


def test_evidence_says_what_was_drawn_from(isthmus, policies, file, tmp_path):
    policy = tmp_path / "policy.isthmus"
    policy.write_bytes((policies / "pendulum.isthmus").read_bytes())
    isthmus("eval", policy, "--randomize", file, "--episodes", 1, "--evidence")
    digest = load_randomization(file).digest()
    evidence = Artifact.load(policy).evidence[f"eval-mujoco-randomized-{digest[:8]}"]
    assert evidence["randomization"]["digest"] == digest


def test_training_follows_the_curriculum_and_the_policy_says_so(isthmus, file, tmp_path, monkeypatch):
    from isthmus_sim.randomization import Sampler

    asked = []
    sample = Sampler.sample
    monkeypatch.setattr(
        Sampler, "sample", lambda self, rows, progress=1.0: (len(rows) == 1 and asked.append(progress), sample(self, rows, progress))[1]
    )
    out = tmp_path / "run"
    code, _, error = isthmus("train", "sac", "pendulum", "--steps", 650, "--out", out, "--randomize", file, *SMALL)
    assert code == 0, error
    assert asked == sorted(asked)
    assert asked[0] == 0
    assert any(0.5 < share < 1 for share in asked)
    said = Artifact.load(out / "policy.isthmus").training["randomization"]
    assert said["digest"] == load_randomization(file).digest()
    assert json.dumps(said["content"]["parameters"]["payload"]) == '{"uniform": {"high": 0.5, "low": 0.1}, "unit": "kg"}'


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("parameters: {paylod: {uniform: {low: 0, high: 1}}}", "", "unknown parameter 'paylod'; did you mean 'payload'?"),
        ("parameters: {payload: {uniform: {low: -1, high: 1}}}", "", "parameter 'payload' must be in 0 … 20 kg, got -1"),
        ("parameters: {payload: {uniform: {low: 1, high: 0}}}", "", "ranges.yaml: parameters.payload.uniform: low must be < high"),
        (
            'parameters: {"*.armature": {uniform: {low: 0.1, high: 1}}}',
            "--plant pybullet",
            "plant 'pybullet' cannot express parameter 'hinge.armature'",
        ),
        (TEXT, "--plant ros", "--randomize is not available with --plant ros; it works with"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(refuse, policies, file, text, words, sentence):
    file.write_text(text)
    assert sentence in refuse("eval", policies / "pendulum.isthmus", "--randomize", file, *words.split())


def test_training_refuses_before_it_leaves_anything_behind(refuse, file, tmp_path):
    file.write_text("parameters: {puck.mass: {uniform: {low: 1, high: 2}}}")
    assert "unknown parameter 'puck.mass'" in refuse("train", "sac", "pendulum", "--randomize", file, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
