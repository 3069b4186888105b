"""Fixtures that start ComfyUI, for the tests over HTTP and for those in the browser."""

import os
import shutil
from pathlib import Path

import pytest
from comfy_process import ComfyProcess
from comfy_server import ComfyServer
from comfyui_versions import versions_that_ran
from prompts import MODEL

from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import save_converted
from videoalign.reward.loading import read_official


@pytest.fixture(scope="session")
def reward_file(tmp_path_factory, checkpoints) -> Path:
    """A tiny converted reward model with random weights."""
    path = tmp_path_factory.mktemp("reward") / MODEL
    save_converted(path, read_official(open_checkpoint(checkpoints / "ckpt_full")))
    return path


@pytest.fixture(scope="session")
def start_comfyui(tmp_path_factory, reward_file):
    """Start servers, each with folders of its own; they end with the session."""
    servers = []

    def start(*arguments: str) -> ComfyServer:
        base = tmp_path_factory.mktemp("comfyui")
        server = ComfyServer(Path(os.environ["COMFYUI_PATH"]).resolve(), base, arguments)
        servers.append(server)
        versions_that_ran.add(server.version)
        shutil.copy(reward_file, base / "models" / "reward_models" / MODEL)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def comfyui(start_comfyui) -> ComfyServer:
    """The server that the tests share."""
    return start_comfyui()


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """ComfyUI's modules in a process without its server."""
    tree = Path(os.environ["COMFYUI_PATH"]).resolve()
    made = ComfyProcess(tree, tmp_path_factory.mktemp("process") / "log.txt")
    versions_that_ran.add((tree / "comfyui_version.py").read_text().split('"')[1])
    yield made
    made.stop()
