"""What each table of figures shows: from which file of `docs/results`, measured by which command, in which columns.

What stands on a page only where it was measured, such as a heading, is the table's introduction.
"""

from __future__ import annotations

import columns
from evidence_tables import calibrated, margins, planted, replays
from figures import Table
from import_tables import import_counts, imports

_PUBLISHED = "python benchmarks/published.py"
_CHECKS = "python benchmarks/learner_checks.py {} --record docs/results/learner_checks.json"
_IMPORTS = "python benchmarks/imports.py --record docs/results/imports.json"
_INTERVALS = "python benchmarks/intervals.py --record docs/results/intervals.json"
_DECISIONS = (
    "python benchmarks/decisions.py runs/published/srl-reach-0/policy.isthmus runs/published/sac-reach-0/policy.isthmus "
    "--episodes 100 --record docs/results/decisions.json"
)
_LOOP_GAIN = (
    "python benchmarks/loop_gain.py runs/published/sac-reach-0/policy.isthmus runs/published/sac-reach-1/policy.isthmus "
    "--record docs/results/loop_gain.json"
)
_MARGINS = "python benchmarks/margins.py cli/isthmus_cli/reach.isthmus --record docs/results/margins.json"
_REPLAYS = "python benchmarks/replays.py cli/isthmus_cli/reach.isthmus runs/navigate-mpc.isthmus --record docs/results/replays.json"
_CALIBRATED = "python benchmarks/calibrated.py --seeds 3 --record docs/results/calibrated.json"
_WORTH = """\
## What a calibration is worth

SAC on `reach`, trained in MuJoCo and then run for 100 episodes on a UR5e in PyBullet that carries 1 kg and executes commands 40 ms late, which the
calibration tells from one excitation over ROS 2. *nominal* draws nothing, *calibrated* has the values of the calibration and draws nothing else,
*usual* draws what a training draws by itself, *wide* what `examples/randomize/reach.yaml` says. Mean over seeds and their range:
"""
_PLANTED = """\
## What is named

Faults that were planted into recordings of scripted policies on three tasks, 10 episodes a set, and pairs of sets without a fault. What only the
policy feels is sought as `isthmus doctor --log` does, everything else as `isthmus gap` does. Shown is how often the right cause was named first,
and at the end 95 % intervals (Wilson):
"""
_BEYOND = """\
## Margins, in the other engine

`isthmus certify` finds in MuJoCo how far one disturbance may go: success is known to lose less than ten points up to the first amount, and more from
the second on. At the second PyBullet, in which nothing was searched, is asked what is lost (95 %, on the same seeds):
"""
_AGAIN = """\
## Runs over ROS 2, replayed

Each run was recorded by real nodes; `isthmus replay` makes every observation and decision again:
"""
_GAIN = """\
The gain of the loop for commands that alternate, as `isthmus doctor` prints it; the aim is less than 0.8 in both engines:
"""
_LENGTHS = """\
Mean over seeds of the return at N actions per decision, and their range; 10 episodes per length, for `pendulum` the range of Pendulum-v1. Beyond
its 8 actions a sequence of `srl` is extrapolated, which nothing in its training rewards:
"""
_SEQUENCES = """\
### Sequences and single actions

Trained in MuJoCo with the settings of the task, then 100 episodes of the same file in each world. Sequence RL decides once per 8 actions, the
others once per action.
"""
_SLOW_DECISIONS = """\
**Through ROS 2, deciding slowly.** `policy_node` decides at 2.5 Hz, the robot is commanded at 20 Hz through `guard_node`, PyBullet is behind the
topics: SRL plays its sequence, SAC repeats its action. Stepped time, one seed.
"""
_WELCH = """\
And Welch's t-test over the seeds, here less stable-baselines3:
"""
_INTEGRATOR = """\
### A system whose optimum is known

A mass on a rail with quadratic costs, networks of width 64, one seed; mean cost of 100 episodes, beside that of the linear-quadratic regulator.
"""
_SCALES = """\
### What DSAC-T claims

Returns on `pendulum` when rewards are multiplied in training, in units of the original, 50 episodes, one seed:
"""
_CALIBRATION = """\
Values of 200 states that the trained policy comes to, against the soft returns that it then earns, and how the deviation that DSAC-T's critics
learn correlates with the error of their value; one seed, each with its own settings of the task:
"""
_LEARNER_SPEED = """\
### Speed

Against stable-baselines3 and, where it is installed (`pip install sbx-rl`), sbx; on an idle computer.
"""
_LEARNED_PLANS = """\
## Learning

Held-out initial states, exact robustness; the backup tries up to 4096 beginnings. The settings are in
`controllers/isthmus_controllers/npc/npc.yaml`; they were chosen on seed 0. Not every start can satisfy its formula: the second wall of the maze,
the budget of `ship-track` and the map of `rover` are drawn without looking.
"""
_PLANNERS = """\
## Planners

**plan**: plans from held-out starts. The next four columns are of executions with a decision in every step, over the length of one plan: all
**plans** made on the way, the **executed** trace against the same formula from its beginning, its **safety** part, and mean exact **robustness**.
**backup**: share of decisions. Times are CPU per decision for one agent, and per agent when all are decided for at once.
"""
_PLANNING = """\
## On engines

100 runs each, judged by the tasks' own specifications, on what was executed under the guard:
"""
_COLLECTORS = """\
Steps per second on an idle computer:
"""

