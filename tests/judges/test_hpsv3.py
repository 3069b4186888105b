"""HPSv3 on frames: mu and sigma are those of transformers' Qwen2-VL with HPSv3's head, and a clip has their mean and its best."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from tiny_judges import BASE, filled
from torch import nn

from videoalign.clips.frames import Frames
from videoalign.clips.video_file import write_video
from videoalign.errors import CheckpointError
from videoalign.judges import JudgeError, JudgeOptions, open_judge
from videoalign.judges.hpsv3 import PROMPT_FILE
from videoalign.reward.vision_language.family import QWEN2_VL
from videoalign.reward.vision_language.pictures import Pictures

CAPTION = "a red <|Reward|> cat"
VOCABULARY = 1215  # the tiny tokenizer's 1214 and <|Reward|>


def reference():
    """transformers' Qwen2-VL of the tiny size, and HPSv3's head on it."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    values = json.loads((BASE / "config.json").read_text()) | {"vocab_size": VOCABULARY, "tie_word_embeddings": False}
    module = filled(Qwen2VLForConditionalGeneration(Qwen2VLConfig(**values)).float())
    module.rm_head = filled(
        nn.Sequential(
            nn.Linear(64, 1024), nn.ReLU(), nn.Dropout(0.05), nn.Linear(1024, 16), nn.ReLU(), nn.Linear(16, 2)
        ),
        seed=1,
    )
    for part in module.modules():  # the official inference casts the network, these tables included, to bfloat16
        for name in ("inv_freq", "original_inv_freq"):
            if hasattr(part, name):
                setattr(part, name, getattr(part, name).bfloat16().float())
    return module


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The reference and its weights in the layout of the public file, with a base folder that has the tokenizer."""
    module, folder = reference(), tmp_path_factory.mktemp("hpsv3")
    names = {"model.visual.": "visual.", "model.language_model.": "model."}
    state = {}
    for name, tensor in module.state_dict().items():
        for new, old in names.items():
            name = old + name.removeprefix(new) if name.startswith(new) else name
        state[name] = tensor.clone().contiguous()
    assert {
        "model.embed_tokens.weight",
        "visual.patch_embed.proj.weight",
        "lm_head.weight",
        "rm_head.5.bias",
    } <= state.keys()
    save_file(state, folder / "HPSv3.safetensors")
    return module, folder / "HPSv3.safetensors"


def options(**more):
    return JudgeOptions(device="cpu", dtype="float32", base=BASE, **more)


@pytest.fixture(scope="module")
def judge(model):
    return open_judge(f"hpsv3:{model[1]}", options())


def frames_of(seed, count=7, size=(48, 64)):
    pixels = torch.randint(0, 256, (count, *size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Frames(pixels, 8.0)


@torch.no_grad()
def rewards(module, judge, frame, caption):
    """mu and sigma of one frame as the official forward has them: one picture, plain positions, the head at the token."""
    from transformers import AutoTokenizer

    words = AutoTokenizer.from_pretrained(BASE)
    words.add_special_tokens({"additional_special_tokens": ["<|Reward|>"]})
    token = words.convert_tokens_to_ids("<|Reward|>")
    text = PROMPT_FILE.read_bytes().decode().replace("{caption}", caption)
    chat = words.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}], tokenize=False, add_generation_prompt=True
    )  # fmt: skip
    patches, [grid] = Pictures(frame[None], 1, 8.0).patches(QWEN2_VL, False, torch.device("cpu"))
    chat = chat.replace("<|image_pad|>", "<|image_pad|>" * (grid[1] * grid[2] // 4))
    ids = torch.tensor([words.encode(chat)])
    positions = torch.arange(ids.shape[1]).expand(3, 1, -1)
    kinds = {"mm_token_type_ids": (ids == 1212) * 1}
    hidden = module(
        input_ids=ids, position_ids=positions, pixel_values=patches, image_grid_thw=torch.tensor([grid]),
        output_hidden_states=True, **(kinds if "mm_token_type_ids" in type(module).forward.__code__.co_varnames else {}),
    ).hidden_states[-1]  # fmt: skip
    return module.rm_head(hidden[0, ids[0].tolist().index(token)])


def test_marks_are_the_mean_and_the_best_of_what_transformers_gives_each_frame(judge, model, tmp_path):
    caption = "a red cat walks"
    path = tmp_path / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 8, "yuv444p")
    for source in (frames_of(1), path):
        prepared = judge.prepare(source)
        assert len(prepared.pixels) == 4 and prepared.pixels.shape[2:] == (392, 532)
        expected = torch.stack([rewards(model[0], judge, frame, caption) for frame in prepared.pixels])
        [[marks]] = judge.score_prepared([prepared], [(caption,)])
        mu = expected[:, 0].sort(descending=True).values
        assert mu.std() > 0.01
        # float32: 5e-8 of each of 1e3 terms of the head, whose sums are about 1
        assert marks.marks == {
            "hps": pytest.approx(mu.mean().item(), abs=1e-4),
            "hps_best": pytest.approx(mu[:2].mean().item(), abs=1e-4),
        }
        assert marks.to_dict()["sigma"] == pytest.approx(expected[:, 1].mean().item(), abs=1e-4)
        assert marks.to_dict()["frames"] == 4


def test_frames_and_clips_do_not_change_each_other(judge):
    one, other = judge.prepare(frames_of(1)), judge.prepare(frames_of(2, count=3))
    together = judge.score_prepared([one, other], [("a cat", "a dog"), ("a cat",)])
    for prepared, texts, marks in ((one, ("a cat", "a dog"), together[0]), (other, ("a cat",), together[1])):
        [alone] = judge.score_prepared([prepared], [texts])
        for ours, theirs in zip(alone, marks, strict=True):
            assert ours.marks == pytest.approx(theirs.marks, abs=1e-5)
    assert together[0][0].marks != together[0][1].marks


def test_a_caption_cannot_bring_a_reward_token_of_its_own(judge):
    ids = judge._ids(CAPTION, 4)
    assert ids.count(judge.text.id_of("<|Reward|>")) == 1 and ids[-1] == judge.text.id_of("<|Reward|>")


def test_a_frame_has_about_256_tokens_and_frames_are_two_a_second(judge):
    assert judge.view.resize(torch.zeros(1, 3, 480, 832, dtype=torch.uint8)).shape[2:] == (336, 588)  # 252 tokens
    assert (
        len(judge.view.choose(121, 24.0)) == 10
        and judge.view.choose(1, 24.0) == [0]
        and len(judge.view.choose(9999, 24.0)) == 32
    )


@pytest.mark.parametrize("weights", ["8bit", "4bit"])
def test_in_fewer_bits_it_runs_on_a_cpu_and_its_head_stays_in_float32(model, judge, weights):
    pytest.importorskip("bitsandbytes")
    fewer = open_judge(f"hpsv3:{model[1]}", JudgeOptions(device="cpu", dtype="bfloat16", base=BASE, weights=weights))
    prepared = fewer.prepare(frames_of(1))
    [[marks]] = fewer.score_prepared([prepared], [("a cat",)])
    [[whole]] = judge.score_prepared([prepared], [("a cat",)])
    assert marks.marks != whole.marks and abs(marks.marks["hps"] - whole.marks["hps"]) < 2
    [network] = fewer.modules
    assert (
        network.rm_head[0].weight.dtype == torch.float32
        and network.visual.blocks[0].attn.qkv.weight.dtype == torch.bfloat16
    )
    assert fewer.identity() != judge.identity()


def test_the_command_scores_a_clip_with_the_public_files_layout(model, tmp_path, videoalign):
    path = tmp_path / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 8, "yuv444p")
    outcome = videoalign(
        "score", path, "--prompt", "a cat", "--judge", f"hpsv3:{model[1]}", "--base", BASE, "--device", "cpu", "--json"
    )
    assert outcome.status == 0, outcome.err
    assert {"hps", "hps_best", "sigma", "frames", "judge"} <= outcome.rows[0].keys()


def test_other_files_are_told_apart(model, checkpoints, tmp_path):
    with pytest.raises(CheckpointError, match="is not HPSv3: its head"):
        open_judge(f"hpsv3:{checkpoints / 'base'}", options())
    with pytest.raises(JudgeError, match="needs its weights"):
        open_judge("hpsv3")
    shutil.copy(model[1], tmp_path / "HPSv3.safetensors")
    with pytest.raises(CheckpointError, match=r"has no tokenizer. Put tokenizer.json"):
        open_judge(f"hpsv3:{tmp_path}", JudgeOptions(device="cpu"))
    state = {name: tensor.clone() for name, tensor in model[0].rm_head.state_dict(prefix="rm_head.").items()}
    save_file({**state, "model.embed_tokens.weight": torch.zeros(7, 64)}, tmp_path / "HPSv3.safetensors")
    with pytest.raises(CheckpointError, match="has 7 token embeddings, the tokenizer 1215"):
        open_judge(f"hpsv3:{tmp_path}", options())
