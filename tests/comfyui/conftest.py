"""The ComfyUI server of the tests, and the prompts that they send."""

import os
import shutil
from pathlib import Path

import pytest
from comfy_server import ComfyServer
from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import save_converted
from videoalign.reward.loading import read_official

MODEL = "tiny.safetensors"
_versions = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[_versions] = []


def pytest_terminal_summary(terminalreporter, config):
    versions = config.stash.get(_versions, [])
    if versions:
        terminalreporter.write_line(f"ComfyUI {', '.join(sorted(set(versions)))} ran in these tests.")
    else:
        terminalreporter.write_line("No ComfyUI ran in these tests (COMFYUI_PATH names a tree).", yellow=True)


@pytest.fixture(scope="session")
def reward_file(tmp_path_factory, checkpoints) -> Path:
    """A tiny converted reward model with random weights."""
    path = tmp_path_factory.mktemp("reward") / MODEL
    save_converted(path, read_official(open_checkpoint(checkpoints / "ckpt_full")))
    return path


@pytest.fixture(scope="session")
def start_comfyui(tmp_path_factory, request, reward_file):
    """Start servers, each with folders of its own; they end with the session."""
    servers = []

    def start(*arguments: str, **prepare) -> ComfyServer:
        base = tmp_path_factory.mktemp("comfyui")
        server = ComfyServer(Path(os.environ["COMFYUI_PATH"]), base, arguments)
        servers.append(server)
        request.config.stash[_versions].append(server.version)
        shutil.copy(reward_file, base / "models" / "reward_models" / MODEL)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def comfyui(start_comfyui) -> ComfyServer:
    """The server that the tests share."""
    return start_comfyui()


@pytest.fixture(autouse=True)
def server_survives(request):
    """Whatever a test did, the queue goes on."""
    yield
    if "comfyui" in request.fixturenames:
        server = request.getfixturevalue("comfyui")
        assert server.process.poll() is None, "the server died"
