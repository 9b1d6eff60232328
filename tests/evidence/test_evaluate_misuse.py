"""What `isthmus_evidence.evaluate` cannot do with what it is given is one sentence, before anything moves."""

import re
from pathlib import Path

import numpy as np
import pytest

from isthmus_controllers.scripted import scripted_policy
from isthmus_evidence import evaluate
from isthmus_sim.tasks import get_task


@pytest.fixture(scope="module")
def policy():
    return scripted_policy("reach", get_task("reach").contract)


@pytest.mark.parametrize("wrong", [None, 3, [], np.zeros])
def test_what_is_no_policy(wrong):
    with pytest.raises(
        ValueError, match=r"a policy is the path of a file, an Artifact, or has the methods of isthmus\.policy\.Policy, got"
    ):
        evaluate(wrong, "reach")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("task", 3, "unknown task 3; Known: dodge"),
        ("task", ["reach"], "unknown task ['reach']; Known: dodge"),
        ("plant", None, "unknown plant None; Known: isaacgym, mujoco, pybullet, ros"),
        ("plant", ["mujoco"], "unknown plant ['mujoco']; Known: isaacgym, mujoco, pybullet, ros"),
        ("episodes", 1.5, "episodes must be a whole number of at most 1000000, got 1.5"),
        ("episodes", "4", "episodes must be a whole number of at most 1000000, got '4'"),
        ("episodes", True, "episodes must be a whole number of at most 1000000, got True"),
        ("episodes", 10**18, "episodes must be a whole number of at most 1000000, got 1000000000000000000"),
        ("seed", 1.5, "seed must be a whole number, got 1.5"),
        ("seed", None, "seed must be a whole number, got None"),
        ("replan", "1", "replan must be a whole number, got '1'"),
        ("replan", 0, "replan must be in 1 … 1, got 0"),
        ("parameters", [("payload", 1)], "parameters map names to numbers, such as {'payload': 1.0}, got [('payload', 1)]"),
        ("parameters", {"payload": "1"}, "parameter 'payload' must be a finite number, got '1'"),
        ("parameters", {"payload": float("nan")}, "parameter 'payload' must be a finite number, got nan"),
        ("randomization", "x.yaml", "randomization must be what load_randomization(FILE) returns, or None, got 'x.yaml'"),
        ("record", 3, "record must be a path, got 3"),
        ("progress", 3, "progress must be a function, called with what is done and in total, or None, got 3"),
        ("film", Path("x.mp4"), "film must be a Film, such as Film(Path('film.mp4')), or None, got"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(policy, name, value, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        evaluate(policy, **{"episodes": 1, name: value})


def test_pictures_take_a_text_as_path(policy, tmp_path):
    from isthmus_evidence.pictures.chart import save_chart
    from isthmus_evidence.pictures.film import Film

    film = Film(str(tmp_path / "reach.gif"), (48, 64), studio=False)
    save_chart(evaluate(policy, episodes=1, film=film), str(tmp_path / "reach.png"))
    film.save()
    assert (tmp_path / "reach.png").stat().st_size
    assert (tmp_path / "reach.gif").stat().st_size
    with pytest.raises(ValueError, match="the file of a film must be a path, got 3"):
        Film(3)


def test_a_chart_needs_a_known_suffix(policy, tmp_path):
    from isthmus_evidence.pictures.chart import save_chart

    summary = evaluate(policy, episodes=1)
    with pytest.raises(ValueError, match=r"^a plot is a \.png, \.svg, \.pdf file, got .*reach$"):
        save_chart(summary, tmp_path / "reach")
    with pytest.raises(ValueError, match=r"^the file of a plot must be a path, got None$"):
        save_chart(summary, None)


@pytest.mark.parametrize("wrong", [None, 3, "reach.json", [], {}, {"return": 1.0}])
def test_what_is_no_evaluation(wrong, tmp_path):
    from isthmus_evidence.paired import paired_difference
    from isthmus_evidence.pictures.chart import save_chart

    for asked in (lambda: save_chart(wrong, tmp_path / "x.png"), lambda: paired_difference(wrong, wrong)):
        with pytest.raises(ValueError, match=r"^(summary|here) is no evaluation of episodes, as isthmus eval --json writes it"):
            asked()
