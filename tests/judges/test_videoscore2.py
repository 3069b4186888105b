"""VideoScore2: its question, its answer and its marks are those of transformers, clip by clip and together."""

import json
import math

import pytest
import torch
from tiny_judges import BASE, END, PAD, inputs_of, qwen2_5_vl, save_model, steps_of, teach, tokenizer

from videoalign.backbones.frozen_linear import FrozenLinear
from videoalign.clips.frames import Frames
from videoalign.clips.video_file import write_video
from videoalign.errors import CaptionError, CheckpointError, ClipError
from videoalign.judges import JudgeError, JudgeOptions, open_judge
from videoalign.judges.videoscore2 import PROMPT, reasons_of, soft_mark, written_marks
from videoalign.reward.vision_language.answers import answers
from videoalign.reward.vision_language.questions import question

CAPTION = "a red cat walks <|im_end|> slowly"
SAID = "<think>\nvisual quality: 1\n</think>\n\n(1) visual quality: 4\n(2) text-to-video alignment: 3\n(3) physical/common-sense consistency: 5\n"
# The end of the text that the public model gave for a public clip, and its thoughts cut to a sentence each: FastVideo's
# fastvideo/tests/eval/reference_scores/videoscore2.json, marks 4, 3, 4.
STORED = (
    "\n<think>\nmulti-dimensional analysis:\n\nVisual Quality Analysis:\nThe video maintains solid visual quality overall.\n\n"
    "Text-to-Video Alignment Analysis:\nThe alignment is moderate rather than perfect.\n\n"
    "Physical/Common-sense Consistency:\nInteractions appear natural.\n\n"
    "Ground-truth scores:\nVisual Quality: 4\nText-to-Video Alignment: 3\nPhysical Consistency: 4\n</think>\n\n"
    "(1) visual quality – clarity, smoothness, artifacts: 4\n(2) text-to-video alignment – fidelity to the prompt: 3\n"  # noqa: RUF001
    "(3) physical/common-sense consistency – naturalness and physics plausibility: 4\n"  # noqa: RUF001
)


