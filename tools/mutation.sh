#!/usr/bin/env bash
# Coverage and mutation testing of the guard's decision code, its stream and its transports, in a copy of the tree (src/ layout, which mutmut expects).
# Files, tests and options are those of [tool.mutmut] in pyproject.toml; mutants that survive and may are named in tools/mutants.yaml.
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
setting() { "$python" -c "from mutmut.configuration import config; print(*config().$1, sep='\n')"; }
mapfile -t options < <(setting pytest_add_cli_args)
mapfile -t tests < <(setting pytest_add_cli_args_test_selection)
code=$(setting only_mutate | paste -sd,)
PYTHONPATH=src "$python" -m coverage run --branch --include="$code" -m pytest -q "${options[@]}" "${tests[@]}"
"$python" -m coverage report --show-missing --fail-under=100
"$python" -m mutmut run --max-children "${MUTATION_JOBS:-1}"
echo "mutants and results are in $work/mutants"
cd "$root"
"$python" tools/survivors.py "$work/mutants" --record docs/results/mutants.json
