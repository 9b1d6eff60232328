"""The demo's report: made of real evaluations and traces, with a sentence where something is missing."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.artifact import Artifact
from isthmus.guard import PASS, STOP
from isthmus.trace import TraceStep, TraceWriter, read_trace
from isthmus_cli.console import write_json
from isthmus_cli.demo import command as module
from isthmus_cli.demo.facts import PLANTS, demo_facts
from isthmus_evidence.pictures.plots import interval_chart
from isthmus_evidence.pictures.stills import Stills, cut_out, save_stills
from isthmus_evidence.reports.demo_files import load_demo, percentiles
from isthmus_evidence.reports.report import write_report
from isthmus_evidence.task_evaluation import evaluate_task
from isthmus_sim.tasks import get_task

TASK = replace(get_task("reach"), episode_steps=30)
TIMES = {"p50": 0.2, "p99": 1.0, "p99.9": 2.0, "max": 3.0}
CADENCE = {"period_ms": 50.0, "steps": 24, "realtime": True, "missed": 1, "skipped": 0}
CADENCE |= {"lateness_ms": TIMES, "inference_ms": TIMES, "work_ms": TIMES}
SECTIONS = (
    "Success",
    "Learning",
    "One episode in each world",
    "Loop period and latency over ROS 2",
    "What the guard did",
    "How it moved",
    "The contract",
    "The same figures again",
    "Machine and time",
)


@pytest.fixture(scope="session")
def finished(policies, tmp_path_factory):
    """A demo of short episodes; a recorded PyBullet run stands in for the one over ROS 2, whose files have the same form."""
    out = tmp_path_factory.mktemp("demo")
    (out / "train").mkdir()
    shutil.copy(policies / "reach.isthmus", out / "train" / "policy.isthmus")
    rows = [{"step": 100, "return": -3.5, "success": 0.0}, {"step": 200, "return": -1.0, "success": 0.5}]
    (out / "train" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    policy = Artifact.load(policies / "reach.isthmus").policy()
    films = {plant: Stills(6, TASK.episode_steps) for plant in PLANTS}
    for plant, film in films.items():
        summary = evaluate_task(TASK, policy, plant, episodes=2, record=out / "traces", film=film)
        write_json(summary, out / f"{plant}.json")
    for number in range(2):
        shutil.copy(out / "traces" / f"pybullet-00000{number}.mcap", out / "traces" / f"ros-00{number}.mcap")
    episodes = [{key: value for key, value in row.items() if key not in ("rungs", "terms")} for row in summary["per_episode"]]
    write_json({**summary, "plant": "ros", "cadence": CADENCE, "per_episode": episodes}, out / "ros.json")
    save_stills(out / "frames", films)
    facts = demo_facts(TASK, 200, 0, out, 2, 2)
    write_json({**facts, "stages": [{"name": "train <fast>", "seconds": 1.5}]}, out / "demo.json")
    return out


@pytest.fixture
def out(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "demo")
    return tmp_path / "demo"


def page_of(folder):
    html, _ = write_report(folder)
    return html.read_text(encoding="utf-8")


def test_every_section_and_every_figure_is_there(out):
    page = page_of(out)
    assert re.findall(r"<h2>(.*?)</h2>", page) == list(SECTIONS)
    assert 'class="missing"' not in page
    assert page.count('class="chart"') == 2 + 3 + 3 + 1  # learning, distances, commands, periods
    assert page.count("<img ") == 12
    assert page.count('class="dot"') == 3
    assert page.count('class="bar"') == 3


def test_the_page_says_that_the_robot_is_a_second_simulator(out):
    page = page_of(out)
    assert "No hardware was involved." in page
    assert "second simulator" in page
    assert "payload 1 kg, joint damping 2 N·m·s/rad" in page


def test_the_page_is_well_formed_and_every_id_is_unique(out):
    page = page_of(out)
    tree = ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert "train &lt;fast&gt;" in page


def test_the_page_needs_nothing_from_outside(out):
    tags, targets = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)
            targets.extend(value for name, value in attrs if name in ("src", "href", "xlink:href"))

    page = page_of(out)
    Reader().feed(page)
    assert not {"script", "link", "iframe"} & set(tags)
    assert targets
    assert all(target.startswith(("data:image/png;base64,", "#")) for target in targets)
    assert not re.search(r"url\((?!#)|@import", page)


def test_charts_have_no_colour_of_their_own(out):
    charts = "".join(re.findall(r'<svg class="chart".*?</svg>', page_of(out), re.DOTALL))
    assert "var(--mujoco)" in charts
    assert "var(--ros)" in charts
    assert not re.search(r"#0a0b0[0-9a-f]", charts)
    assert set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", charts)) == set()


def test_json_holds_the_figures_of_the_evaluations(out):
    _, file = write_report(out)
    figures = json.loads(file.read_text())
    for world in ("mujoco", "pybullet", "ros"):
        evaluation = json.loads((out / f"{world}.json").read_text())
        assert figures["worlds"][world]["success"] == evaluation["success"]
        assert figures["worlds"][world]["return"] == evaluation["return"]
        assert sum(figures["worlds"][world]["guard"].values()) == 2 * TASK.episode_steps
    assert figures["policy"]["contract_digest"] == TASK.contract.digest()
    assert [row["step"] for row in figures["learning_curve"]] == [100, 200]
    assert figures["sample_period_ms"]["p50"] == pytest.approx(50)


def test_the_page_shows_how_it_moved_and_what_the_worlds_differ_by(out):
    page = page_of(out)
    figures = json.loads((out / "report.json").read_text())
    assert figures["worlds"]["pybullet"]["motion"]["clamped"] == 0
    assert figures["worlds"]["pybullet"]["ends"] == {"time limit": 2}
    assert list(figures["paired"]) == ["pybullet less mujoco", "ros less mujoco"]
    assert figures["paired"]["pybullet less mujoco"]["episodes"] == 2
    assert "PyBullet less MuJoCo" in page
    assert len(re.findall(r"<td class=\"number\">\S+ rad/s</td>", page)) == 3
    assert "time limit 2" in page


def test_evaluations_of_an_older_version_have_no_motion(out):
    for world in ("mujoco", "pybullet", "ros"):
        found = json.loads((out / f"{world}.json").read_text())
        write_json({key: value for key, value in found.items() if key not in ("motion", "ends")}, out / f"{world}.json")
    assert "No figures of the motion: the evaluations hold none." in page_of(out)


def test_an_episode_that_the_guard_stopped_says_so_and_keeps_the_common_time_axis(out):
    whole = read_trace(out / "traces" / "mujoco-000000.mcap")
    with TraceWriter(out / "traces" / "pybullet-000000.mcap", whole.contract, {}) as writer:
        for step in range(10):
            rung, cause = (STOP, "joint <1> oscillates") if step == 9 else (PASS, "")
            writer.record(
                TraceStep(whole.measurement(step), None, whole.executed_command(step), rung, cause, {"goal": whole.inputs["goal"][:1]})
            )
    episodes = load_demo(out).episodes
    assert episodes["pybullet"].duration == episodes["mujoco"].duration
    assert "stopped by the guard: joint &lt;1&gt; oscillates" in page_of(out)


def test_the_shown_distance_is_that_of_the_tool_from_the_goal(out):
    episode = load_demo(out).episodes["mujoco"]
    goal = TASK.start([np.random.default_rng(0)])
    robot = get_task("reach").contract.robot
    from isthmus.kinematics import Kinematics
    from isthmus.robot import load_robot

    profile = load_robot(robot)
    tool = Kinematics(profile.urdf_path).poses(profile.joint_names, goal.state["position"], [profile.tool_frame])[profile.tool_frame]
    assert episode.outcome[0] == pytest.approx(np.linalg.norm(tool.position[0] - goal.inputs["goal"][0]))
    assert episode.time[0] == 0
    assert episode.duration == pytest.approx(TASK.episode_steps * 0.05)


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("ros.json", "Not evaluated: ROS 2."),
        ("ros.json", "No times: ros.json is not there, or holds no cadence."),
        ("train/metrics.jsonl", "No learning curve: train/metrics.jsonl is not there or empty."),
        ("train/policy.isthmus", "No contract: train/policy.isthmus is not there."),
        ("traces/ros-*", "No recorded episode of: ROS 2."),
        ("traces/*", "No tracking plots: the folder traces has no recorded episode."),
        ("frames/*", "No pictures: the folder frames has none."),
        ("demo.json", "No commands: demo.json is not there."),
        ("*.json", "Nothing was evaluated: mujoco.json, pybullet.json and ros.json are not there."),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_shown(out, lost, sentence):
    for file in out.glob(lost):
        file.unlink()
    page = page_of(out)
    assert f'<p class="missing">{sentence}</p>' in page
    assert re.findall(r"<h2>(.*?)</h2>", page) == list(SECTIONS)
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))


def test_a_folder_without_anything_gives_a_page_of_sentences(tmp_path):
    page = page_of(tmp_path)
    assert page.count('class="missing"') == len(SECTIONS) + 1  # pictures and plots are missed apart


def test_refusals_name_the_file(out, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no demo in .*nowhere; make one with: isthmus demo --out"):
        write_report(tmp_path / "nowhere")
    (out / "train" / "metrics.jsonl").write_text('{"step": 1,\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl is not valid JSON"):
        write_report(out)


@given(st.tuples(*[st.floats(0, 1)] * 3).map(sorted))
def test_dots_and_intervals_lie_where_the_shares_are(share):
    low, rate, high = share
    chart = ElementTree.fromstring(interval_chart([("ros", "label", {"low": low, "rate": rate, "high": high})]))
    (line,) = chart.findall("g/line")
    (dot,) = chart.findall("g/circle")
    found = [float(value.rstrip("%")) for value in (line.get("x1"), dot.get("cx"), line.get("x2"))]
    np.testing.assert_allclose(found, [100 * low, 100 * rate, 100 * high], atol=0.01)


@given(st.integers(2, 12), st.integers(1, 500))
def test_stills_span_the_whole_episode(count, steps):
    chosen = Stills(count, steps).steps
    assert (chosen[0], chosen[-1]) == (0, steps - 1)
    assert list(chosen) == sorted(set(chosen))


def test_stills_lose_their_background_and_share_one_crop():
    black, white = np.zeros((50, 60, 3), np.uint8), np.full((50, 60, 3), 255, np.uint8)
    black[10:20, 30:40], white[15:30, 20:35] = 90, 90
    pictures = cut_out({"mujoco": [black], "pybullet": [white]})
    assert pictures["mujoco"][0].shape == pictures["pybullet"][0].shape == (24, 24, 4)  # rows 10 … 30 and columns 20 … 40, with margins
    for plant, size in (("mujoco", 100), ("pybullet", 225)):
        assert (pictures[plant][0][..., 3] == 255).sum() == size


def test_percentiles_of_nothing_are_none():
    assert percentiles(np.zeros(0)) is None
    assert percentiles(np.arange(101.0))["p50"] == 50


def test_the_picture_of_the_readme_is_made_of_the_recorded_runs(finished, tmp_path):
    from PIL import Image

    shutil.copytree(finished, tmp_path / "demo")
    pictures = {plant: [np.asarray(Image.open(file)) for _, file in load_demo(finished).frames[plant]] for plant in PLANTS}
    module._hero(tmp_path / "demo", pictures)
    with Image.open(tmp_path / "demo" / "hero.png") as picture:
        assert picture.size == (2400, 720)
        assert len(picture.convert("RGB").getcolors(maxcolors=1 << 20)) > 100
