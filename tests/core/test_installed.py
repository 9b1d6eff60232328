import pytest

from isthmus import load_robot, robot_names
from isthmus.installed import find_installed, make_installed
from isthmus.kind import kind_names, load_kind
from isthmus.observation import _find_recurrence


def refused(call, *arguments):
    with pytest.raises(ValueError, match=r".") as caught:
        call(*arguments)
    return str(caught.value)


def test_a_robot_of_an_installed_package_is_found_by_its_name(my_lab, my_lab_files, tmp_path):
    assert "desk_arm" in robot_names()
    assert load_robot("desk_arm").urdf_path == my_lab_files / "my_lab" / "robots" / "desk_arm" / "desk_arm.urdf"
    mine = tmp_path / "desk_arm"
    mine.mkdir()
    for file in load_robot("desk_arm").urdf_path.parent.iterdir():
        (mine / file.name).write_bytes(file.read_bytes())
    assert load_robot("desk_arm", [tmp_path]).urdf_path.parent == mine  # a folder that is named comes first


def test_without_the_package_its_robot_is_unknown():
    assert "desk_arm" not in robot_names()
    assert refused(load_robot, "desk_arm").startswith("unknown robot 'desk_arm'")


def test_a_name_that_is_offered_twice_is_nobodys(offer):
    offer({"isthmus.robots": {"ur5e": "lab_stuff.robots", "lamp": "lab_stuff.robots"}, "isthmus.kinds": {"graph": "lab_stuff:Graph"}})
    assert (
        refused(load_robot, "ur5e") == "isthmus.robots: 'ur5e' is offered by isthmus and lab_stuff.robots; one of them needs another name"
    )
    assert "'graph' is offered by " in refused(load_kind, "graph")
    assert load_robot("diffbot").name == "diffbot"  # nothing else suffers
    assert kind_names().count("graph") == 1
    assert "unknown key 'nonsense'" in refused(load_robot, "lamp")
    offer({"isthmus.robots": {"lamp": "other.robots"}}, "other")
    assert refused(load_robot, "lamp").startswith("isthmus.robots: 'lamp' is offered by ")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("lab_stuff.robots", "but there is no desk/robot.yaml in that package"),
        ("lab_stuff:CONSTANT", "but there is no desk/robot.yaml in that package"),
        ("lab_stuff.absent", "which cannot be imported: ModuleNotFoundError: No module named 'lab_stuff.absent'"),
        ("lab_stuff:absent", "which cannot be imported: AttributeError: module 'lab_stuff' has no attribute 'absent'"),
    ],
)
def test_what_is_offered_and_not_there_is_said_in_one_sentence(offer, value, sentence):
    offer({"isthmus.robots": {"desk": value}})
    assert refused(load_robot, "desk") == f"isthmus.robots: 'desk' is {value}, {sentence}"


def test_a_recurrence_of_an_installed_package(offer):
    offer({"isthmus.recurrences": {"constant": "lab_stuff:CONSTANT", "lost": "lab_stuff:absent"}})
    assert _find_recurrence("constant") == 3
    assert "which cannot be imported" in refused(_find_recurrence, "lost")
    assert "Known: " in refused(_find_recurrence, "constants")


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def mine(:\n", "cannot be imported: SyntaxError: invalid syntax (__init__.py, line 2)"),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero (__init__.py, line 2)"),
        ("def mine(wanted): pass\n", "failed: TypeError: mine() missing 1 required positional argument: 'wanted'"),
        ("def mine():\n  return 1 / 0\n", "failed: ZeroDivisionError: division by zero (__init__.py, line 3)"),
    ],
)
def test_what_is_wrong_in_a_package_is_said_with_its_place(offer, source, outcome):
    offer({"isthmus.tasks": {"mine": "lab_stuff:mine"}}, source=source)
    entry = find_installed("isthmus.tasks", "mine")
    assert refused(make_installed, entry).startswith(f"isthmus.tasks: 'mine' is lab_stuff:mine, which {outcome}")


def test_a_value_that_is_no_module_is_refused(offer):
    offer({"isthmus.robots": {"desk": "not a module"}})
    assert refused(load_robot, "desk") == "isthmus.robots: 'desk' must be MODULE or MODULE:NAME, got 'not a module'"
