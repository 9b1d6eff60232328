"""What tests of several parts share: packages of a user's own, policies that need no training, and commands run in this process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from isthmus import installed

hypothesis.settings.register_profile("isthmus", deadline=None)  # a busy machine is no failure
hypothesis.settings.register_profile(  # for `make mutation`: every mutant meets the same examples, and none is made smaller
    "mutation", deadline=None, derandomize=True, database=None, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate)
)
hypothesis.settings.load_profile("isthmus")

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROS = Path(__file__).parent / "ros"


def pytest_collection_modifyitems(config, items):
    if config.getoption("--hypothesis-profile", default=None) == "mutation":  # the quickest test that fails is enough
        items.sort(key=lambda item: getattr(getattr(item, "obj", None), "is_hypothesis_test", False))
    for item in items:
        if item.get_closest_marker("ros") and ROS not in item.path.parents:
            raise pytest.UsageError(f"{item.nodeid} is marked ros, and `make test` looks for such tests in tests/ros alone")


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


def still_artifact(name):
    """A policy of a task that asks for nothing, whatever it sees."""
    import torch

    from isthmus_policies.export import export_graph
    from isthmus_sim.tasks import get_task

    class Still(torch.nn.Module):
        def forward(self, observation):
            seen = sum(value.flatten(1).sum(dim=1) for value in observation.values())
            return torch.zeros(1, 1, joints) * seen[:, None, None]

    contract = get_task(name).contract
    joints = len(contract.action.elements)
    observations = {signal.name: torch.zeros(2, signal.history, *signal.shape).numpy() for signal in contract.observation}
    return export_graph(contract, Still(), observations)


@pytest.fixture(scope="session")
def policies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    for name in ("pendulum", "reach"):
        still_artifact(name).save(folder / f"{name}.isthmus")
    return folder


@pytest.fixture
def isthmus(capfd):
    """Runs a command; gives exit code, stdout and stderr."""

    from isthmus_cli.main import main

    def run(*words):
        capfd.readouterr()
        code = main([str(word) for word in words])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refuse(isthmus):
    """Runs a command that must fail as a user error, and gives its one sentence."""

    def run(*words):
        code, _, error = isthmus(*words)
        assert code == 2
        assert error.count("\n") == 1
        assert "Traceback" not in error
        return error.strip()

    return run


@pytest.fixture
def read_json(isthmus):
    """Runs a command that must succeed, and gives the JSON that it printed."""

    def run(*words):
        code, out, error = isthmus(*words)
        assert code == 0, error
        return json.loads(out)

    return run
