"""UnifiedReward-2.0: marks of one clip and comparisons of two are those of transformers, and neither order is trusted alone."""

import importlib.util

import pytest
import torch
from tiny_judges import END, PAD, inputs_of, qwen2_5_vl, qwen3_vl, save_model, steps_of, teach, tokenizer

from videoalign.clips.frames import Frames
from videoalign.clips.video_file import write_video
from videoalign.errors import CaptionError, CheckpointError, ClipError
from videoalign.judges import JudgeError, JudgeOptions, open_judge
from videoalign.judges.unified_reward import MARKS_PROMPT, axis_marks, open_comparison, verdict
from videoalign.reward.comparison import Preference
from videoalign.reward.vision_language.questions import question

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers.models.qwen3_vl") is None, reason="Qwen3-VL needs transformers 4.57"
)

CAPTION = "a red cat"
MARKS = "Alignment Score (1-5): 2.4036\nPhysics Score (1-5): 3.0987\nStyle Score (1-5): 3.3889"
FIRST = "Video 1 is better."
SMALL = {"num_frames": 4, "max_pixels": 96 * 96}
OPTIONS = JudgeOptions(device="cpu", dtype="float32", sampling=SMALL)


def frames_of(seed, count=9):
    pixels = torch.randint(0, 256, (count, 48, 64, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Frames(pixels, 8.0)


def asked(judge, clips):
    words = judge.prompt.replace("{caption}", CAPTION)
    return question(judge.model.family, judge.model.text, clips, words, False, 1.0, torch.device("cpu"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, frames_of(0).pixels.numpy(), 8, "yuv444p")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory, clip):
    """A tiny network that was taught marks of one clip, and to prefer whichever of two clips it sees first."""
    module = qwen3_vl()
    folder = save_model(module, tmp_path_factory.mktemp("model"))
    judge, pairs = open_judge(f"unified-reward:{folder}", OPTIONS), open_comparison(str(folder), OPTIONS)
    words = tokenizer()
    one, other = pairs.prepare(clip), pairs.prepare(frames_of(1))
    first = steps_of(words.encode(FIRST))
    teach(
        module,
        [
            (asked(judge, [judge.prepare(clip)]), steps_of(words.encode(MARKS))),
            (asked(pairs, [one, other]), first),
            (asked(pairs, [other, one]), first),
        ],
    )
    return module, save_model(module, folder)


@pytest.fixture(scope="module")
def judge(model):
    return open_judge(f"unified-reward:{model[1]}", OPTIONS)


def generated(module, asked):
    said = module.generate(
        **inputs_of(module, asked), do_sample=False, max_new_tokens=100, eos_token_id=[END, PAD], pad_token_id=PAD
    )
    return tokenizer().decode(said[0, len(asked.ids) : -1])


def test_marks_are_those_that_transformers_generate_writes(judge, model, clip):
    prepared = judge.prepare(clip)
    assert generated(model[0], asked(judge, [prepared])) == MARKS
    [[marks]] = judge.score_prepared([prepared], [(CAPTION,)])
    assert marks.marks == {
        "alignment": 2.4036,
        "physics": 3.0987,
        "style": 3.3889,
        "mean": pytest.approx(2.9637, abs=1e-4),
    }
    assert marks.total_frames == 9 and not marks.reasons


def test_two_clips_are_asked_about_in_both_orders_and_a_taste_for_the_first_place_shows(model, clip):
    pairs = open_comparison(str(model[1]), OPTIONS)
    one, other = pairs.prepare(clip), pairs.prepare(frames_of(1))
    assert generated(model[0], asked(pairs, [one, other])) == generated(model[0], asked(pairs, [other, one])) == FIRST
    both = pairs.compare(one, other, CAPTION)
    assert (both.forwards, both.backwards) == (Preference.FIRST, Preference.SECOND)
    assert both.winner is Preference.NEITHER and both.by_place and both.reasons == (FIRST, FIRST)
    with pytest.raises(CaptionError, match="it is empty"):
        pairs.compare(one, other, " ")
    assert open_comparison(str(model[1]), JudgeOptions(device="cpu")).view.choose(81, 16.0) == [
        i * 81 // 8 for i in range(8)
    ]


def test_frames_stand_at_even_places_of_sixteen_as_large_as_they_are(model):
    judge = open_judge(f"unified-reward:{model[1]}", JudgeOptions(device="cpu"))
    assert judge.view.choose(81, 16.0) == [int(i * 81 / 16) for i in range(16)]
    assert judge.view.choose(5, 16.0) == [0, 1, 2, 3, 4]  # the authors' script keeps each frame once
    assert judge.view.resize(torch.zeros(1, 3, 480, 832, dtype=torch.uint8)).shape[2:] == (480, 832)
    assert judge.view.resize(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape[2:] == (256, 256)


def test_the_question_is_what_transformers_processor_makes_of_pictures_and_chat(judge):
    pytest.importorskip("torchvision", reason="transformers' fast image processor needs torchvision")
    from tiny_judges import BASE
    from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen3VLProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    images = Qwen2VLImageProcessor(
        patch_size=16,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        size={"shortest_edge": 32 * 32, "longest_edge": 256 * 256},
    )
    # Qwen3-VL's chat has no system message of its own; the rest is Qwen2-VL's.
    template = AutoTokenizer.from_pretrained(BASE).chat_template
    system = template.index("{% if loop.first"), template.index("{% endif %}") + len("{% endif %}")
    template = template[: system[0]] + template[system[1] :]
    processor = Qwen3VLProcessor(images, AutoTokenizer.from_pretrained(BASE), Qwen2VLVideoProcessor(), template)
    prepared = judge.prepare(frames_of(2))
    text = MARKS_PROMPT.replace("{caption}", CAPTION)
    content = [{"type": "image"}] * len(prepared.pixels) + [{"type": "text", "text": text}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    theirs = processor(text=[chat], images=list(prepared.pixels), return_tensors="pt")
    ours = asked(judge, [prepared])
    assert ours.ids == theirs["input_ids"][0].tolist()
    assert [list(grid) for grid in ours.grids] == theirs["image_grid_thw"].tolist()
    assert torch.allclose(ours.patches, theirs["pixel_values"], atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", MARKS.replace("3.0987", "X"), MARKS.replace("3.0987", "7"), MARKS.replace("Style", "Taste"), MARKS.replace("2.4036", "0.9"),
     MARKS.replace("Physics Score (1-5)", "Physics Score (1-10)")],
)  # fmt: skip
def test_an_answer_without_its_three_marks_is_refused(text):
    with pytest.raises(ValueError, match="Score"):
        axis_marks(text)


def test_a_verdict_names_one_video_or_neither_and_anything_else_is_refused():
    assert verdict("Video 1 is better.") == 1 and verdict("... so Video 2 is better") == 2
    assert verdict("Both videos are equally good.") == 0
    for text in ("", "The first video is good.", "Video 1 is better ... no, Video 2 is better", "Video 12 is better"):
        with pytest.raises(ValueError, match="winner"):
            verdict(text)


def test_an_untaught_model_gives_an_error_that_shows_its_answer(tmp_path, clip):
    folder = save_model(qwen3_vl(tied=True), tmp_path / "untaught")  # its output layer is its embedding
    judge, pairs = open_judge(f"unified-reward:{folder}", OPTIONS), open_comparison(str(folder), OPTIONS)
    judge.limit = pairs.limit = 4
    prepared = judge.prepare(clip)
    with pytest.raises(ClipError, match=r"unified-reward holds no marks .*cut after 4 tokens"):
        judge.score_prepared([prepared], [(CAPTION,)])
    with pytest.raises(ClipError, match="it names no winner"):
        pairs.compare(prepared, prepared, CAPTION)


def test_the_command_scores_a_clip_and_in_four_bits(model, clip, videoalign):
    pytest.importorskip("bitsandbytes")
    sampling = ("--sampling.num-frames", 4, "--sampling.max-pixels", 96 * 96, "--device", "cpu", "--dtype", "float32")
    arguments = ("score", clip, "--prompt", CAPTION, "--judge", f"unified-reward:{model[1]}", *sampling, "--json")
    outcome = videoalign(*arguments)
    assert outcome.status == 0 and outcome.rows[0]["alignment"] == 2.4036
    rounded = videoalign(*arguments, "--weights", "4bit")
    # what it learnt does not survive 4 bits; it runs, and what cannot be read is the clip's error
    assert rounded.rows[0].get("error", "holds no marks").find("holds no marks") >= 0


def test_other_models_and_options_are_refused(tmp_path, checkpoints):
    with pytest.raises(CheckpointError, match=r"kind 'qwen2_vl', not Qwen3-VL or Qwen2.5-VL"):
        open_judge(f"unified-reward:{checkpoints / 'base'}")
    with pytest.raises(JudgeError, match="needs its weights"):
        open_judge("unified-reward")
    older = save_model(qwen2_5_vl(), tmp_path / "older")  # its Qwen2.5-VL versions are run as well
    with pytest.raises(JudgeError, match="num_frames in the place of fps"):
        open_judge(f"unified-reward:{older}", JudgeOptions(device="cpu", sampling={"fps": 2.0}))
    assert open_judge(f"unified-reward:{older}", JudgeOptions(device="cpu")).model.family.title == "Qwen2.5-VL"
