PYTHON ?= python3
# Tests share their files among one worker more than there are cores, as the servers and browsers of some are waited for; four at most: one takes up
# to 2 GB.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST = -m pytest --run-long -n $(WORKERS) --maxprocesses 4 --max-worker-restart 0

# The main job, offline: makes clips, scores them, writes a page.
demo: .venv/ready
	.venv/bin/videoalign demo --output demo

# The tables about the micro family in benchmarks/RESULTS.md, about half a day of one core; goes on where it was stopped.
evidence: .venv/ready-test
	.venv/bin/python benchmarks/evidence.py evidence --write

# Everything: style, types, all tests, the numeric ones with fewer instructions, those of the oldest supported versions.
test:
	$(MAKE) -j 3 prepare
	$(MAKE) tests

tests: test-newest test-isa test-oldest

# What needs one core or the network goes on side by side.
prepare: .comfyui/ready .venv-oldest/ready lint types

lint: .venv/ready-test
	.venv/bin/ruff check .

types: .venv/ready-test .venv/typing/videoalign
	.venv/bin/mypy

test-newest: .venv/ready-test .comfyui/ready
	COMFYUI_PATH=.comfyui/ComfyUI .venv/bin/python $(PYTEST) --durations 25

# Numbers hold on every processor: once more without the newest instructions of this one.
test-isa: .venv/ready-test .comfyui/ready
	COMFYUI_PATH=.comfyui/ComfyUI .venv/bin/python tests/with_fewer_instructions.py $(PYTEST) -m numeric

test-oldest: .venv-oldest/ready
	.venv-oldest/bin/python $(PYTEST) -m oldest tests/backbones tests/clips tests/reward

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready-test: .venv/ready
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[train,test]'
	touch $@

# mypy reads the package under its name, whatever the folder of the repository is called.
.venv/typing/videoalign: .venv/ready
	mkdir -p .venv/typing
	ln -sfn ../.. $@

# The real ComfyUI, from the package registry, with its requirements in .venv.
.comfyui/ready: .venv/ready-test tests/comfyui/install_comfyui.sh
	bash tests/comfyui/install_comfyui.sh .comfyui/ComfyUI .venv/bin/python
	touch $@

# After the other environment, for both write the package's egg-info.
.venv-oldest/ready: pyproject.toml constraints-oldest.txt | .venv/ready-test
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable . pytest pytest-xdist
	touch $@

clean:
	rm -rf .venv .venv-oldest .comfyui demo build *.egg-info

.PHONY: demo evidence test tests prepare lint types test-newest test-isa test-oldest clean
