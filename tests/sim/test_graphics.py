"""`MUJOCO_GL` without a screen: one sentence with the right cure."""

import os
import socket
import subprocess
import sys

import pytest

from isthmus_sim.graphics import check_drawing, check_mujoco, drawing_problem, has_screen

BAD = {
    "glfw": "MUJOCO_GL is 'glfw', which draws on a screen, and there is none; unset MUJOCO_GL or set it to egl",
    "glx": "which draws on a screen, and there is none; unset MUJOCO_GL",
    "bogus": "MUJOCO_GL is 'bogus', which MuJoCo does not know; unset MUJOCO_GL",
    "off": "MUJOCO_GL is 'off', which turns drawing off; unset MUJOCO_GL",
}


@pytest.fixture
def headless(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("value", BAD)
def test_a_value_that_cannot_draw_is_refused_with_its_cure(headless, value):
    headless.setenv("MUJOCO_GL", value)
    with pytest.raises(OSError, match="MUJOCO_GL") as told:
        check_drawing()
    assert BAD[value] in str(told.value)


def test_osmesa_without_its_library_is_refused(headless):
    headless.setenv("MUJOCO_GL", "osmesa")
    headless.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(OSError, match="its library is not installed; unset MUJOCO_GL, or install it with: apt-get install libosmesa6"):
        check_mujoco()


@pytest.mark.parametrize("value", ["", "egl", "EGL"])
def test_what_works_without_a_screen_passes(headless, value):
    headless.setenv("MUJOCO_GL", value)
    assert drawing_problem() == ("", "")


def test_physics_needs_no_screen(headless):
    headless.setenv("MUJOCO_GL", "glfw")
    check_mujoco()


def test_a_screen_is_one_that_answers(headless, tmp_path):
    """Of a session that has ended a name is left, and everything that drew ended in a traceback."""
    for gone in (":77", "localhost:55000", "nothing", ":99999999", "unix:77.0"):
        headless.setenv("DISPLAY", gone)
        assert not has_screen()
    headless.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(OSError, match=r"which draws on a screen, and nothing answers at DISPLAY=unix:77\.0; unset MUJOCO_GL"):
        check_drawing()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        headless.setenv("DISPLAY", f"127.0.0.1:{server.getsockname()[1] - 6000}.0")
        check_drawing()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-0"))
        server.listen()
        headless.delenv("DISPLAY")
        headless.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        headless.setenv("WAYLAND_DISPLAY", "wayland-0")
        check_drawing()


@pytest.mark.parametrize("library", ["bogus", "glx", "osmesa"])
def test_a_library_that_draws_with_something_else_is_named_where_it_counts(headless, library):
    headless.setenv("MUJOCO_GL", "egl")
    headless.setenv("PYOPENGL_PLATFORM", library)
    assert drawing_problem() == (f"PYOPENGL_PLATFORM is '{library}', with which MuJoCo cannot draw by egl", "unset PYOPENGL_PLATFORM")
    check_mujoco()  # physics draws nothing
    headless.setenv("MUJOCO_GL", "osmesa")
    assert (library == "osmesa") == ("PYOPENGL_PLATFORM" not in drawing_problem()[0])


@pytest.mark.parametrize("value", ["glfw", "bogus"])
def test_a_film_that_cannot_be_drawn_is_a_sentence_and_no_file(tmp_path, value):
    environment = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")} | {"MUJOCO_GL": value}
    command = [sys.executable, "-c", "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"]
    done = subprocess.run(
        [*command, "view", "pendulum", "--video", str(tmp_path / "x.gif")], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert BAD[value] in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not os.listdir(tmp_path)
