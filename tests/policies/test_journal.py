import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from isthmus_policies.journal import Journal, written_steps


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_resumed_journal_keeps_later_rows_until_it_comes_to_them_again_and_drops_what_was_cut_off(tmp_path):
    first = Journal(tmp_path)
    for step in (10, 20, 30, 40):
        first.write("train", step, {"loss": float(step)})
    first.write("eval", 20, {"return": 1.0})
    first.close()
    with (tmp_path / "training.jsonl").open("a") as file:
        file.write('{"step": 50, "lo')
    second = Journal(tmp_path, 20)
    second.write("train", 30, {"loss": 7.0})
    second.close()
    kept = [{"step": 10, "loss": 10.0}, {"step": 20, "loss": 20.0}, {"step": 30, "loss": 7.0}]
    assert rows(tmp_path / "training.jsonl") == [*kept, {"step": 40, "loss": 40.0}]
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 20, "return": 1.0}]
    assert written_steps(tmp_path) == 40
    third = Journal(tmp_path, 30)
    third.close(finished=True)
    assert rows(tmp_path / "training.jsonl") == kept


def test_a_journal_resumed_at_the_beginning_is_not_emptied(tmp_path):
    Journal(tmp_path).write("eval", 20, {"return": 1.0})
    Journal(tmp_path, 0).close()
    assert rows(tmp_path / "metrics.jsonl") == [{"step": 20, "return": 1.0}]


def test_a_new_journal_begins_anew(tmp_path):
    Journal(tmp_path).write("eval", 5, {"return": 1.0})
    Journal(tmp_path).close()
    assert rows(tmp_path / "metrics.jsonl") == []


def test_tensorboard_shows_the_same(tmp_path):
    journal = Journal(tmp_path)
    journal.write("train", 10, {"loss": 0.5})
    journal.write("eval", 10, {"return": -3.0})
    journal.close()
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in shown.Scalars("train/loss")] == [(10, 0.5)]
    assert [(event.step, event.value) for event in shown.Scalars("eval/return")] == [(10, -3.0)]
