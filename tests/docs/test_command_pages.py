from command_pages import _section

HELP = """usage: isthmus some [-h] NAME [--out PATH]

Does something.

And more.

 positional arguments
 ---------------------------------------------
  NAME        what (required)

 config options
 ---------------------------------------------
  settings of the learner.
  --------------------------------------------
  --out PATH  folder for the results, as a |
              b. (default: None)
  --steps INT
              so many (of all). (default: 5)
"""


def test_help_becomes_a_table():
    usage, *sentences, rows = _section(HELP)
    assert "usage: isthmus some" in usage
    assert sentences == ["Does something.\n", "And more.\n"]
    assert rows.splitlines()[2:] == [
        "| `NAME` | what | required |",
        "| `--out` `PATH` | folder for the results, as a \\| b. |  |",
        "| `--steps` `INT` | so many (of all). | `5` |",
    ]
