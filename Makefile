# Everything runs in .venv, which the first target makes. `make demo` and `make test` need nothing but Python, git and make.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
unexport PYTHONDONTWRITEBYTECODE # else each of the processes that the tests start compiles all modules anew

.PHONY: demo test test-metaworld test-browser lint bench bench-ros mutation docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   train a policy in MuJoCo, run the same file in PyBullet and over ROS 2, write runs/demo/report.html"
	@echo "make test   all tests"
	@echo "make test-metaworld   tests of Meta-World's tasks, in .venv-metaworld"
	@echo "make test-browser   tests of isthmus view --browser, in .venv-browser"
	@echo "make lint   ruff, mypy, import direction"
	@echo "make bench  speed against named peers"
	@echo "make bench-ros   the ROS nodes against bare rclpy; wants an idle computer"
	@echo "make mutation   mutation testing of the guard, two hours on one core"
	@echo "make docs   the documentation site, in site/"

.venv/installed: pyproject.toml constraints.txt tools/setup.sh
	PYTHON=$(PYTHON) bash tools/setup.sh
	touch $@

demo: .venv/installed
	$(BIN)/isthmus demo

# What starts ROS 2 nodes keeps time, and so has the computer for itself. A file's tests share what they train, and so stay in one process.
test: .venv/installed
	$(BIN)/python -m pytest -m "not ros" -n 2 --dist loadfile -q --durations 20
	$(BIN)/python -m pytest -m ros tests/ros --durations 20

# Meta-World pins an older MuJoCo, so it has an environment of its own.
.venv-metaworld/installed: pyproject.toml constraints-metaworld.txt
	$(PYTHON) -m venv .venv-metaworld
	.venv-metaworld/bin/python -m pip install -q -c constraints-metaworld.txt pytest -e '.[metaworld]'
	touch $@

test-metaworld: .venv-metaworld/installed
	.venv-metaworld/bin/python -m pytest tests/metaworld

# viser takes no rich 15 and no websockets 17.
.venv-browser/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-browser
	grep -vE '^(rich|websockets)==' constraints.txt > .venv-browser/constraints.txt
	.venv-browser/bin/python -m pip install -q -c .venv-browser/constraints.txt pytest hypothesis -e '.[sim,report,browser]'
	touch $@

test-browser: .venv-browser/installed
	.venv-browser/bin/python -m pytest tests/cli/test_browser.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt envpool==1.2.5 || true # a rival; left out where there is no wheel
	$(BIN)/python benchmarks/sim.py

bench-ros: .venv/installed
	$(BIN)/python benchmarks/ros.py --record docs/results/ros.json
	$(BIN)/python benchmarks/ros.py --soak 600 --record docs/results/ros.json
	$(BIN)/python benchmarks/ros.py --seeds 100 --episodes 20 --record docs/results/ros.json

mutation: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt mutmut==3.8.1
	bash tools/mutation.sh

docs: .venv/installed
	$(BIN)/python docs/generate.py --check
	$(BIN)/mkdocs build --strict
	$(BIN)/python docs/marks.py site
	$(BIN)/python docs/widths.py site

clean:
	rm -rf .venv .venv-metaworld .venv-browser site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
