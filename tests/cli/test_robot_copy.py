from isthmus.robot import load_robot
from isthmus_cli.main import main


def test_a_profile_is_copied_to_be_edited(tmp_path, capsys):
    assert main(["robots", "ur5e", "--copy", str(tmp_path / "mine")]) == 0
    assert "robots_dir:=" in capsys.readouterr().out
    assert load_robot("ur5e", [tmp_path / "mine"]).folder == str(tmp_path / "mine" / "ur5e")
    assert main(["robots", "ur5e", "--copy", str(tmp_path / "mine")]) == 2
    assert "there is" in capsys.readouterr().err
    assert main(["robots", "--copy", str(tmp_path)]) == 2
    assert "--copy needs the name of a robot" in capsys.readouterr().err
