#!/usr/bin/env bash
# Coverage and mutation testing of the guard's decision code, its stream and its transports, in a copy of the tree (src/ layout, which mutmut expects); settings in pyproject.toml.
# Takes about two hours on one core (MUTATION_JOBS: how many at once); goes on where it was interrupted if MUTATION_DIR names a folder that stays.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=$(realpath -s "${PYTHON:-$root/.venv/bin/python}")
work=${MUTATION_DIR:-$(mktemp -d)}
mkdir -p "$work/src" "$work/tests/ros"
cp -r "$root/core/isthmus" "$root/ros_ws/src/isthmus_ros/isthmus_ros" "$work/src/"
cp "$root/tests/ros/test_transports.py" "$work/tests/ros/"
cp -r "$root/tests/core" "$root/tests/conftest.py" "$work/tests/"
cp "$root/pyproject.toml" "$work/"
cd "$work"
export OMP_NUM_THREADS=1
code=src/isthmus/guard.py,src/isthmus/envelope.py,src/isthmus/monitors.py,src/isthmus/rungs.py,src/isthmus/limits.py,src/isthmus/timing.py,src/isthmus/stream.py,src/isthmus/lookout.py,src/isthmus/senders.py,src/isthmus/phases.py,src/isthmus/trajectory.py,src/isthmus/spline.py,src/isthmus_ros/guard/transports.py
PYTHONPATH=src "$python" -m coverage run --branch --include="$code" -m pytest -q -p no:cacheprovider --hypothesis-profile mutation \
  -k "not no_random and not creep and not jitter and not comes_late" tests/core/test_guard.py tests/core/test_guard_properties.py tests/core/test_guard_time.py tests/core/test_envelope.py tests/core/test_monitors.py tests/core/test_runaway.py tests/core/test_timing.py tests/core/test_stream.py tests/core/test_lookout.py tests/core/test_senders.py tests/core/test_phases.py tests/core/test_stream_lifecycle.py tests/core/test_stream_limits.py \
  tests/core/test_robot.py tests/core/test_contract.py tests/core/test_mobile_base.py tests/core/test_trajectory.py tests/core/test_spline.py tests/ros/test_transports.py
"$python" -m coverage report --show-missing --fail-under=100
"$python" -m mutmut run --max-children "${MUTATION_JOBS:-1}"
"$python" -m mutmut results
echo "mutants and results are in $work/mutants; look at one with: cd $work && $python -m mutmut show NAME"
