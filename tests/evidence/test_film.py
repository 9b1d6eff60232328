"""Films and pictures."""

import gc
import io

import numpy as np
import pytest
from PIL import Image

from isthmus_evidence.pictures.film import Film
from isthmus_evidence.pictures.stills import picture
from isthmus_sim.tasks import get_task


def test_a_fast_loop_is_filmed_at_a_rate_that_eyes_can_see():
    film = Film()
    film.period = 0.002
    for step in range(100):
        film.add(lambda step=step: np.full((2, 2, 3), step, np.uint8))
    assert film.stride == 10
    assert [frame[0, 0, 0] for frame in film.frames] == list(range(0, 100, 10))


def test_a_task_has_a_picture_of_its_beginning(monkeypatch):
    monkeypatch.setattr("isthmus_evidence.pictures.stills._PAGE", (135, 240))
    first, again, other = (pixels(picture(get_task("reach"), seed=seed)) for seed in (0, 0, 1))
    assert np.abs(again - first).mean() < 0.1  # a busy computer's driver rounds some pixels otherwise
    assert np.abs(other - first).mean() > 0.1


def pixels(png):
    with Image.open(io.BytesIO(png)) as opened:
        assert opened.format == "PNG"
        return np.asarray(opened, dtype=float)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_appears_when_it_is_whole(suffix, tmp_path):
    path = tmp_path / f"film{suffix}"
    film = Film(path)
    film.period = 0.05
    for step in range(3):
        film.add(lambda step=step: np.full((16, 16, 3), 80 * step, np.uint8))
        assert not path.exists()
    film.save()
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_whose_first_picture_fails_leaves_nothing(suffix, tmp_path):
    film = Film(tmp_path / f"film{suffix}")
    film.period = 0.05
    with pytest.raises(ZeroDivisionError):
        film.add(lambda: 1 // 0)
    with pytest.raises(ValueError, match="nothing was filmed"):
        film.save()
    del film
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_that_cannot_be_written_is_one_sentence_before_the_first_picture(suffix, tmp_path):
    (tmp_path / f"taken{suffix}").mkdir()
    film = Film(tmp_path / f"taken{suffix}")
    film.period = 0.05
    with pytest.raises(OSError, match=f"taken{suffix}"):
        film.add(lambda: pytest.fail("nothing should be filmed"))
