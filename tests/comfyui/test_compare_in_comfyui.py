"""Compare Clips over HTTP: what a run tells the page, and the clips that it serves for it."""

import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from comfy_server import RefusedError
from prompts import load_model, load_video, make_clip, node, score_video, show

from videoalign.clips.video_file import read_video, write_video

pytestmark = pytest.mark.comfyui


def compare(**inputs) -> dict:
    names = {"name_a": "before", "name_b": "after", "further_names": ""}
    return node("CompareClips", **{**names, "fps": 8.0, "clips_in_batch": 1, **inputs})


def two_batches(count: int) -> dict:
    """Two batches of scored clips of the same length."""
    return {
        "model": load_model(),
        "one": make_clip(seed=700, clips=count),
        "other": make_clip(seed=720, clips=count),
        "before": score_video("one", clips=count),
        "after": score_video("other", clips=count),
    }


def shown(run, name: str = "compare") -> dict:
    assert not run.errors, run.error
    (comparison,) = run.outputs[name]["videoalign_comparison"]
    return comparison


def served(comfyui, entry: dict) -> bytes:
    with urllib.request.urlopen(f"{comfyui.url}/view?{urllib.parse.urlencode(entry)}", timeout=60) as answer:
        assert answer.status == 200
        return answer.read()


def test_two_batches_are_paired_played_and_counted(comfyui):
    prompt = two_batches(3) | {"compare": compare(a=["before", 0], b=["after", 0]), "text": show("compare", 0)}
    run = comfyui.run(prompt)
    found = shown(run)
    before, after = (run.outputs[name]["videoalign_scores"] for name in ("before", "after"))
    names = [one["name"] for one in found["measures"]]
    assert names == ["VQ", "MQ", "TA", "Overall"] and found["names"] == ["before", "after"]
    for place, pair in enumerate(found["pairs"]):
        for name, cell in zip(names, pair["cells"]["0 1"], strict=True):
            difference = after[place][name] - before[place][name]
            assert cell["gain"] == pytest.approx(difference if abs(difference) >= 0.005 else 0.0, abs=1e-6)
    leads = [after[place]["VQ"] - before[place]["VQ"] for place in range(3)]
    (whole,) = found["comparisons"]
    assert whole["rows"][0]["won"].startswith(f"{sum(lead >= 0.005 for lead in leads)} of 3")
    assert "too few to tell, it takes 6 pairs or more" in whole["verdict"]
    assert run.outputs["text"]["shown"][0].startswith(whole["verdict"])
    for pair in found["pairs"]:
        for clip in pair["clips"]:
            assert clip["file"]["type"] == "temp" and clip["fps"] == 8.0
            assert served(comfyui, clip["file"])[4:8] == b"ftyp"
    path = comfyui.base / "temp" / found["pairs"][0]["clips"][0]["file"]["subfolder"]
    frames, fps = read_video(path / found["pairs"][0]["clips"][0]["file"]["filename"])
    assert len(frames) == 9 and fps == 8 and min(frames.shape[1:3]) >= 256  # enlarged, pixel by pixel


def test_a_file_that_browsers_play_is_played_where_it_is(comfyui):
    made = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), np.uint8).repeat(16, 1).repeat(16, 2)
    write_video(comfyui.base / "input" / "played.mp4", made, 12, "yuv420p")
    write_video(comfyui.base / "input" / "not_played.mp4", made, 12)  # yuv444p
    prompt = {"a": load_video("played.mp4"), "b": load_video("not_played.mp4")}
    found = shown(comfyui.run(prompt | {"compare": compare(a=["a", 0], b=["b", 0])}))
    first, second = found["pairs"][0]["clips"]
    assert first["file"] == {"filename": "played.mp4", "subfolder": "", "type": "input"} and first["fps"] == 12.0
    assert second["file"]["type"] == "temp"
    assert found["comparisons"][0]["verdict"].startswith("Without scores") and found["measures"] == []


def test_three_settings_grow_and_frames_are_clips_too(comfyui):
    prompt = {"a": make_clip(731, clips=2), "b": make_clip(733, clips=2), "c": make_clip(735)}
    inputs = {"a": ["a", 0], "b": ["b", 0], "further.clips0": ["c", 0], "further_names": "strong"}
    found = shown(comfyui.run(prompt | {"compare": compare(**inputs, clips_in_batch=1)}))
    assert found["names"] == ["before", "after", "strong"] and len(found["pairs"]) == 1
    assert [(one["left"], one["right"]) for one in found["comparisons"]] == [(0, 1), (0, 2), (1, 2)]
    assert all(clip["file"] for clip in found["pairs"][0]["clips"])


def test_scores_from_a_file_are_compared_without_clips(comfyui):
    prompt = two_batches(2)
    for name in ("before", "after"):
        prompt[f"save_{name}"] = node("SaveScores", scores=[name, 0], filename=f"compare/{name}.csv")
    assert not comfyui.run(prompt).errors
    prompt = {name: node("LoadScores", filename=f"compare/{name}.csv") for name in ("before", "after")}
    found = shown(comfyui.run(prompt | {"compare": compare(a=["before", 0], b=["after", 0])}))
    assert len(found["pairs"]) == 2 and found["comparisons"][0]["rows"]
    assert not any("file" in clip for pair in found["pairs"] for clip in pair["clips"])


def test_one_side_alone_is_refused_before_anything_runs(comfyui):
    with pytest.raises(RefusedError, match="Required input is missing"):
        comfyui.run({"a": make_clip(741), "compare": compare(a=["a", 0])})
