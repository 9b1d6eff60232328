"""What tests of several parts share: packages of a user's own, installed beside isthmus."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from isthmus import installed

hypothesis.settings.register_profile("isthmus", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("isthmus")

EXAMPLE = Path(__file__).parents[1] / "examples" / "my_lab"


@pytest.fixture(scope="session")
def my_lab_files(tmp_path_factory):
    """`examples/my_lab`, installed into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source") / "my_lab", tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLE, source)  # the build leaves files there
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def package(monkeypatch):
    """Puts a folder with installed packages in reach of this process and of those that it starts."""

    def install(folder):
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        installed._offers.cache_clear()

    yield install
    installed._offers.cache_clear()


@pytest.fixture
def my_lab(my_lab_files, package):
    """The example package."""
    package(my_lab_files)


@pytest.fixture
def offer(tmp_path, package):
    """Installs a package that offers something, `group` → `name` → `value`, and has a module `lab_stuff` with `source` in it."""

    def make(offers, name="lab-stuff", source=""):
        lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items()) for group, entries in offers.items()]
        (info := tmp_path / f"{name.replace('-', '_')}-1.0.dist-info").mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(lines))
        (tmp_path / "lab_stuff" / "robots" / "lamp").mkdir(parents=True, exist_ok=True)
        (tmp_path / "lab_stuff" / "robots" / "lamp" / "robot.yaml").write_text("nonsense: 1\n")
        (tmp_path / "lab_stuff" / "__init__.py").write_text(f"CONSTANT = 3\n{source}")
        package(tmp_path)

    yield make
    for module in [name for name in sys.modules if name.partition(".")[0] == "lab_stuff"]:
        del sys.modules[module]
