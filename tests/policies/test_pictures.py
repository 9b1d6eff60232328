"""Pictures in the replay: one frame per control period, stacked as the environment stacked them."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transitions import small_contract

import isthmus_policies.pictures
from isthmus import Signal
from isthmus.signals import CameraSpec
from isthmus_policies.pictures import Pictures
from isthmus_policies.replay import Replay


def camera(name="wrist", history=3, stride=2, size=1):
    return Signal(name, "image", (), "1", (), (), dtype="uint8", history=history, stride=stride, camera=CameraSpec(size, size))


def seeing(*cameras):
    return dataclasses.replace(small_contract(size=1), observation=(*small_contract(size=1).observation, *cameras))


class Film:
    """Rows of which every picture is another one: red is the row, green the episode, blue the control period in it."""

    def __init__(self, replay, rows):
        self.replay, self.rows = replay, rows
        self.episode, self.time = np.zeros(rows, int), np.zeros(rows, int)

    def observe(self):
        def stack(row):
            times = np.maximum(self.time[row] - 2 * np.arange(2, -1, -1), 0)  # as `ObservationBuilder` begins: the first sample, repeated
            return [(row, self.episode[row] % 256, time) for time in times]

        pictures = np.array([stack(row) for row in range(self.rows)], dtype=np.uint8)[:, :, None, None]
        return {"state": np.zeros((self.rows, 1, 1)), "wrist": pictures}

    def step(self, ended, lost):
        before, zero = self.observe(), np.zeros((self.rows, 1))
        self.time = self.time + 1
        self.replay.add(before, zero, zero, self.time - 1.0, ended & False, ended | lost, self.observe(), lost)
        self.begin(np.flatnonzero(ended | lost))

    def begin(self, rows):
        self.episode[rows] += 1
        self.time[rows] = 0


def played(seed, rows=2, capacity=40, steps=60):
    generator = np.random.default_rng(seed)
    film = Film(Replay(seeing(camera()), capacity, rows), rows)
    for _ in range(steps):
        film.step(generator.random(rows) < 0.1, generator.random(rows) < 0.05)
        if generator.random() < 0.05:
            film.replay.cut()
            film.begin(np.arange(rows))
    return film


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 3), capacity=st.integers(24, 90), steps=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_a_drawn_stack_is_the_one_that_was_observed_whatever_ended_and_was_overwritten(seed, rows, capacity, steps):
    batch = played(seed, rows, capacity).replay.sample(100, 0.9, steps, np.random.default_rng(seed))
    stacks = batch.observation["wrist"][:, :, 0, 0].numpy().astype(int)
    for stack in stacks:
        row, episode, newest = stack[-1]
        assert stack.tolist() == [[row, episode, max(newest - back, 0)] for back in (4, 2, 0)]
    assert (stacks[:100, -1, :2] == stacks[100:, -1, :2]).all()  # of one row and episode
    assert ((stacks[100:, -1, 2] - stacks[:100, -1, 2]) >= 1).all()
    assert batch.observation["wrist"].dtype == torch.uint8


def test_a_frame_is_kept_once_however_long_the_stacks_are():
    one, many = (Replay(seeing(camera(history=history, size=84)), 1000) for history in (1, 9))
    assert many.nbytes == pytest.approx(one.nbytes, rel=0.001)
    assert many.nbytes == pytest.approx(1000 * 84 * 84 * 3, rel=0.001)


def test_observations_keep_the_type_of_pictures():
    assert played(0).replay.observations(10)["wrist"].dtype == np.uint8


def test_a_loaded_replay_draws_the_same_stacks():
    film = played(1)
    other = Replay(seeing(camera()), 40, 2)
    other.load(film.replay.state())
    first, second = (replay.sample(50, 0.9, 3, np.random.default_rng(1)).observation["wrist"] for replay in (film.replay, other))
    assert torch.equal(first, second)


def test_frames_in_a_file_are_those_of_the_memory_and_leave_nothing_behind(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (30, 1, 1, 8, 8, 3), dtype=np.uint8)
    drawn = []
    for large in (10**9, 0):
        monkeypatch.setattr(isthmus_policies.pictures, "LARGE", large)
        kept = Pictures([camera(history=1, size=8)], 1, 30, tmp_path)
        assert len(kept._mapped) == (large == 0)
        for slot, picture in enumerate(pictures):
            kept.put(np.array([slot]), {"wrist": picture}, np.array([slot]))
        drawn.append(kept.stacks(torch.tensor([3, 7, 29]))["wrist"])
    assert torch.equal(*drawn)
    assert torch.equal(drawn[0][:, 0], torch.from_numpy(pictures[[3, 7, 29], 0, 0]))
    assert not list(tmp_path.iterdir())


def test_more_pictures_than_memory_are_refused_with_what_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(isthmus_policies.pictures.os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 250_000}[name])
    with pytest.raises(
        ValueError, match=r"pictures of 100000 control periods need 2.12 GB, and this machine has 1.02 GB of memory; remember fewer with"
    ):
        Replay(seeing(camera(size=84)), 100_000)
    with pytest.raises(ValueError, match=r"--buffer-size 24187$"):
        Replay(seeing(camera(size=84)), 100_000, folder=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(isthmus_policies.pictures.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10**9}))
    with pytest.raises(
        ValueError, match=rf"need 2.12 GB, and the disk of {tmp_path} has 1 GB left; remember fewer with --buffer-size 23620$"
    ):
        Replay(seeing(camera(size=84)), 100_000, folder=tmp_path)
