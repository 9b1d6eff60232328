"""ASID from end to end: an exploration is found, played on what counts as the real robot, and the task is solved with what it told."""
