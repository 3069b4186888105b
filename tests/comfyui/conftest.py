"""The ComfyUI server of the tests."""

import pytest
from comfyui_fixtures import comfyui, process, reward_file, start_comfyui

__all__ = ["comfyui", "process", "reward_file", "start_comfyui"]


@pytest.fixture(autouse=True)
def server_survives(request):
    """Whatever a test did, the queue goes on."""
    yield
    if "comfyui" in request.fixturenames:
        assert request.getfixturevalue("comfyui").process.poll() is None, "the server died"
