"""The commands on analytic systems."""

import json

import pytest

pytest.importorskip("mujoco")

from isthmus_cli.main import main
from isthmus_sim.systems import get_system


def test_from_training_to_evidence(tmp_path, capsys):
    pytest.importorskip("torch")
    out, result = tmp_path / "run", tmp_path / "result.json"
    assert main(["train", "npc", "stl:ship-safe", "--iterations", "3", "--batch", "20", "--held-out", "50", "--out", str(out)]) == 0
    curve = json.loads((out / "curve.json").read_text())
    assert [row["iteration"] for row in curve] == [0, 3]
    assert main(["train", "npc", "stl:ship-safe", "--out", str(out)]) == 2
    assert "already holds a training" in capsys.readouterr().err
    policy = str(out / "policy.isthmus")
    assert main(["eval", policy, "--episodes", "3", "--json", str(result), "--evidence"]) == 0
    assert json.loads(result.read_text())["specification"]["text"] == get_system("stl:ship-safe").specification
    assert main(["inspect", policy]) == 0
    assert "npc" in capsys.readouterr().out
    assert main(["eval", policy, "--plant", "pybullet", "--record", str(tmp_path)]) == 2
    assert "'stl:ship-safe' is an analytic model, so --plant and --record cannot be used with it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "npc", "stl:mase"], "no model to plan on for task 'stl:mase'; did you mean 'stl:maze'"),
        (["train", "npc", "reach"], "no model to plan on for task 'reach'"),
        (["train", "npc", "stl:maze", "--batch", "0"], "batch must be > 0, got 0"),
        (["train", "npc", "stl:maze", "--seed", "-1"], "seed must be >= 0, got -1"),
        (["tasks", "stl:none"], "unknown task 'stl:none'"),
    ],
)
def test_what_the_user_got_wrong(words, sentence, capsys):
    assert main(words) == 2
    assert sentence in capsys.readouterr().err


def test_systems_are_listed_and_shown(capsys):
    assert main(["tasks", "stl:", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == "stl:traffic"
    assert main(["tasks", "stl:maze"]) == 0
    assert "always[0,25]" in capsys.readouterr().out
    assert main(["tasks", "stl:maze", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["horizon"] == 25
