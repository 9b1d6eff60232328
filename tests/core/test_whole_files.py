"""Files appear whole or not at all, and a full disk is told with its file; `/dev/full` is a disk that is full."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from isthmus.files import named, whole_file, write_whole


def test_a_file_replaces_the_old_one_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_whole(path, b"old")
    write_whole(path, "new ±")
    assert path.read_text(encoding="utf-8") == "new ±"
    assert os.listdir(path.parent) == ["file.json"]


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "chart.png"
    write_whole(path, "old")

    def fail():
        with whole_file(path) as partial:
            assert partial.suffix == ".png"
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["chart.png"]


def full(path: Path) -> None:
    with Path("/dev/full").open("wb") as file:
        file.write(b"x")


def test_a_full_disk_is_told_with_the_file(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(OSError, match="No space left") as told, whole_file(path) as partial:
        full(partial)
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(path))
    with pytest.raises(OSError, match="No space left") as told, named(path):
        full(path)
    assert told.value.filename == str(path)
    assert not os.listdir(tmp_path)


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no regular file"):
        write_whole(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as told, whole_file(tmp_path / "file.json"):
        (tmp_path / "other").read_bytes()
    assert told.value.filename == str(tmp_path / "other")


def test_a_checkpoint_on_a_full_disk_is_an_error_of_the_system_with_its_file(tmp_path, monkeypatch):
    checkpoint = pytest.importorskip("isthmus_policies.checkpoint")
    import torch

    def save_file(*_, **__):
        raise checkpoint.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    with pytest.raises(OSError, match="No space left") as told:
        checkpoint.save_checkpoint(tmp_path, 300, {"weight": torch.zeros(2)}, {})
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "step_000000300.safetensors"))
    assert not os.listdir(tmp_path)


def test_a_recording_that_cannot_be_written_is_removed_and_named(tmp_path):
    from sample_contract import make_contract

    from isthmus.records import Measurement
    from isthmus.trace import TraceStep, TraceWriter

    path, contract = tmp_path / "run.mcap", make_contract()
    joints = contract.action.elements
    measurement = Measurement(np.zeros(1), joints, np.zeros((1, len(joints))), np.zeros((1, len(joints))))

    def fill():
        with TraceWriter(path, contract, {}) as writer, Path("/dev/full").open("wb") as disk:
            os.dup2(disk.fileno(), writer._file.fileno())
            for _ in range(5000):
                writer.record(TraceStep(measurement, None, None))

    with pytest.raises(OSError, match="No space left") as told:
        fill()
    assert told.value.filename == str(path)
    assert not os.listdir(tmp_path)
