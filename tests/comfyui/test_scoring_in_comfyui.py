import json
import shutil

import pytest
from prompts import CAPTION, load_model, load_video, make_clip, node, one_clip, score_video, show

from videoalign.cli.main import main

pytestmark = pytest.mark.comfyui

CLIP = "s02_8fps_16f_320x240.mp4"


def scores_of(run, node_id="score"):
    return run.outputs[node_id]["videoalign_scores"]


def test_a_video_scores_as_on_the_command_line(comfyui, clips, reward_file, capsys):
    shutil.copy(clips / CLIP, comfyui.base / "input" / CLIP)
    run = comfyui.run({"model": load_model(), "video": load_video(CLIP), "score": score_video("video")})
    main(["score", str(clips / CLIP), "--model", str(reward_file), "--prompt", CAPTION, "--device", "cpu", "--json"])
    expected = json.loads(capsys.readouterr().out)
    [scores] = scores_of(run)
    assert scores["name"] == CLIP.removesuffix(".mp4")
    assert scores["fps"] == 8.0
    for name in ("VQ", "MQ", "TA", "Overall"):
        assert scores[name] == pytest.approx(expected[name], abs=1e-5)


def test_images_with_their_rate_score_as_the_file_on_the_command_line(comfyui, clips, reward_file, capsys):
    """The fps input is not used for a VIDEO and decides for IMAGE frames: another rate samples other frames."""
    shutil.copy(clips / CLIP, comfyui.base / "input" / CLIP)
    prompt = {
        "model": load_model(),
        "video": load_video(CLIP),
        "frames": {"class_type": "GetVideoComponents", "inputs": {"video": ["video", 0]}},
        "score": score_video("frames"),
        "slower": node(
            "ScoreVideo", reward=["model", 0], clip=["frames", 0], caption=CAPTION, fps=2.0, clips_in_batch=1
        ),
    }
    run = comfyui.run(prompt)
    main(["score", str(clips / CLIP), "--model", str(reward_file), "--prompt", CAPTION, "--device", "cpu", "--json"])
    expected = json.loads(capsys.readouterr().out)
    [scores], [slower] = scores_of(run), scores_of(run, "slower")
    for name in ("VQ", "MQ", "TA", "Overall"):  # ComfyUI's own decoder rounds colours in another place
        assert scores[name] == pytest.approx(expected[name], abs=0.05)
    assert slower["VQ"] != pytest.approx(scores["VQ"], abs=1e-3)


def test_scores_are_handed_on_as_numbers_and_the_clip_as_it_was(comfyui):
    prompt = one_clip() | {
        name: show("score", output) for output, name in enumerate(["VQ", "MQ", "TA", "Overall", "video"], 1)
    }
    prompt["made"] = show("clip", 0)
    run = comfyui.run(prompt)
    [scores] = scores_of(run)
    for name in ("VQ", "MQ", "TA", "Overall"):
        assert run.outputs[name]["shown"] == [scores[name]]
    assert scores["Overall"] == pytest.approx(scores["VQ"] + scores["MQ"] + scores["TA"])
    assert run.outputs["video"]["shown"] == [{**run.outputs["made"]["shown"][0], "fps": 8.0}]


def test_without_a_caption_text_alignment_blocks_and_is_not_zero(comfyui):
    run = comfyui.run(
        one_clip(caption="  ") | {"VQ": show("score", 1), "TA": show("score", 3), "Overall": show("score", 4)}
    )
    [scores] = scores_of(run)
    assert scores["TA"] is None and scores["Overall"] is None
    assert run.outputs["VQ"]["shown"] == [scores["VQ"]]
    assert "TA" not in run.outputs and "Overall" not in run.outputs
    assert "TA needs a caption" in run.error and "Overall needs a caption" in run.error


def test_visual_and_motion_quality_do_not_depend_on_the_caption(comfyui):
    [with_caption], [without] = (scores_of(comfyui.run(one_clip(caption=caption))) for caption in (CAPTION, ""))
    assert (without["VQ"], without["MQ"]) == (with_caption["VQ"], with_caption["MQ"])


def test_a_batch_of_clips_scores_as_its_clips_alone(comfyui):
    prompt = {"model": load_model(), "batch": make_clip(seed=5, clips=3), "score": score_video("batch", clips=3)}
    for place in range(3):
        prompt |= {f"clip{place}": make_clip(seed=5 + place), f"alone{place}": score_video(f"clip{place}")}
    run = comfyui.run(prompt)
    batch = scores_of(run)
    assert [row["name"] for row in batch] == ["clip 1 of 3", "clip 2 of 3", "clip 3 of 3"]
    for place, row in enumerate(batch):
        [alone] = scores_of(run, f"alone{place}")
        assert [row[name] for name in ("VQ", "MQ", "TA")] == [alone[name] for name in ("VQ", "MQ", "TA")]
    assert len({round(row["VQ"], 4) for row in batch}) == 3


@pytest.mark.parametrize(
    ("clip", "clips", "inputs", "message"),
    [
        ({"frames": 10}, 3, {}, "10 frames do not divide into 3 clips of equal length"),
        ({"brightness": 3.0}, 1, {}, "float frames must lie in 0..1"),
        ({"frames": 9, "clips": 2}, 2, {"latent": ["other", 1]}, "The latent holds 1 samples, but there are 2 clips"),
        ({"frames": 0}, 1, {}, "hold no pixels"),
    ],
)
def test_wrong_input_gives_the_nodes_own_message_and_the_queue_goes_on(comfyui, clip, clips, inputs, message):
    prompt = {
        "model": load_model(),
        "clip": make_clip(**clip),
        "other": make_clip(),
        "score": score_video("clip", clips=clips, **inputs),
    }
    run = comfyui.run(prompt)
    assert message in run.error
    assert run.errors[0]["node_id"] == "score"
    assert not comfyui.run(one_clip()).errors


def test_a_damaged_video_file_is_named_and_the_queue_goes_on(comfyui, clips):
    whole = (clips / CLIP).read_bytes()
    (comfyui.base / "input" / "half.mp4").write_bytes(whole[: len(whole) // 2])
    run = comfyui.run({"model": load_model(), "video": load_video("half.mp4"), "score": score_video("video")})
    assert "half.mp4" in run.error
    assert not comfyui.run(one_clip()).errors


def test_frames_for_the_picture_lie_in_the_temp_folder(comfyui):
    [scores] = scores_of(comfyui.run(one_clip()))
    assert len(scores["frames"]) == 4
    for entry in scores["frames"]:
        assert (comfyui.base / "temp" / entry["subfolder"] / entry["filename"]).is_file()


def test_what_is_special_about_a_clip_is_on_the_panel_and_a_fault_names_its_clip(comfyui, encode):
    encode("wide.mp4", 12, options={"aspect": "2"}).rename(comfyui.base / "input" / "wide.mp4")
    run = comfyui.run({"model": load_model(), "video": load_video("wide.mp4"), "score": score_video("video")})
    [scores] = scores_of(run)
    assert len(scores["notes"]) == 1 and "its pixels are 2:1, not square" in scores["notes"][0]
    assert scores_of(comfyui.run(one_clip()))[0]["notes"] == []
    run = comfyui.run(
        {"model": load_model(), "clip": make_clip(frames=1, clips=3), "score": score_video("clip", clips=3)}
    )
    assert "clip 1 of 3" in run.error and "needs at least 2" in run.error
