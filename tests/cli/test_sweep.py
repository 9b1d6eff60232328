"""`isthmus sweep`: what the file may say, the search without Ray, and a sweep on Ray whose worker and driver are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml

from isthmus.artifact import Artifact
from isthmus_cli.sweep.command import run_sweep
from isthmus_cli.sweep.plan import load_plan
from isthmus_cli.sweep.search import Search
from isthmus_cli.sweep.training import Training, locked
from isthmus_cli.train.sac import TrainSac
from isthmus_policies.identity import write_identity
from isthmus_policies.learner import DivergedError

SETTINGS = {"steps": 400, "learning_starts": 50, "batch_size": 16, "hidden": [16], "evaluate_every": 400, "checkpoint_every": 50}
PLAN = {
    "algorithm": "sac",
    "task": "pendulum",
    "settings": SETTINGS,
    "trials": 12,
    "space": {"learning_rate": {"log_uniform": [1e-4, 1e-2]}, "gamma": {"uniform": [0.5, 0.9]}},
}
GRID = {
    **{key: value for key, value in PLAN.items() if key != "trials"},
    "settings": {},
    "search": "grid",
    "space": {"hidden": {"choice": [[16], [16, 16]]}, "n_step": {"integer": [1, 3]}},
}


@pytest.fixture
def plan(tmp_path):
    def make(base=PLAN, **changes):
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump({**base, **changes}, sort_keys=False))
        return load_plan(path)

    return make


class Inline:
    """A pool without processes: what a training gives is a function of its settings and seed."""

    slots = 2

    def __init__(self, result, most=None):
        self.ran, self._result, self._most = [], result, most
        self._open = {}

    def submit(self, training):
        self._open[len(self.ran)] = training
        self.ran.append((dict(training.chosen), training.seed))
        return len(self.ran) - 1

    def wait(self, handles):
        if self._most is not None and len(self.ran) - len(handles) >= self._most:
            raise KeyboardInterrupt
        training = self._open.pop(min(handles))
        result = self._result(training)
        if "lost" not in result:
            folder = Path(training.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "result.json").write_text(json.dumps(result))
        return min(handles), result


def parabola(training):
    return {"return": -((training.chosen["gamma"] - 0.7) ** 2) + training.seed, "success": 0.0, "step": 1}


def report(folder, name="sweep.json"):
    return json.loads((folder / name).read_text())


@pytest.mark.parametrize("search", ["tpe", "random"])
def test_all_trials_are_run_with_all_seeds_and_the_best_is_told(plan, tmp_path, search):
    made, pool = plan(search=search, seeds=[0, 4]), Inline(parabola)
    trials = run_sweep(made, tmp_path, pool, quiet=True)
    assert [trial["number"] for trial in trials] == list(range(12))
    assert len(pool.ran) == 24
    for trial in trials:
        assert trial["value"] == pytest.approx(2 - (trial["settings"]["gamma"] - 0.7) ** 2)
        assert 1e-4 <= trial["settings"]["learning_rate"] <= 1e-2
        assert trial["folders"] == [f"trial_{trial['number']:03d}/seed_{seed}" for seed in (0, 4)]
    assert len({trial["settings"]["gamma"] for trial in trials}) == 12
    assert report(tmp_path)["trials"] == trials
    assert report(tmp_path, "best.json") == max(trials, key=lambda trial: trial["value"])


def test_tpe_looks_where_it_is_good(plan, tmp_path):
    trials = run_sweep(plan(trials=40, space={"gamma": {"uniform": [0.0, 0.9]}}), tmp_path, Inline(parabola), quiet=True)
    distances = [abs(trial["settings"]["gamma"] - 0.7) for trial in trials]
    assert np.median(distances[20:]) < 0.5 * np.median(distances[:10])


def test_a_grid_has_each_combination_once(plan, tmp_path):
    pool = Inline(lambda training: {"return": len(training.chosen["hidden"]), "success": None, "step": 1})
    trials = run_sweep(plan(GRID), tmp_path, pool, quiet=True)
    combinations = [(trial["settings"]["hidden"], trial["settings"]["n_step"]) for trial in trials]
    assert sorted(combinations) == [([16], 1), ([16], 2), ([16], 3), ([16, 16], 1), ([16, 16], 2), ([16, 16], 3)]
    assert report(tmp_path, "best.json")["settings"]["hidden"] == [16, 16]


@pytest.mark.parametrize("base", [PLAN, GRID])
def test_a_driver_that_died_continues_and_repeats_nothing(plan, tmp_path, base):
    made = plan(base, seeds=[0, 1])
    result = parabola if base is PLAN else lambda training: {"return": 0.0, "success": None, "step": 1}
    first, second = Inline(result, most=5), Inline(result)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, tmp_path, first, quiet=True)
    finished = first.ran[:5]
    trials = run_sweep(made, tmp_path, second, quiet=True)
    assert len(trials) == made.count
    assert all(trial["state"] == "finished" for trial in trials)
    assert not [ran for ran in second.ran if ran in finished]
    assert [ran for ran in first.ran if ran not in finished] == second.ran[: len(first.ran) - 5]
    assert len(finished) + len(second.ran) == 2 * made.count
    third = Inline(result)
    assert run_sweep(made, tmp_path, third, quiet=True) == trials
    assert third.ran == []


@pytest.mark.parametrize("told", [False, True])
def test_a_trial_whose_conclusion_was_cut_short_by_death_is_not_lost(plan, tmp_path, monkeypatch, told):
    made, conclude = plan(trials=3), Search.conclude

    def die(search, number, value):
        if told:
            conclude(search, number, value)
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "conclude", die)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, tmp_path, Inline(parabola), quiet=True)
    monkeypatch.undo()
    assert report(tmp_path)["trials"][0]["state"] == "finished"
    pool = Inline(parabola)
    trials = run_sweep(made, tmp_path, pool, quiet=True)
    assert [(trial["number"], trial["state"]) for trial in trials] == [(0, "finished"), (1, "finished"), (2, "finished")]
    assert len(pool.ran) == 2
    assert Search(made, tmp_path / "optuna.journal").unfinished == []


@pytest.mark.parametrize("base", [PLAN, GRID])
@pytest.mark.parametrize("most", [0, 1])
def test_a_trial_whose_settings_were_not_all_drawn_at_death_gets_the_rest(plan, tmp_path, monkeypatch, base, most):
    made, drawn, draw = plan(base), {}, optuna.trial.Trial._suggest

    def die(trial, name, distribution):
        if len(drawn) == most:
            raise KeyboardInterrupt
        return drawn.setdefault(name, draw(trial, name, distribution))

    pool = Inline(lambda training: {"return": 0.0, "success": None, "step": 1})
    monkeypatch.setattr(optuna.trial.Trial, "_suggest", die)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(made, tmp_path, pool, quiet=True)
    monkeypatch.undo()
    trials = run_sweep(made, tmp_path, pool, quiet=True)
    assert [(trial["number"], trial["state"]) for trial in trials] == [(number, "finished") for number in range(made.count)]
    assert len({json.dumps(trial["settings"]) for trial in trials}) == made.count
    for name, value in drawn.items():
        assert trials[0]["settings"][name] == (json.loads(value) if made.space[name].choice else value)


def test_more_trials_continue_a_finished_sweep(plan, tmp_path):
    first = run_sweep(plan(trials=2), tmp_path, Inline(parabola), quiet=True)
    pool = Inline(parabola)
    trials = run_sweep(plan(trials=4), tmp_path, pool, quiet=True)
    assert trials[:2] == first
    assert len(pool.ran) == 2
    assert len({trial["settings"]["gamma"] for trial in trials}) == 4


def test_a_trial_that_fails_is_told_and_the_others_go_on(plan, tmp_path):
    def result(training):
        return {"failed": "critic_loss is nan"} if training.chosen["n_step"] == 2 else {"return": 1.0, "success": None, "step": 1}

    trials = run_sweep(plan(GRID), tmp_path, Inline(result), quiet=True)
    assert {(trial["settings"]["n_step"], trial["state"], trial["value"]) for trial in trials} == {
        (1, "finished", 1.0),
        (2, "failed", None),
        (3, "finished", 1.0),
    }
    assert run_sweep(plan(GRID), tmp_path, Inline(result), quiet=True) == trials


def test_a_training_that_is_lost_does_not_end_the_others_and_is_tried_by_the_next_resume(plan, tmp_path, capfd):
    made = plan(trials=3, seeds=[0, 1])

    def result(training):
        return {"lost": "out of memory"} if training.folder.endswith("trial_001/seed_0") else parabola(training)

    trials = run_sweep(made, tmp_path, Inline(result), quiet=True)
    assert [trial["state"] for trial in trials] == ["finished", "lost", "finished"]
    assert trials[1]["seeds"]["0"] == {"lost": "out of memory"}
    assert "trial_001/seed_0 is lost: out of memory; --resume tries it once more" in capfd.readouterr().err
    pool = Inline(parabola)
    assert [trial["state"] for trial in run_sweep(made, tmp_path, pool, quiet=True)] == ["finished"] * 3
    assert len(pool.ran) == 1


def fails_with(error):
    def run(command):
        raise error

    return run


CHOSEN = {"learning_rate": 1e-3, "gamma": 0.9}


def test_settings_that_do_not_fit_are_a_result_and_kept(plan, tmp_path):
    result = Training(plan(), {**CHOSEN, "gamma": 2.0}, 0, str(tmp_path)).run()
    assert "gamma must be in [0, 1), got 2.0" in result["failed"]
    assert report(tmp_path, "result.json") == result


def test_a_training_that_diverged_is_a_result_and_kept(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainSac, "run", fails_with(DivergedError("critic_loss is nan in update 7")))
    assert Training(plan(), CHOSEN, 0, str(tmp_path)).run() == {"failed": "critic_loss is nan in update 7"}
    assert report(tmp_path, "result.json") == {"failed": "critic_loss is nan in update 7"}


def test_what_a_resume_may_mend_is_told_but_not_kept(plan, tmp_path):
    made = plan(randomize="none")
    write_identity(tmp_path, "sac", 5, made.config(CHOSEN), {"plant": "mujoco"})
    result = Training(made, CHOSEN, 0, str(tmp_path)).run()
    assert result["lost"].endswith("holds another training, which cannot be resumed with seed 0 (there: 5)")
    result = Training(made, {**CHOSEN, "hidden": [10**13]}, 0, str(tmp_path / "wide")).run()
    assert result["lost"].startswith("RuntimeError: ")
    assert not (tmp_path / "result.json").exists()
    assert not (tmp_path / "wide" / "result.json").exists()


def test_the_result_is_the_evaluation_whose_policy_was_kept(plan, policies, tmp_path, monkeypatch):
    def run(command):
        artifact = Artifact.load(policies / "pendulum.isthmus")
        replace(artifact, training={"steps": 200, "reached_target": True}).save(command.out / "policy.isthmus")
        rows = [{"step": 100, "return": 5.0, "success": 0.2}, {"step": 200, "return": 3.0, "success": 1.0}]
        (command.out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return 0

    monkeypatch.setattr(TrainSac, "run", run)
    assert Training(plan(), CHOSEN, 0, str(tmp_path)).run() == {"return": 3.0, "success": 1.0, "step": 200}


@pytest.mark.parametrize("error", [OSError("no space left"), ModuleNotFoundError("no module named 'pybullet'")])
def test_what_every_training_would_meet_ends_the_sweep(plan, tmp_path, monkeypatch, error):
    monkeypatch.setattr(TrainSac, "run", fails_with(error))
    with pytest.raises(type(error), match=str(error)):
        Training(plan(), CHOSEN, 0, str(tmp_path)).run()
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trails": 3}, "unknown key 'trails'; did you mean 'trials'? Known: algorithm, cpus"),
        ({"algorithm": "sak"}, "unknown algorithm 'sak'; did you mean 'sac'? Known: drm, drqv2, dsac-t, mentor, ppo, sac, srl"),
        (
            {"algorithm": "mentor"},
            "mentor learns from pictures, and task 'pendulum' shows none; peg, peg-cross, peg-square, reach-pixels, reach-pixels-two do",
        ),
        ({"task": "pendulun"}, "unknown task 'pendulun'; did you mean 'pendulum'?"),
        ({"search": "bayes"}, "unknown search 'bayes'; Known: grid, random, tpe"),
        ({"objective": "loss"}, "unknown objective 'loss'; Known: return, success"),
        ({"plant": "mujocco"}, "unknown plant 'mujocco'; did you mean 'mujoco'?"),
        (
            {"task": "gym:Pendulum-v1", "plant": "pybullet"},
            "'gym:Pendulum-v1' runs in a suite's own simulation, so plant and randomize cannot be",
        ),
        ({"seeds": [0, 0]}, "seeds must be different integers >= 0, got [0, 0]"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"cpus": 0}, "cpus must be >= 1, got 0"),
        ({"trials": None}, "trials must be >= 1 with search tpe, got None"),
        ({"search": "grid"}, "a grid has its own number of trials; leave trials out, got 12"),
        ({"search": "grid", "trials": None}, "space.gamma: a grid needs choice or integer"),
        ({"space": {}}, "space must name at least one setting"),
        ({"space": {"steps": {"integer": [1, 2]}}}, "steps is both fixed in settings and searched in space"),
        ({"space": {"gama": {"uniform": [0.5, 0.9]}}}, "unknown key 'gama'; did you mean 'gamma'?"),
        (
            {"space": {"gamma": {"normal": [0, 1]}}},
            "unknown key 'normal'; did you mean 'uniform'? Known: choice, integer, log_uniform, uniform",
        ),
        ({"space": {"gamma": {"uniform": [0.5, 1.5]}}}, "space.gamma: 1.5 cannot be: settings of sac: gamma must be in [0, 1), got 1.5"),
        ({"space": {"n_step": {"uniform": [1, 3]}}}, "space.n_step: 1.0 cannot be: settings of sac.n_step must be an integer, got 1.0"),
        ({"space": {"gamma": {"uniform": [0.9, 0.5]}}}, "uniform must go from a number to a larger one, got [0.9, 0.5]"),
        ({"space": {"tau": {"log_uniform": [0.0, 0.5]}}}, "log_uniform must be > 0, got [0.0, 0.5]"),
        ({"space": {"hidden": {"choice": [[16], [8], [16]]}}}, "space.hidden: choice must have different entries, got [16] twice"),
        ({"space": {"tau": {"choice": []}}}, "choice must have at least one entry, got []"),
        ({"space": {"tau": {"uniform": [0.1, 0.5], "choice": [1]}}}, "exactly one of uniform, log_uniform, integer, choice must be given"),
        ({"randomize": "none.yaml"}, "randomize: there is no file"),
        (
            {"task": "gym:Pendulum-v1", "objective": "success"},
            "objective success cannot be used with 'gym:Pendulum-v1', which never reports success; use the return",
        ),
        (
            {"task": "gym:Pendulum-v1", "settings": {**SETTINGS, "stop_at_success": 0.9}},
            "stop_at_success cannot be used with 'gym:Pendulum-v1', which never reports success; use the return",
        ),
        ({"algorithm": "sac", "task": "slide"}, "SAC decides every control period; task 'slide' decides once per 80 actions"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(tmp_path, refuse, changes, told):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    assert told in refuse("sweep", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_example_is_a_sweep_and_the_page_names_every_key():
    root = Path(__file__).parents[2]
    made = load_plan(root / "examples" / "sweep" / "pendulum.yaml")
    assert made.config({name: values.ends[0] for name, values in made.space.items()}).hidden == (64, 64)
    page = (root / "docs" / "how-to" / "sweep.md").read_text()
    for name in (*made.__dataclass_fields__, "uniform: [", "log_uniform: [", "integer: [", "choice: ["):
        assert f"`{name}" in page, name


def test_a_folder_with_another_sweep_is_not_continued(plan, tmp_path, refuse):
    out = tmp_path / "out"
    out.mkdir()
    run_sweep(plan(trials=1), out, Inline(parabola), quiet=True)
    file = tmp_path / "plan.yaml"
    assert "already holds a sweep; continue it with --resume" in refuse("sweep", file, "--out", out)
    told = refuse("sweep", file, "--out", tmp_path / "oot", "--resume")
    assert "oot holds no sweep that could be resumed" in told
    assert "did you mean 'out'?" in told
    plan(trials=5, search="random", seed=3)
    told = refuse("sweep", file, "--out", out, "--resume")
    assert told.endswith('holds another sweep, which cannot be resumed with search "random" (there: "tpe"), seed 3 (there: 0)')
    plan(trials=1)
    with locked(out / "lock", wait=False):
        assert f"another sweep is running in {out}" in refuse("sweep", file, "--out", out, "--resume")
    assert "workers must be >= 1, got 0" in refuse("sweep", file, "--out", tmp_path / "new", "--workers", 0)


def test_a_randomisation_may_move_but_not_change(plan, tmp_path, refuse):
    out, draws = tmp_path / "out", "parameters: {joint_damping: {uniform: {low: 0.0, high: %s}}}"
    out.mkdir()
    (tmp_path / "draws.yaml").write_text(draws % 1.0)
    run_sweep(plan(trials=1, randomize="draws.yaml"), out, Inline(parabola), quiet=True)
    (tmp_path / "draws.yaml").write_text(draws % 2.0)
    told = refuse("sweep", tmp_path / "plan.yaml", "--out", out, "--resume")
    assert "cannot be resumed with randomize" in told
    assert '"high": 2.0' in told
    assert '"high": 1.0' in told
    (tmp_path / "moved.yaml").write_text(draws % 1.0)
    plan(trials=1, randomize="moved.yaml")
    with locked(out / "lock", wait=False):
        assert "another sweep is running" in refuse("sweep", tmp_path / "plan.yaml", "--out", out, "--resume")


PROGRAM = "import sys; from isthmus_cli.main import main; sys.exit(main(sys.argv[1:]))"


def start(*words):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True)


def trainings(driver):
    """Processes of Ray in which a training runs, by id, of one driver."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue

    def descends(number):
        while number > 1 and number != driver:
            number = parents.get(number, 0)
        return number == driver

    return [number for number, name in names.items() if name.startswith(b"ray::_run") and descends(number)]


