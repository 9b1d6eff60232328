"""Recordings that a learner begins with: finds the files, names them, and turns them into experience."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.contract import Contract
from isthmus.trace import read_trace
from isthmus_cli.console import say
from isthmus_cli.train.demonstrations import scripted_episodes
from isthmus_policies.offline import Offline, recorded_replay
from isthmus_sim.recordings import RecordedEpisode, no_transition, recorded_episodes
from isthmus_sim.suites import SuiteTask
from isthmus_sim.task import Task

__all__ = ["Recordings", "find_recordings", "load_recordings", "scripted_recordings"]


@dataclass(frozen=True, slots=True)
class Recordings:
    """Files to learn from.

    Attributes:
        files: MCAP, in the order of their contents' digests, so that it does not matter where they lie.
        share: of each batch that is drawn from them.
        identity: names contents and share.
        scripted: episodes of the task's scripted solution that are run and recorded first; there are no files then.
    """

    files: tuple[Path, ...]
    share: float
    identity: str
    scripted: int = 0


def scripted_recordings(episodes: int, share: float) -> Recordings:
    """So many episodes of the task's scripted solution; `share` as for `find_recordings`.

    Raises:
        ValueError: no episode, or the share is not in (0, 1).
    """
    _check_share(share)
    if episodes < 1:
        raise ValueError(f"--scripted must be >= 1 episodes, got {episodes}")
    return Recordings((), share, f"{share:g} of each batch from {episodes} scripted episodes", episodes)


def find_recordings(paths: Sequence[Path], share: float) -> Recordings:
    """Find the files.

    Args:
        paths: MCAP files, and folders of them.
        share: of each batch that is drawn from them.

    Raises:
        ValueError: a folder has none, or the share is not in (0, 1).
        OSError: a file cannot be read.
    """
    _check_share(share)
    digests: dict[str, Path] = {}
    for path in paths:
        found = sorted(path.rglob("*.mcap")) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"{path} holds no recording (*.mcap)")
        for file in found:
            digests[hashlib.sha256(file.read_bytes()).hexdigest()] = file
    whole = hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
    return Recordings(
        tuple(digests[digest] for digest in sorted(digests)), share, f"{share:g} of each batch from {len(digests)} recordings {whole[:16]}"
    )


def load_recordings(
    recordings: Recordings, task: Task | SuiteTask, contract: Contract, *, quiet: bool = False, plant: str = "mujoco"
) -> Offline:
    """Read the files, or run the script, and reward what it did.

    Args:
        recordings: what to read.
        task: gives the rewards.
        contract: what the learner observes.
        quiet: print nothing.
        plant: engine that a script runs in.

    Raises:
        ValueError: a file is of another task, is damaged, or cannot be rewarded, or none holds a transition; the message names it.
    """
    if isinstance(task, SuiteTask):
        raise ValueError(f"recordings of {task.name!r} cannot be rewarded: only the suite's own simulation knows its reward")
    if recordings.scripted:
        episodes = scripted_episodes(task, contract, plant, recordings.scripted)
        origin = f"{len(episodes)} episodes of the script"
    else:
        episodes, periods = _episodes(recordings.files, task, contract, quiet)
        origin = f"{len(recordings.files)} recordings with {periods} control periods"
    replay = recorded_replay(contract, episodes)
    if not quiet:
        used = sum(len(episode.reward) for episode in episodes)
        say(f"offline: {used} transitions of {origin}; {recordings.identity}")
    return Offline(replay, recordings.share, recordings.identity)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"--offline-share must be in (0, 1), got {share}")


def _episodes(files: Sequence[Path], task: Task, contract: Contract, quiet: bool) -> tuple[list[RecordedEpisode], int]:
    """Of all files, and how many control periods they have.

    Raises:
        ValueError: of a file, or none holds a transition.
    """
    episodes: list[RecordedEpisode] = []
    periods, idle = 0, list[str]()
    for file in files:
        trace = read_trace(file)
        periods += len(trace)
        if not trace.complete and not quiet:
            say(f"{file} was cut off: {len(trace)} control periods are left of it")
        try:
            found = recorded_episodes(trace, task, contract)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
        episodes += found
        if not found:
            idle.append(f"{file} holds no transition: {no_transition(trace)}")
    if not episodes and idle:
        raise ValueError(idle[0] + (f"; nor do {len(idle) - 1} others" if len(idle) > 1 else ""))
    for sentence in idle if not quiet else ():
        say(sentence)
    return episodes, periods
