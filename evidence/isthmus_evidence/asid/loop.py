"""The loop: explore, play it once on the real plant, identify, solve the task in the calibrated simulator, deploy, and compare.

Everything lies in one folder. What is there is not done again, so an interrupted loop goes on where it was:

    loop.json                        what was asked for
    explore/ARM/policy.isthmus       ARM is asid or random
    run/ARM.mcap, ARM.json, ARM.gif  the exploration on the real plant
    identified/ARM/                  as `isthmus identify` writes it, and learned.json
    task/ARM/policy.isthmus, solved.json, episodes.json      ARM is asid, random, randomised or nominal
    report.html, report.json
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from isthmus import strict
from isthmus_evidence.asid.asked import EXPLORING, Asked, NotIdentifiableError
from isthmus_evidence.asid.stages import Progress, Stages
from isthmus_evidence.files import json_text, write_json
from isthmus_evidence.paired import paired_difference

__all__ = ["run_loop"]


def run_loop(asked: Asked, out: Path, progress: Progress, tell: Callable[[str], None]) -> dict[str, Any]:
    """All stages; goes on with what is in the folder.

    Args:
        asked: what is asked for.
        out: folder.
        progress: name of a stage → what is told how far it is.
        tell: told of what was found, in sentences.

    Returns:
        what report.json holds: everything that was found, by arm, and differences of asid from the others.

    Raises:
        NotIdentifiableError: nothing was identified after the exploration; nothing was calibrated.
        WaitingError: it is a person's turn.
        ValueError: the pre-flight refuses every exploration, or the folder holds a loop that was asked for something else.
    """
    stages = Stages(asked, out)
    _check(asked, out)
    facts: dict[str, Any] = {"asked": asked.plain(), "explored": {}, "run": {}, "learned": {}, "solved": {}, "episodes": {}}
    for arm in [arm for arm in asked.arms if arm in EXPLORING]:
        facts["explored"][arm] = stages.explored(arm, progress)
        facts["run"][arm] = stages.ran(arm)
        if cause := facts["run"][arm]["stopped_by_guard"]:
            tell(f"{arm}: the guard stopped the exploration after {facts['run'][arm]['steps']} of {stages.steps} periods: {cause}")
        facts["learned"][arm] = stages.learned(arm, progress)
        if arm == "asid" and not facts["learned"][arm]["identified"]:
            raise NotIdentifiableError("; ".join(facts["learned"][arm]["why"]))
    for arm in asked.arms:
        facts["solved"][arm] = stages.solved(arm, progress)
        facts["episodes"][arm] = stages.deployed(arm)
        tell(f"{arm}: success in {100 * facts['episodes'][arm]['success']['rate']:.0f} % of {asked.episodes} episodes")
    first = facts["episodes"]["asid"]
    facts["differences"] = {arm: paired_difference(first, facts["episodes"][arm]) for arm in asked.arms[1:]}
    return facts


def _check(asked: Asked, out: Path) -> None:
    """See that a folder holds no other loop, and write down what is asked."""
    file, plain = out / "loop.json", strict.load_json(json_text(asked.plain()).encode(), "what is asked")
    if file.is_file() and (was := strict.load_json(file.read_bytes(), str(file))) != plain:
        names = ", ".join(name for name in plain if not isinstance(was, Mapping) or was.get(name) != plain[name])
        raise ValueError(f"{out} holds a loop with another {names}; choose another --out, or ask for the same again to go on")
    write_json(plain, file)
