"""`isthmus card`: the model card of a policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from isthmus.files import write_whole
from isthmus_cli.console import say
from isthmus_cli.files import check_folder, load_artifact
from isthmus_evidence.reports.card import card_html, card_markdown

__all__ = ["Card"]


@dataclass(frozen=True, slots=True)
class Card:
    """Write a model card, as Markdown and HTML, from the evidence in a policy file and nothing else, with the commands that made each figure.

    Attributes:
        policy: policy file.
        out: folder for card.md and card.html; by default that of the policy file.
    """

    policy: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    out: Path | None = None

    def run(self) -> int:
        """Run the command.

        Raises:
            ValueError: no policy file, or the folder cannot be written to.
        """
        artifact, folder = load_artifact(self.policy), self.out or self.policy.parent
        check_folder(folder)
        for name, write in (("card.md", card_markdown), ("card.html", card_html)):
            write_whole(folder / name, write(artifact, self.policy.name))
            say(f"card: {folder / name}")
        return 0
