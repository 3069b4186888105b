"""Choose A or B over HTTP, as its page asks: what a run keeps, and what nobody may ask for."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from comfy_server import RefusedError
from prompts import load_judge, load_video, make_clip, node, score_video

from videoalign.clips.video_file import read_video, write_video
from videoalign.preferences.reading import read_preferences

pytestmark = pytest.mark.comfyui

ROUTE = "/videoalign/choices"


def choose(clip: str = "clip", output: int = 0, **inputs) -> dict:
    defaults = {
        "prompt": "a grey pattern",
        "model": "",
        "other_model": "",
        "fps": 8.0,
        "clips_in_batch": 1,
        "chooser": "",
    }
    return node("ChoosePair", clip=[clip, output], **{**defaults, **inputs})


def ask(server, action: str, **values) -> tuple[int, dict]:
    try:
        return 200, server.post(f"{ROUTE}/{action}", values)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def clip_of(server, **values) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{server.url}{ROUTE}/clip?{urllib.parse.urlencode(values)}", timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def table(server, folder: str) -> list[dict]:
    text = (server.base / "output" / folder / "clips.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_batch_becomes_a_pair_that_is_chosen_without_another_run(comfyui):
    prompt = {"clip": make_clip(40, clips=2), "choose": choose(folder="t/batch", clips_in_batch=2, model="wan")}
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    assert run.outputs["choose"]["videoalign_choices"][0]["added"] == 2
    _, state = ask(comfyui, "state", folder="t/batch")
    assert (state["total"], state["done"]) == (1, 0)
    pair = state["waiting"][0]["pair"]
    assert [clip_of(comfyui, folder="t/batch", pair=pair, side=side)[0] for side in "AB"] == [200, 200]
    status, after = ask(comfyui, "choose", folder="t/batch", pair=pair, answers={"VQ": "A", "Overall": "B"})
    assert (status, after["done"]) == (200, 1)
    kept = read_preferences(comfyui.base / "output" / "t" / "batch" / "choices.jsonl")
    kept.check_clips()
    assert kept[0].prompt == "a grey pattern" and kept[0].source.columns["A_model"] == "wan"


def test_the_clips_that_are_kept_are_the_frames_to_less_than_a_level(comfyui):
    prompt = {
        "clip": make_clip(41, clips=2),
        "choose": choose(folder="t/frames", clips_in_batch=2),
        "other": node("TestShow", value=["clip", 0]),
    }
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    (shown,) = run.outputs["other"]["shown"]
    clips = [read_video(comfyui.base / "output" / "t" / "frames" / row["path"]) for row in table(comfyui, "t/frames")]
    assert [(frames.shape, fps) for frames, fps in clips] == [((9, 64, 64, 3), 8.0)] * 2
    mean = np.concatenate([frames for frames, _ in clips]).astype(float).mean() / 255
    assert mean == pytest.approx(shown["mean"], abs=0.5 / 255)
    frames = clips[0][0].astype(int)
    # The test clip moves two pixels a frame: what was one picture must still be it.
    assert np.abs(np.roll(frames[0], 2, axis=1) - frames[1]).mean() < 1.5


def test_a_video_from_elsewhere_is_copied_byte_by_byte_and_one_in_the_output_folder_is_used_where_it_is(comfyui):
    frames = np.random.default_rng(5).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    write_video(comfyui.base / "input" / "one.mp4", frames, 8)
    write_video(comfyui.base / "input" / "two.mp4", frames[::-1].copy(), 8)
    prompt = {
        "one": load_video("one.mp4"),
        "two": load_video("two.mp4"),
        "choose": choose("one", other_clip=["two", 0], folder="t/files", model="a", other_model="b"),
    }
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    rows = table(comfyui, "t/files")
    assert [row["model"] for row in rows] == ["a", "b"] and rows[0]["group"] == rows[1]["group"]
    for row, name in zip(rows, ("one.mp4", "two.mp4"), strict=True):
        kept = comfyui.base / "output" / "t" / "files" / row["path"]
        assert kept.read_bytes() == (comfyui.base / "input" / name).read_bytes()


def test_the_same_run_again_adds_nothing_and_another_seed_adds_a_pair(comfyui):
    def run(number: int, model: str) -> int:
        prompt = {
            "clip": make_clip(number, clips=2),
            "choose": choose(folder="t/again", clips_in_batch=2, model=model),
        }
        return comfyui.run(prompt).outputs["choose"]["videoalign_choices"][0]["added"]

    assert [run(50, "x"), run(50, "y"), run(60, "x")] == [2, 0, 2]
    assert ask(comfyui, "state", folder="t/again")[1]["total"] == 2


def test_what_a_judge_said_of_scored_clips_is_kept_and_told_after_the_choice_alone(comfyui):
    assert not comfyui.run({"register": node("TestJudges")}).errors
    prompt = {
        "judge": load_judge("test-critic"),
        "clip": make_clip(70),
        "other": make_clip(71, brightness=0.5),
        "score": score_video("clip", "judge", "a grey pattern", seed=7),
        "dim": score_video("other", "judge", "a grey pattern", seed=8),
        "choose": choose("score", other_clip=["dim", 0], folder="t/judged", prompt="", model="wan"),
    }
    runs = [
        comfyui.run(prompt),
        comfyui.run({**prompt, "choose": choose("score", other_clip=["dim", 0], folder="t/judged", prompt="")}),
    ]
    assert not any(run.errors for run in runs), [run.error for run in runs]
    rows = table(comfyui, "t/judged")
    assert [(row["prompt"], row["seed"], row["group"]) for row in rows] == [
        ("a grey pattern", seed, rows[0]["group"]) for seed in (7, 8)
    ]
    scores = [
        json.loads(line) for line in (comfyui.base / "output" / "t" / "judged" / "scores.jsonl").open(encoding="utf-8")
    ]
    assert [row["path"] for row in scores] == [row["path"] for row in rows]  # once, though it ran twice
    light, dim = (row["light"] for row in scores)
    assert dim < 0.6 * light
    _, state = ask(comfyui, "state", folder="t/judged")
    assert "white" not in json.dumps(state) and "light" not in json.dumps(state)
    _, after = ask(comfyui, "choose", folder="t/judged", pair=state["waiting"][0]["pair"], answers={"VQ": "A"})
    kept = read_preferences(comfyui.base / "output" / "t" / "judged" / "choices.jsonl")[0]
    left, right = (light, dim)[:: -1 if kept.source.columns["swapped"] else 1]
    for side, level in (("A", left), ("B", right)):
        (said,) = after["judged"][side]
        assert said["judge"] == "test-critic" and said["marks"] == {"light": level}
        assert said["reasons"]["light"].startswith(f"The mean level is {level:.3f} of white.")


def test_scores_whose_clip_is_out_of_reach_are_refused(comfyui, tmp_path):
    row = {"path": str(tmp_path / "gone.mp4"), "prompt": "p", "VQ": 1.0, "MQ": 0.0, "TA": 0.0, "Overall": 1.0}
    (comfyui.base / "output" / "far.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    run = comfyui.run({"clip": node("LoadScores", filename="far.jsonl"), "choose": choose(folder="t/far")})
    assert "has scores but no clip that could be shown" in run.error


def test_a_clip_without_its_prompt_is_refused(comfyui):
    run = comfyui.run({"clip": make_clip(42, clips=2), "choose": choose(folder="t/none", clips_in_batch=2, prompt=" ")})
    assert "needs the prompt of the clips" in run.error


@pytest.mark.parametrize("folder", ["..", "../input", "/etc", "", ".", "a/../../input"])
def test_a_folder_outside_of_the_output_folder_is_refused_everywhere(comfyui, folder):
    for action in ("state", "choose", "back"):
        status, answer = ask(comfyui, action, folder=folder, pair="x", answers={"VQ": "A"})
        assert (status, "is not inside output/" in answer["error"]) == (400, True)
    assert clip_of(comfyui, folder=folder, pair="x", side="A")[0] == 400
    with pytest.raises(RefusedError, match="is not inside output/"):
        comfyui.run({"clip": make_clip(43, clips=2), "choose": choose(folder=folder, clips_in_batch=2)})


def test_a_table_that_names_a_file_elsewhere_gives_nothing_away(comfyui):
    folder = comfyui.base / "output" / "t" / "evil"
    folder.mkdir(parents=True)
    secret = comfyui.base / "user" / "secret.mp4"
    Path(secret).write_bytes(b"secret")
    rows = [{"path": name, "prompt": "p"} for name in ("../../../user/secret.mp4", str(secret))]
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, answer = ask(comfyui, "state", folder="t/evil")
    assert status == 400 and "lies outside of output/" in answer["error"]


@pytest.mark.parametrize("chooser", ["../../x", "a/b", "x\0"])
def test_a_name_that_is_a_path_is_refused(comfyui, chooser):
    status, answer = ask(comfyui, "state", folder="t/batch", chooser=chooser)
    assert status == 400 and "cannot be part of a file's name" in answer["error"]


def test_a_request_that_is_no_object_is_refused(comfyui):
    for content in (b"[]", b"nothing", b""):
        request = urllib.request.Request(f"{comfyui.url}{ROUTE}/state", content, {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=30)


def test_a_page_of_another_site_cannot_take_a_choice_back(comfyui):
    run = comfyui.run({"clip": make_clip(43, clips=2), "choose": choose(folder="t/sites", clips_in_batch=2)})
    assert not run.errors, run.error
    pair = ask(comfyui, "state", folder="t/sites")[1]["waiting"][0]["pair"]
    assert ask(comfyui, "choose", folder="t/sites", pair=pair, answers={"VQ": "A"})[0] == 200
    port = comfyui.url.rpartition(":")[2]
    # ComfyUI itself looks at the origin only where the host is this computer.
    for headers in (
        {"Host": "workstation", "Origin": "https://evil.example"},
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
    ):
        for prefix in ("", "/api"):
            request = urllib.request.Request(
                f"{comfyui.url}{prefix}{ROUTE}/back",
                b'{"folder": "t/sites"}',
                {"Content-Type": "text/plain", **headers},
            )
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(request, timeout=30)
    assert ask(comfyui, "state", folder="t/sites")[1]["done"] == 1


def test_a_choice_that_comes_in_two_pieces_is_kept(comfyui):
    run = comfyui.run({"clip": make_clip(44, clips=2), "choose": choose(folder="t/pieces", clips_in_batch=2)})
    assert not run.errors, run.error
    pair = ask(comfyui, "state", folder="t/pieces")[1]["waiting"][0]["pair"]
    content = json.dumps({"folder": "t/pieces", "pair": pair, "answers": {"VQ": "A"}}).encode()
    host, port = comfyui.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.putrequest("POST", f"{ROUTE}/choose")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[:20])
    time.sleep(0.5)
    connection.send(content[20:])
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["done"]) == (200, 1)
