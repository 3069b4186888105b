"""Each mistake that a fresh implementation makes in the network or its weights is noticed: the official score is missed.

The table of mistakes is the one of the fixtures' README ("What a fresh implementation gets wrong").
"""

import copy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from videoalign.reward.checkpoint_files import open_checkpoint, read_pickle
from videoalign.reward.checkpoint_weights import network_name
from videoalign.reward.loading import build, load_video_reward, read_official
from videoalign.reward.scores import clip_scores

FLOAT32 = {"dtype": torch.float32, "rotary_dtype": torch.float32, "device": "cpu"}
CASES = ["syn/s01_24fps_48f_128x128", "syn/s02_8fps_16f_320x240", "syn/s05_10fps_3f_96x64"]


def missed(official, model, tag="full.fp32", cases=CASES, whole_pass=False):
    """Mean |difference| of each dimension from the official raw scores; ``whole_pass``: of ``raw_rewards``, one pass a clip."""
    rows = []
    for case in cases:
        if whole_pass:
            with torch.no_grad():
                ours = [row.tolist() for row in model.raw_rewards(official.prepared(case), official.captions(case))]
        else:
            ours = [[score.raw[name] for name in ("VQ", "MQ", "TA")] for score in official.score(model, case)]
        rows += (torch.tensor(ours) - torch.tensor(official.results(tag)[case]["logits"])).abs().tolist()
    return torch.tensor(rows).mean(0)


@pytest.fixture
def model(official):
    """A copy that a test may break; unbroken it meets the official scores."""
    model = copy.deepcopy(official.model("full.fp32"))
    assert missed(official, model).max() < 2e-5
    return model


@pytest.fixture(scope="module")
def parts(checkpoints):
    """The checkpoint's content before it is assembled, in float32."""
    return read_official(open_checkpoint(checkpoints / "ckpt_full"), dtype=torch.float32)


def assemble(parts, **weights):
    return build(
        replace(parts, weights={**parts.weights, **weights}), torch.float32, torch.device("cpu"), torch.float32
    )


def official_state(checkpoints, checkpoint="ckpt_full"):
    return read_pickle(checkpoints / checkpoint / "checkpoint-11352" / "model.pth")


def m_rope_positions(ids, clip, video_token):
    """Qwen2-VL's own three-axis positions for a text with one video."""
    start = ids.index(video_token)
    t, h, w = clip.grid[0], clip.grid[1] // 2, clip.grid[2] // 2
    text = torch.arange(start).expand(3, -1)
    grid = torch.stack(torch.meshgrid(torch.arange(t), torch.arange(h), torch.arange(w), indexing="ij")).flatten(1)
    rest = torch.arange(len(ids) - start - t * h * w).expand(3, -1) + start + max(t, h, w)
    return torch.cat([text, grid + start, rest], dim=1)


def test_multi_axis_positions_are_noticed(official, model, monkeypatch):
    network = model.network
    forward = network.language_model.forward

    def with_m_rope(**options):
        past, length = int(options["position_ids"][0, 0, 0]), options["inputs_embeds"].shape[1]
        options["position_ids"] = positions[:, None, past : past + length]
        return forward(**options)

    monkeypatch.setattr(network.language_model, "forward", with_m_rope)
    total = torch.zeros(3)
    for case in CASES:
        [clip] = official.prepared(case)
        ids = model.tokenizer.encode(official.captions(case)[0], clip.video_tokens)
        positions = m_rope_positions(ids, clip, model.tokenizer.video_token_id)
        total += missed(official, model, cases=[case])
    assert (total / len(CASES)).min() > 0.05


def test_exact_rotary_frequencies_are_noticed_where_rounded_ones_were_trained(official, checkpoints):
    rounded = official.model("full.fp32_ropebf16")
    assert missed(official, rounded, "full.fp32_ropebf16").max() < 2e-5
    exact = load_video_reward(checkpoints / "ckpt_full", **FLOAT32)
    assert missed(official, exact, "full.fp32_ropebf16").max() > 0.02


def test_rounding_only_one_of_the_two_frequency_tables_is_noticed(official, model):
    tables = official.model("full.fp32_ropebf16").network.visual.rotary_pos_emb.inv_freq
    model.network.visual.rotary_pos_emb.inv_freq = tables.clone()
    assert missed(official, model, "full.fp32_ropebf16").max() > 1e-3
    assert missed(official, model, "full.fp32").max() > 1e-4


