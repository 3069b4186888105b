"""What is brought to an accelerator beside its work: the same to the bit, and held until the main queue is done with it."""

import contextlib
import types

import pytest
import torch

from videoalign.backbones import side_stream
from videoalign.clips.frames import SampledFrames
from videoalign.reward.clip import prepare_frames

CPU = torch.device("cpu")


@pytest.fixture
def calls(monkeypatch):
    """An accelerator that is the CPU, and what is asked of its queues, in order."""
    calls = []

    class Stream:
        def __init__(self, device):
            calls.append("a second queue")

        def synchronize(self):
            calls.append("waited for it")

    @contextlib.contextmanager
    def stream(one):
        calls.append("into it")
        yield
        calls.append("out of it")

    module = types.SimpleNamespace(Stream=Stream, stream=stream, current_stream=lambda device: "main")
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: module)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda made, queue: calls.append(f"held for {queue}"))
    monkeypatch.setattr(side_stream, "pinned", lambda tensor: calls.append("pinned") or tensor)
    side_stream.side_stream.cache_clear()
    yield calls
    side_stream.side_stream.cache_clear()


def frames():
    pixels = torch.randint(0, 256, (4, 3, 56, 84), generator=torch.Generator().manual_seed(0)).float()
    return SampledFrames(pixels, [0, 2, 4, 6], 8, 8.0, (), (56, 84))


def test_patches_that_are_cut_on_the_device_are_those_of_the_cpu_to_the_bit(calls):
    there, here = prepare_frames(frames(), (CPU, torch.float32)), prepare_frames(frames())
    assert torch.equal(there.patches, here.patches) and there.grid == here.grid and there.size == here.size
    assert calls == ["a second queue", "into it", "pinned", "out of it", "waited for it", "held for main"]
    prepare_frames(frames(), (CPU, torch.float32))
    assert calls.count("a second queue") == 1


def test_a_device_without_queues_does_the_same_in_its_only_one(monkeypatch):
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: types.SimpleNamespace())
    made = side_stream.SideStream(CPU).bring(torch.arange(3), lambda there: 2 * there)
    assert made.tolist() == [0, 2, 4]


@pytest.mark.gpu
def test_on_a_gpu_too():
    there, here = prepare_frames(frames(), (torch.device("cuda"), torch.float32)), prepare_frames(frames())
    assert there.patches.device.type == "cuda" and torch.equal(there.patches.cpu(), here.patches)
