"""A VideoReward whose blocks torch.compile has made: the same scores, for clips of any size, and kept apart from the others."""

import copy
import sys

import pytest
import torch

from videoalign.backbones import devices
from videoalign.errors import VideoAlignError
from videoalign.judges import JudgeOptions, open_judge

CAPTIONS = ["cat", "a dog that runs", "two red squares"]
CLIPS = ["s05_10fps_3f_96x64", "s04_10fps_2f_64x64", "s07_10fps_5f_96x64"]


@pytest.fixture(scope="module")
def model(official):
    return official.model("full.fp32")


@pytest.fixture
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def same_scores(compiled, plain, clips):
    for name in CLIPS:
        path = clips / f"{name}.mp4"
        for one, other in zip(
            compiled.score_captions(path, CAPTIONS), plain.score_captions(path, CAPTIONS), strict=True
        ):
            assert one.raw == pytest.approx(other.raw, abs=2e-5)  # sums in another order, as `score_prepared` says


def test_one_graph_of_each_kind_of_block_does_for_all_layers_captions_and_sizes(model, clips, fresh):
    """Without a compiler behind it: what is asked is what torch traces, and how often."""
    compiled = copy.deepcopy(model)
    graphs = []

    def counted(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled.network.compile_blocks(backend=counted)
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        same_scores(compiled, model, clips)
        made = len(graphs)
        same_scores(compiled, model, clips)
    assert made == len(graphs)
    layers = len(compiled.network.language_model.layers) + len(compiled.network.visual.blocks)
    # Vision; text from its beginning; captions' common words and their rest, after what the cache holds.
    assert 2 <= made <= 8 and layers >= 4


@pytest.mark.slow  # the compiler takes half a minute
def test_compiled_kernels_score_alike(model, clips, fresh):
    compiled = copy.deepcopy(model)
    compiled.compile()
    same_scores(compiled, model, clips)


def test_compiled_scores_are_kept_apart(model, monkeypatch):
    compiled = copy.deepcopy(model)
    monkeypatch.setattr("videoalign.reward.video_reward.check_compiler", lambda device: None)
    compiled.compile()
    assert compiled.identity() == {**model.identity(), "compiled": True}


def test_without_a_compiler_it_is_refused_before_any_clip_is_read(monkeypatch):
    def fails(function, **options):
        raise RuntimeError("Compiler: g++ is not found.\nmore")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(VideoAlignError, match=r"for cpu here \(Compiler: g\+\+ is not found\.\).*leave --compile out"):
        open_judge("videoreward:micro", JudgeOptions(device="cpu", compile=True))


@pytest.mark.skipif(sys.platform != "linux", reason="a C++ compiler is asked for")
def test_a_compiler_that_is_there_is_found(fresh):
    devices.check_compiler(torch.device("cpu"))