def test_ignoring_the_lm_head_copy_of_the_embedding_is_noticed(official, checkpoints, parts):
    tag, cases = "untied.fp32", ["syn/s01_24fps_48f_128x128", "syn/s02_8fps_16f_320x240"]
    assert missed(official, official.model(tag), tag, cases).max() < 2e-5
    ignored = {
        network_name(name): tensor.float() for name, tensor in official_state(checkpoints, "ckpt_untied").items()
    }["language_model.embed_tokens.weight"]
    own = read_official(open_checkpoint(checkpoints / "ckpt_untied"), dtype=torch.float32)
    assert missed(official, assemble(own, **{"language_model.embed_tokens.weight": ignored}), tag, cases).max() > 0.5


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_a_lora_that_is_not_applied_or_not_scaled_is_noticed(official, checkpoints, parts, scale):
    state = {network_name(name): tensor.float() for name, tensor in official_state(checkpoints).items()}
    wrong = {}
    for name in parts.weights:
        down = state.get(name.removesuffix("weight") + "lora_A.default.weight")
        if down is not None:
            wrong[name] = state[name] + scale * (state[name.removesuffix("weight") + "lora_B.default.weight"] @ down)
    assert len(wrong) == 3 * 7
    assert missed(official, assemble(parts, **wrong)).min() > 0.1


@pytest.mark.parametrize("kept", ["visual.", "visual.merger.", "language_model.embed_tokens."])
def test_a_vision_tower_a_merger_or_an_embedding_left_at_the_base_model_is_noticed(official, checkpoints, parts, kept):
    base = load_file(checkpoints / "base" / "model.safetensors")
    wrong = {network_name(name): tensor.float() for name, tensor in base.items() if network_name(name).startswith(kept)}
    if "embed" in kept:
        [name] = wrong
        wrong = {name: torch.cat([wrong[name][:1214], torch.zeros(3, 64)])}  # the base has no reward tokens
    assert wrong
    assert missed(official, assemble(parts, **wrong)).max() > 0.1


def test_features_from_before_the_merger_are_noticed(official, model, monkeypatch):
    merger = model.network.visual.merger
    monkeypatch.setattr(merger, "forward", lambda hidden: hidden.unflatten(0, (-1, 4)).mean(1))  # same width here
    assert missed(official, model).min() > 0.05


def test_a_wrong_order_of_vision_positions_is_noticed(official, model, monkeypatch):
    def row_by_row(h, w, device):
        cos, sin = original(h, w, device)
        order = torch.arange(h * w).reshape(h // 2, w // 2, 2, 2).permute(0, 2, 1, 3).flatten()
        return cos[order], sin[order]

    original = model.network.visual._rotary
    monkeypatch.setattr(model.network.visual, "_rotary", row_by_row)
    assert missed(official, model).max() > 0.01


def test_left_padding_without_a_mask_is_noticed_while_right_padding_is_harmless(official, model, monkeypatch):
    read, pad = model.network.read, model._pad_embedding()

    def padded(side):
        def padded_read(embeddings, attention_mask=None, cache=None):
            padding = pad.expand(len(embeddings), 200, -1)
            if side == "right":
                return read(torch.cat([embeddings, padding], dim=1))
            return read(torch.cat([padding, embeddings], dim=1))[:, 200:]

        return padded_read

    monkeypatch.setattr(model.network, "read", padded("right"))
    assert missed(official, model, whole_pass=True).max() < 2e-5
    monkeypatch.setattr(model.network, "read", padded("left"))
    assert missed(official, model, whole_pass=True).min() > 0.1


def test_the_column_instead_of_the_diagonal_of_a_three_output_head_is_noticed(official, monkeypatch):
    model = copy.deepcopy(official.model("dim3.fp32"))
    assert missed(official, model, "dim3.fp32").max() < 2e-5
    monkeypatch.setattr(model, "_head", lambda hidden, first=0: model.network.rewards(hidden)[:, 0])
    assert missed(official, model, "dim3.fp32")[1:].min() > 0.1


def test_an_overall_that_is_not_the_sum_of_the_three_is_noticed(official):
    case = "prompt/ta0/s02"
    [score] = official.score(official.model("full.fp32"), case)
    recorded = official.results("full.fp32")[case]["rewards"][0]["Overall"]
    assert abs(score.Overall - recorded) < 6e-5
    raw = [score.raw[name] for name in ("VQ", "MQ", "TA")]
    mean_of_three = (score.VQ + score.MQ + score.TA) / 3
    for wrong in (mean_of_three, sum(raw), score.VQ + score.MQ):
        assert abs(wrong - recorded) > 0.05
    [clip] = official.prepared(case)
    settings = official.model("full.fp32").settings
    assert clip_scores(raw, settings.normalisation, None, clip).Overall == score.Overall
