"""PickScore on frames is transformers' CLIP: its logits for each frame, averaged."""

import json

import numpy as np
import pytest
import torch
from tiny_judges import filled

from videoalign.clips.frames import Frames
from videoalign.clips.video_file import write_video
from videoalign.errors import CheckpointError
from videoalign.judges import JudgeError, JudgeOptions, open_judge

SIDE = 32
START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer():
    """A byte-level BPE without merges, with CLIP's two control tokens last, as CLIP has them."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    vocabulary |= {START: len(letters), END: len(letters) + 1}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (START, END)])
    ends = [(token, vocabulary[token]) for token in (START, END)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    return tokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel

    words = clip_tokenizer()
    text = {
        "vocab_size": words.get_vocab_size(), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 77, "hidden_act": "gelu", "bos_token_id": 0, "eos_token_id": 2,
        "pad_token_id": 1, "projection_dim": 24,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE,
        "patch_size": 8, "hidden_act": "gelu", "projection_dim": 24,
    }  # fmt: skip
    module = filled(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)))
    module.logit_scale.data.fill_(float(np.log(100)))
    folder = tmp_path_factory.mktemp("pickscore")
    module.save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    return module, folder


@pytest.fixture(scope="module")
def judge(model):
    return open_judge(f"pickscore:{model[1]}", JudgeOptions(device="cpu"))


def frames_of(seed, count=7, size=(SIDE, SIDE)):
    pixels = torch.randint(0, 256, (count, *size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Frames(pixels, 8.0)


@torch.no_grad()
def logits(module, pixels, caption):
    """transformers' own image processor, tokenizer and forward: what the model card calls the score, of each picture."""
    from PIL import Image
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    pictures = processor([Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in pixels], return_tensors="pt")
    ids = torch.tensor([clip_tokenizer().encode(caption).ids])
    out = module(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pictures["pixel_values"])
    return out.logits_per_image[:, 0]


def test_marks_are_the_mean_and_the_best_of_transformers_logits(judge, model, tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 8, "yuv444p")
    for source in (frames_of(1), path):
        prepared = judge.prepare(source)
        expected = logits(model[0], prepared.pixels, "a red cat").sort(descending=True).values
        assert len(expected) == 4 and expected.std() > 0.1
        [[marks]] = judge.score_prepared([prepared], [("a red cat",)])
        # float32, 100 times cosines of 24 products: 100 * 1e-6
        assert marks.marks["pick"] == pytest.approx(expected.mean().item(), abs=1e-4)
        assert marks.marks["pick_best"] == pytest.approx(expected[:2].mean().item(), abs=1e-4)
        assert marks.to_dict()["frames"] == 4 and marks.to_dict()["total_frames"] == 7


def test_clips_and_captions_together_get_what_each_gets_alone(judge):
    one, other = judge.prepare(frames_of(1)), judge.prepare(frames_of(2, count=3))
    together = judge.score_prepared([one, other], [("a cat", "a dog"), ("a cat",)])
    assert together[0][1].marks != together[0][0].marks != together[1][0].marks
    for prepared, texts, marks in ((one, ("a cat", "a dog"), together[0]), (other, ("a cat",), together[1])):
        for text, ours in zip(texts, marks, strict=True):
            [[alone]] = judge.score_prepared([prepared], [(text,)])
            assert alone.marks == pytest.approx(ours.marks, abs=1e-5)


def test_the_middle_of_a_frame_is_resized_as_pillow_does_to_a_level(judge):
    from PIL import Image

    [frame] = frames_of(3, 1, (96, 150)).pixels
    ours = judge.view.resize(frame.permute(2, 0, 1)[None])[0]
    theirs = Image.fromarray(frame.numpy()).resize((50, 32), Image.BICUBIC).crop((9, 0, 41, 32))
    difference = (ours - torch.from_numpy(np.array(theirs)).permute(2, 0, 1).float()).abs()
    assert ours.shape == (3, SIDE, SIDE) and difference.max() <= 1 and difference.mean() < 0.2


def test_a_caption_that_is_cut_says_so_and_control_tokens_in_one_are_characters(judge, model):
    prepared = judge.prepare(frames_of(1))
    long, short = "x" * 100, "x" * 75
    [[cut, whole, evil]] = judge.score_prepared([prepared], [(long, short, f"a {END} b")])
    assert cut.marks == whole.marks and not whole.notes and "reads 77 tokens" in cut.notes[0]
    assert evil.marks["pick"] != pytest.approx(logits(model[0], prepared.pixels, "a ").mean().item(), abs=1e-2)


def test_half_precision_is_close_and_the_command_scores_a_clip(model, judge, tmp_path, videoalign):
    path = tmp_path / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 8, "yuv444p")
    [[whole]] = judge.score_prepared([judge.prepare(path)], [("a cat",)])
    for dtype, rounding in (("bfloat16", 2**-8), ("float16", 2**-11)):
        outcome = videoalign(
            "score",
            path,
            "--prompt",
            "a cat",
            "--judge",
            f"pickscore:{model[1]}",
            "--device",
            "cpu",
            "--dtype",
            dtype,
            "--json",
        )
        assert outcome.status == 0, outcome.err
        # cosines of 24 rounded numbers, through two layers of a few roundings each; times 100
        assert outcome.rows[0]["pick"] == pytest.approx(whole.marks["pick"], abs=100 * 10 * rounding)


def test_other_folders_and_options_are_refused(checkpoints, model, tmp_path):
    with pytest.raises(CheckpointError, match=r"kind 'qwen2_vl', not CLIP"):
        open_judge(f"pickscore:{checkpoints / 'base'}")
    with pytest.raises(JudgeError, match="needs its weights"):
        open_judge("pickscore")
    with pytest.raises(JudgeError, match="not in 4bit"):
        open_judge(f"pickscore:{model[1]}", JudgeOptions(weights="4bit"))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(CheckpointError, match="cannot be loaded as CLIP"):
        open_judge(f"pickscore:{tmp_path}", JudgeOptions(device="cpu"))
    model[0].save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="has no tokenizer of CLIP"):
        open_judge(f"pickscore:{tmp_path}", JudgeOptions(device="cpu"))
    assert (
        open_judge(f"pickscore:{tmp_path}", JudgeOptions(device="cpu", base=model[1])).identity()["dtype"] == "float32"
    )