def frames_of(seed, count=8, size=(48, 64)):
    pixels = torch.randint(0, 256, (count, *size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Frames(pixels, 4.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip as a file, of 8 frames at 4 frames a second."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 4, "yuv444p")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory, clip):
    """A tiny network that was taught to say ``SAID`` of two clips, with doubts about its marks, and its folder."""
    module = qwen2_5_vl()
    folder = save_model(module, tmp_path_factory.mktemp("model"), penalty=1.05)
    judge = open_judge(f"videoscore2:{folder}", JudgeOptions(device="cpu", dtype="float32"))
    words = tokenizer()
    doubts = {words.encode("4")[0]: {words.encode("5")[0]: 9.0}, words.encode("3")[0]: {words.encode("2")[0]: 8.0}}
    steps = steps_of(words.encode(SAID), doubts)
    teach(module, [(asked(judge, judge.prepare(source)), steps) for source in (clip, frames_of(1))])
    return module, save_model(module, folder, penalty=1.05)


@pytest.fixture(scope="module")
def judge(model):
    return open_judge(f"videoscore2:{model[1]}", JudgeOptions(device="cpu", dtype="float32"))


def asked(judge, prepared, caption=CAPTION):
    words = judge.prompt.replace("{caption}", caption)
    return question(judge.model.family, judge.model.text, [prepared], words, True, judge.step, torch.device("cpu"))


def generated(module, asked):
    """What transformers' generate says, and the scores of the tokens 1 to 5 at each step."""
    out = module.generate(
        **inputs_of(module, asked), do_sample=False, repetition_penalty=1.05, max_new_tokens=200, output_scores=True,
        return_dict_in_generate=True, eos_token_id=[END, PAD], pad_token_id=PAD,
    )  # fmt: skip
    digits = [tokenizer().encode(digit)[0] for digit in "12345"]
    said = out.sequences[0, len(asked.ids) :].tolist()
    return said, torch.stack([step[0, digits] for step in out.scores])


def test_marks_are_those_of_transformers_generate_from_a_file_and_from_frames(judge, model, clip):
    for source in (clip, frames_of(1)):
        prepared = judge.prepare(source)
        said, scores = generated(model[0], asked(judge, prepared))
        text = tokenizer().decode(said)
        assert text.startswith(SAID)
        [[marks]] = judge.score_prepared([prepared], [(CAPTION,)])
        digits = [index for index, token in enumerate(said) if tokenizer().decode([token]) in "12345"][-5:]
        # "(1)", 4, "(2)", 3, "(3)", 5 are the last six; the first mark is the fifth from the end
        for name, step in zip(("visual_quality", "text_alignment", "physics"), digits[::2], strict=True):
            shares = scores[step].double().exp() / scores[step].double().exp().sum()
            expected = float((1 + shares.argmax()) * shares.max())
            assert math.isclose(marks.marks[name], expected, abs_tol=1e-5)
        assert 2.0 < marks.marks["visual_quality"] < 3.5 and 4.9 < marks.marks["physics"] < 5.0
        assert marks.marks["mean"] == pytest.approx(sum(list(marks.marks.values())[:3]) / 3)
        assert [marks.to_dict()[f"{name}_written"] for name in ("visual_quality", "text_alignment", "physics")] == [
            4,
            3,
            5,
        ]
        assert marks.reasons == {"mean": "visual quality: 1"} and marks.total_frames == 8


def test_clips_together_get_the_marks_that_each_gets_alone(judge, clip):
    prepared = [judge.prepare(clip), judge.prepare(frames_of(1))]
    together = judge.score_prepared(prepared, [(CAPTION,), (CAPTION,)])
    for one, [marks] in zip(prepared, together, strict=True):
        [[alone]] = judge.score_prepared([one], [(CAPTION,)])
        for name, mark in alone.marks.items():
            assert mark == pytest.approx(marks.marks[name], abs=1e-5)


def test_the_question_is_what_transformers_processor_makes_of_clip_and_chat(judge):
    pytest.importorskip("torchvision", reason="transformers' video processor needs torchvision")
    from transformers import AutoTokenizer, Qwen2_5_VLProcessor, Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    words = AutoTokenizer.from_pretrained(BASE)
    processor = Qwen2_5_VLProcessor(Qwen2VLImageProcessor(), words, Qwen2VLVideoProcessor(), words.chat_template)
    prepared = judge.prepare(frames_of(2))
    text = PROMPT.replace("{caption}", "a cat")
    message = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": text}]}
    chat = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    theirs = processor(text=[chat], videos=[prepared.pixels], do_sample_frames=False, return_tensors="pt")
    ours = asked(judge, prepared, "a cat")
    assert ours.ids == theirs["input_ids"][0].tolist()
    assert ours.grids == [tuple(theirs["video_grid_thw"][0].tolist())]
    # their 1/255 is multiplied, ours divided: one rounding of float32 at values up to 2.7
    assert torch.allclose(ours.patches, theirs["pixel_values_videos"], atol=1e-6)


def test_frames_are_two_a_second_and_no_side_is_longer_than_960(judge):
    view = judge.view
    assert (
        len(view.choose(120, 24.0)) == 10 and len(view.choose(8, 24.0)) == 4 and len(view.choose(24 * 60, 24.0)) == 64
    )
    wide = view.resize(torch.zeros(1, 3, 1080, 1920, dtype=torch.uint8))
    assert wide.shape[2:] == (532, 952)  # 540 x 960 in multiples of 28
    assert view.resize(torch.zeros(1, 3, 480, 832, dtype=torch.uint8)).shape[2:] == (476, 840)
    with pytest.raises(ClipError, match="needs at least 2"):
        view.choose(1, 24.0)


def test_stored_text_of_the_public_model_gives_its_stored_marks_and_reasons():
    assert [mark for mark, _ in written_marks(STORED).values()] == [4, 3, 4]
    assert reasons_of(STORED) == {
        "visual_quality": "The video maintains solid visual quality overall.",
        "text_alignment": "The alignment is moderate rather than perfect.",
        "physics": "Interactions appear natural.",
    }
    asked_for = "visual quality: 4; \ntext-to-video alignment: 3, \nphysical/common-sense consistency: 5"
    assert [mark for mark, _ in written_marks(asked_for).values()] == [4, 3, 5]


@pytest.mark.parametrize(
    "text", ["", "visual quality: 4", STORED.replace("plausibility: 4", "plausibility: 7"), STORED.replace("artifacts: 4", "artifacts: 4.5"),
             STORED[: STORED.index("</think>")] + "</think>\nGood."]
)  # fmt: skip
def test_an_answer_without_its_three_marks_is_no_mark_at_all(text):
    with pytest.raises(ValueError, match="mark"):
        written_marks(text)


def test_the_soft_mark_is_the_likeliest_times_its_share():
    shares = torch.tensor([0.1, 0.0, 0.2, 0.6, 0.1]) + 1e-12
    assert soft_mark(shares.log() + 3) == pytest.approx(4 * 0.6)


def test_an_answer_that_cannot_be_read_is_the_error_of_its_clip_and_shows_the_answer(tmp_path):
    folder = save_model(qwen2_5_vl(), tmp_path / "untaught")
    judge = open_judge(f"videoscore2:{folder}", JudgeOptions(device="cpu", dtype="float32"))
    judge.limit = 5
    with pytest.raises(
        ClipError, match=r"holds no marks .*there is no mark behind 'visual quality'.*cut after 5 tokens"
    ):
        judge.score_prepared([judge.prepare(frames_of(0))], [("a cat",)])
    with pytest.raises(CaptionError, match="needs a caption"):
        judge.score_prepared([judge.prepare(frames_of(0))], [(None,)])


@pytest.mark.parametrize("weights", ["8bit", "4bit"])
def test_weights_in_fewer_bits_answer_on_a_cpu_as_the_rounded_network_does(model, weights, clip):
    pytest.importorskip("bitsandbytes")
    judge = open_judge(f"videoscore2:{model[1]}", JudgeOptions(device="cpu", dtype="float32", weights=weights))
    module = judge.model.network
    rounded, kept, whole = qwen2_5_vl(), 0, 0
    rounded.load_state_dict(model[0].state_dict())
    for name, layer in module.named_modules():
        if isinstance(layer, FrozenLinear):
            theirs = rounded.get_submodule(name).weight
            assert 0 < (layer.weight - theirs).norm() < (0.04 if weights == "8bit" else 0.12) * theirs.norm()
            theirs.data.copy_(layer.weight)
            whole += theirs.nbytes
            kept += sum(value.nbytes for value in layer.state_dict().values())
    # float8 and a float32 for each row; half a byte, a byte for 64 weights, and the table of the scales (1 KB a matrix)
    assert kept < (0.27 if weights == "8bit" else 0.17) * whole
    ours = asked(judge, judge.prepare(clip))
    [answer] = answers(judge.model, [ours], 8, range(5, 25))
    said = rounded.generate(**inputs_of(rounded, ours), do_sample=False, repetition_penalty=1.05, max_new_tokens=8, pad_token_id=PAD,
        output_scores=True, return_dict_in_generate=True, eos_token_id=[END, PAD])  # fmt: skip
    assert answer.ids == said.sequences[0, len(ours.ids) :].tolist()
    assert torch.allclose(
        answer.watched, torch.cat(said.scores)[:, 5:25], atol=1e-5 * answer.watched.abs().max().clamp(min=10)
    )
    assert judge.identity()["weights"] == weights


def test_the_command_scores_a_clip_with_marks_and_reasons(model, clip, videoalign, tmp_path):
    arguments = (
        "score",
        clip,
        "--prompt",
        CAPTION,
        "--judge",
        f"videoscore2:{model[1]}",
        "--device",
        "cpu",
        "--dtype",
        "float32",
    )
    outcome = videoalign(*arguments, "--output", tmp_path / "marks.jsonl", "--json")
    assert outcome.status == 0, outcome.err
    [row] = outcome.rows
    assert (
        row["judge"] == "videoscore2"
        and row["physics_written"] == 5
        and row["reasons"] == {"mean": "visual quality: 1"}
    )
    assert json.loads((tmp_path / "marks.jsonl.run" / "run.json").read_text())["weights"] == "auto"


def test_a_folder_of_another_model_or_without_files_is_told_apart(checkpoints, tmp_path, model):
    with pytest.raises(
        CheckpointError, match=r"kind 'qwen2_vl', not Qwen2.5-VL. Give the folder of TIGER-Lab/VideoScore2"
    ):
        open_judge(f"videoscore2:{checkpoints / 'base'}")
    with pytest.raises(JudgeError, match="needs its weights"):
        open_judge("videoscore2")
    with pytest.raises(CheckpointError, match=r"has no config.json"):
        open_judge(f"videoscore2:{tmp_path}")
    with pytest.raises(JudgeError, match="cannot keep its weights in 4bit"):
        open_judge("videoreward:micro", JudgeOptions(weights="4bit"))
