"""`isthmus view` and films, on a machine without a screen."""

import dataclasses
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from isthmus import Command, load_robot
from isthmus_cli.view.agents import Agent
from isthmus_cli.view.robot import swept
from isthmus_sim.plants import make_plant
from isthmus_sim.tasks import get_task


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    monkeypatch.setattr("isthmus_cli.view.command.has_screen", lambda: False)


@pytest.fixture
def short(monkeypatch):
    """Episodes of the pendulum with three steps: pictures are slow without a graphics card."""
    task = dataclasses.replace(get_task("pendulum"), episode_steps=3, success_steps=1)
    monkeypatch.setattr("isthmus_cli.view.command.get_task", lambda name: task)
    monkeypatch.setattr("isthmus_evidence.pictures.film._LARGE", (144, 256))
    return task


def frames_of(path):
    import imageio

    with imageio.get_reader(path) as reader:
        return reader.get_meta_data(), np.array([*reader.iter_data()])


@pytest.mark.parametrize("words", [["--agent", "random"], ["POLICY"]])
def test_an_episode_is_filmed(isthmus, policies, short, tmp_path, words):
    file = tmp_path / "new" / "film.mp4"
    code, out, _ = isthmus("view", "pendulum", *(policies / "pendulum.isthmus" if w == "POLICY" else w for w in words), "--video", file)
    assert code == 0
    assert f"video: {file}" in out
    facts, frames = frames_of(file)
    assert facts["fps"] == 20
    assert frames.shape == (3, 144, 256, 3)
    assert frames[0].std() > 5


def test_a_gif_keeps_real_time(isthmus, short, tmp_path):
    from PIL import Image

    assert isthmus("view", "pendulum", "--video", tmp_path / "film.gif")[0] == 0
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
        assert film.info["duration"] == 50


def test_without_a_screen_one_sentence_offers_a_film(refuse):
    told = "there is no screen here; write a film with --video FILE.mp4, or look at it in a browser with --browser"
    assert refuse("view", "reach") == f"isthmus: {told}"


def test_a_dump_is_diagnosed_without_a_screen(isthmus, tmp_path, monkeypatch):
    plant = make_plant("mujoco", load_robot("pendulum"), mode="effort", period=0.05)
    plant.reset(state={"velocity": np.array([[1e200]])})
    plant.write(Command("effort", ("hinge",), np.zeros((1, 1))))
    plant.advance()
    plant.dump(0, tmp_path / "row.npz")
    plant.close()
    code, out, _ = isthmus("view", "--dump", tmp_path / "row.npz")
    assert code == 0
    assert "1e+200 rad/s at hinge (too fast)" in out
    assert "there is no screen here" in out
    monkeypatch.setattr("isthmus_evidence.pictures.film._LARGE", (144, 256))
    assert isthmus("view", "--dump", tmp_path / "row.npz", "--video", tmp_path / "row.mp4")[0] == 0
    assert len(frames_of(tmp_path / "row.mp4")[1]) >= 1


@pytest.mark.parametrize("name", ["ur5e_gripper", "diffbot", "quadruped"])
def test_each_joint_is_swept_through_its_range_and_back(name):
    robot = load_robot(name)
    paths = dict(swept(robot))
    if name == "diffbot":
        assert set(paths) == set(robot.base.wheels)
        return
    assert list(paths) == list(robot.joint_names)
    for joint in robot.joints:
        path = paths[joint.name]
        assert (path[0], path[-1]) == (joint.home, joint.home)
        step = np.abs(np.diff(path)).max()
        assert path.min() == pytest.approx(joint.position[0], abs=step)
        assert path.max() == pytest.approx(joint.position[1], abs=step)


def test_a_robot_is_filmed_before_there_is_a_task(isthmus, refuse, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus_evidence.pictures.film._LARGE", (72, 128))
    monkeypatch.setattr("isthmus_cli.view.robot.LONGEST", 0.2)
    shutil.copytree(load_robot("pendulum").folder, tmp_path / "robots" / "pendulum")  # a task, too
    code, out, error = isthmus("view", "pendulum", "--robots", tmp_path / "robots", "--video", tmp_path / "film.mp4")
    assert code == 0, error
    assert "hinge" in out
    frames = frames_of(tmp_path / "film.mp4")[1]
    assert len(frames) == 5
    assert np.abs(frames[0].astype(int) - frames[1]).max() > 50
    assert "there is no screen here" in refuse("view", "fr3")
    assert "unknown robot 'fr4'; did you mean 'fr3'?" in refuse("view", "fr4", "--robots", tmp_path / "robots")


@pytest.mark.parametrize("name", ["zero", "random", "sine"])
def test_agents_stay_within_the_action_s_bounds(name):
    contract = get_task("reach").contract
    agent = Agent(name, contract)
    agent.reset(seed=1)
    observation = {"joint_position": np.zeros((2, 1, 6))}
    actions = np.array([agent.act(observation).actions for _ in range(100)])
    assert actions.shape == (100, 2, 1, 6)
    assert (actions >= contract.action.low).all()
    assert (actions <= contract.action.high).all()
    assert (actions.std(axis=0) > 0).all() == (name != "zero")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "give either a task, a robot or a policy file, or --dump FILE"),
        ("reach --dump row.npz", "give either a task, a robot or a policy file, or --dump FILE"),
        ("reech", "unknown task 'reech'; did you mean 'reach'?"),
        ("reach --agent sinus", "unknown agent 'sinus'; did you mean 'sine'? Known: random, sine, zero"),
        ("reach --video film.avi", "unknown video format '.avi'; Known: .gif, .mp4"),
        ("reach --seed -1", "seed must be >= 0, got -1"),
        ("--dump nothing.npz", "nothing.npz: No such file or directory"),
    ],
)
def test_user_errors_are_one_sentence(refuse, words, sentence):
    assert sentence in refuse("view", *words.split())


def test_a_policy_of_another_task_is_refused(refuse, policies):
    assert "another contract than task 'reach'" in refuse("view", "reach", policies / "pendulum.isthmus")


def test_a_recording_is_filmed_in_its_own_time(isthmus, policies, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus_evidence.pictures.film._LARGE", (144, 256))
    monkeypatch.setattr("isthmus_cli.view.motion.PERIOD", 1.0)
    monkeypatch.setattr("isthmus_cli.view.recording.PERIOD", 1.0)
    assert isthmus("eval", policies / "pendulum.isthmus", "--episodes", 1, "--record", tmp_path)[0] == 0
    (recording,) = tmp_path.glob("*.mcap")
    code, out, error = isthmus("view", recording, "--video", tmp_path / "film.gif")
    assert (code, error) == (0, "")
    assert "pendulum with pendulum, 200 control periods, " in out
    from PIL import Image

    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 11


def test_a_recording_of_no_period_is_refused(refuse, monkeypatch, tmp_path):
    monkeypatch.setattr("isthmus_cli.view.recording.read_trace", lambda path: SimpleNamespace(stamps=()))
    (tmp_path / "empty.mcap").write_bytes(b"")
    assert "empty.mcap holds no control period" in refuse("view", tmp_path / "empty.mcap", "--video", tmp_path / "film.gif")


def test_a_page_needs_viser_and_is_no_film(refuse, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "viser", None)
    missing = "this needs viser, which is not installed; install it with: pip install 'isthmus[browser]'"
    for words in (("pendulum",), ("fr3",)):
        assert refuse("view", *words, "--browser") == f"isthmus: {missing}"
    assert "give one of them" in refuse("view", "pendulum", "--browser", "--video", tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