TABLES = {
    "same-file": Table("engines", f"{_PUBLISHED} engines", "one file in two worlds", columns.same_file),
    "engines": Table("engines", f"{_PUBLISHED} engines", "SAC in both worlds", columns.worlds),
    "welch": Table("engines", f"{_PUBLISHED} engines", "the comparison with stable-baselines3", columns.welch, _WELCH),
    "loop-gain": Table("loop_gain", _LOOP_GAIN, "the gain of the loop", columns.loop_gains, _GAIN),
    "margins": Table("margins", _MARGINS, "margins beyond which PyBullet loses, too", margins, _BEYOND),
    "replays": Table("replays", _REPLAYS, "runs over ROS 2 that are replayed", replays, _AGAIN),
    "calibrated": Table("calibrated", _CALIBRATED, "what a calibration is worth", calibrated, _WORTH),
    "planted": Table("planted", "python benchmarks/planted.py", "which planted faults are named", planted, _PLANTED),
    "sequences": Table("sequences", f"{_PUBLISHED} sequences", "sequences beside single actions", columns.worlds, _SEQUENCES),
    "lengths": Table("sequences", f"{_PUBLISHED} sequences", "returns at 1 … 30 actions per decision", columns.lengths, _LENGTHS),
    "planning": Table("planning", f"{_PUBLISHED} planning", "planners of `navigate` and `dodge` on engines", columns.worlds, _PLANNING),
    "learned-plans": Table("stl", f"{_PUBLISHED} stl", "how plans are learned", columns.learned_plans, _LEARNED_PLANS),
    "planners": Table("stl", f"{_PUBLISHED} stl", "planners beside it", columns.planners, _PLANNERS),
    "logic": Table("logic", "python benchmarks/stl.py --record docs/results/logic.json", "the speed of the logic", columns.races),
    "identification": Table(
        "identification",
        "python benchmarks/identify.py --record docs/results/identification.json",
        "what identification finds",
        columns.identified,
    ),
    "asid": Table(
        "asid",
        "python benchmarks/asid.py --rod 20 --record docs/results/asid.json, and --loop and --force",
        "what explorations are worth",
        columns.explored,
    ),
    "environments": Table(
        "environments",
        "python benchmarks/sim.py --record docs/results/environments.json",
        "environments beside bare physics",
        columns.races,
    ),
    "collectors": Table(
        "collectors",
        "python benchmarks/collect.py --record docs/results/collectors.json",
        "steps per second with collectors",
        columns.collectors,
        _COLLECTORS,
    ),
    "learner-speed": Table(
        "learner_speed", "python benchmarks/learn.py --record docs/results/learner_speed.json", "speed", columns.races, _LEARNER_SPEED
    ),
    "intervals": Table("intervals", _INTERVALS, "coverage of intervals", columns.coverage),
    "other-intervals": Table("intervals", _INTERVALS, "coverage of other intervals", columns.other_coverage),
    "import-counts": Table("imports", _IMPORTS, "how many robots import", import_counts),
    "imports": Table("imports", _IMPORTS, "which robots import", imports),
    "integrator": Table("learner_checks", _CHECKS.format("integrator"), "a system whose optimum is known", columns.costs, _INTEGRATOR),
    "scales": Table("learner_checks", _CHECKS.format("scales"), "DSAC-T where rewards are scaled", columns.scales, _SCALES),
    "calibration": Table(
        "learner_checks", _CHECKS.format("calibration"), "what critics say beside what is earned", columns.calibration, _CALIBRATION
    ),
    "slow-decisions": Table("decisions", _DECISIONS, "slow decisions through ROS 2", columns.slow_decisions, _SLOW_DECISIONS),
    "zoo": Table("zoo", "isthmus zoo --record docs/results/zoo.json", "the zoo", columns.zoo),
    "ros-costs": Table("ros", "make bench-ros", "what the nodes cost", columns.ros_costs),
    "hostile": Table("guard", "python benchmarks/guard.py", "what the guard's tests count", columns.hostile),
    "mutants": Table("mutants", "make mutation", "mutants of the guard", columns.mutants),
    "lifecycles": Table(
        "lifecycle",
        "python tests/ros/lifecycle_course.py --seeds 200 --record docs/results/lifecycle.json",
        "random lifecycles",
        columns.lifecycles,
    ),
}