def newest(folder):
    return max((int(path.stem.removeprefix("step_")) for path in folder.glob("checkpoints/step_*.safetensors")), default=-1)


IN_A_WORKER = """
import sys
from isthmus_cli.sweep.plan import load_plan
from isthmus_cli.sweep.pool import _run
from isthmus_cli.sweep.training import Training
_run(Training(load_plan(sys.argv[1]), {"learning_rate": 0.001}, 0, sys.argv[2]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_leaves_no_checkpoint_of_that_moment(tmp_path, number):
    file, folder = tmp_path / "plan.yaml", tmp_path / "seed_0"
    file.write_text(yaml.safe_dump({**PLAN, "settings": {**SETTINGS, "steps": 1_000_000}}))
    worker = subprocess.Popen([sys.executable, "-c", IN_A_WORKER, str(file), str(folder)], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: newest(folder) >= 50, worker)
        worker.send_signal(number)
        assert worker.wait(60) == -number
    finally:
        worker.kill()
    assert newest(folder) % 50 == 0


def wait_for(condition, process):
    for _ in range(15_000):  # five minutes: a busy machine is no failure
        if found := condition():
            return found
        assert process.poll() is None, "the sweep ended early"
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def test_a_sweep_whose_worker_and_driver_are_killed_ends_like_plain_trainings(tmp_path, isthmus):
    file, out = tmp_path / "plan.yaml", tmp_path / "out"
    space = {"learning_rate": {"choice": [0.001, 0.002]}}
    file.write_text(yaml.safe_dump({**PLAN, "search": "grid", "trials": None, "space": space}))
    words = ("sweep", file, "--out", out, "--workers", 1)
    folder = out / "trial_000" / "seed_0"
    driver = start(*words)
    try:
        wait_for(lambda: newest(folder) >= 50, driver)
        (first,) = trainings(driver.pid)
        os.kill(first, signal.SIGKILL)
        reached = newest(folder)
        wait_for(lambda: set(trainings(driver.pid)) - {first}, driver)
        wait_for(lambda: newest(folder) > reached, driver)
    finally:
        driver.kill()
        driver.communicate()
    assert [trial["state"] for trial in report(out)["trials"]] == ["running"]
    resumed = start(*words, "--resume")
    told, _ = resumed.communicate(timeout=300)
    assert resumed.returncode == 0
    assert "best: trial" in told
    trials = report(out)["trials"]
    assert [(trial["state"], trial["settings"]) for trial in trials] == [
        ("finished", {"learning_rate": 0.001}),
        ("finished", {"learning_rate": 0.002}),
    ]
    plain = tmp_path / "plain"
    options = [str(word) for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", *np.atleast_1d(value))]
    assert isthmus("train", "sac", "pendulum", *options, "--learning-rate", 0.001, "--out", plain)[0] == 0
    digests = {Artifact.load(path / "last.isthmus").policy_digest for path in (plain, folder)}
    assert len(digests) == 1
    best = report(out, "best.json")
    assert (
        Artifact.load(out / best["folders"][0] / "policy.isthmus").training["config"]["learning_rate"] == best["settings"]["learning_rate"]
    )


def test_the_command_line_does_not_load_ray_or_optuna():
    program = "import sys, isthmus_cli.main, isthmus_cli.sweep.command; sys.exit(bool({'ray', 'optuna'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_only_a_sweep_that_has_begun_is_said_to_go_on(isthmus, plan, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    plan()
    monkeypatch.setattr("isthmus_cli.sweep.command.RayPool", interrupted)
    code, out, error = isthmus("sweep", tmp_path / "plan.yaml", "--out", tmp_path / "new")
    assert (code, error, "--resume" in out) == (130, "isthmus: interrupted\n", False)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sweep.json").write_text(json.dumps({"plan": load_plan(tmp_path / "plan.yaml").plain(), "trials": []}))
    code, out, _ = isthmus("sweep", tmp_path / "plan.yaml", "--out", tmp_path / "old", "--resume")
    assert (code, "go on with: isthmus sweep" in out) == (130, True)
