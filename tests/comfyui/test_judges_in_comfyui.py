"""Judges on a wire: alone, as a panel, with reasons and refusals, ranked by Ranking Rules, saved, loaded and compared."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from comfy_server import RefusedError
from prompts import load_judge, load_model, load_video, make_clip, node, panel, pick_best, rules, score_video, show

from videoalign.cli.main import main
from videoalign.clips.video_file import write_video
from videoalign.judges import judge_names
from videoalign.micro_world.clip import make_clip as draw_clip
from videoalign.micro_world.faults import Fault
from videoalign.micro_world.scene import parse_caption, sample_scene
from videoalign.nodes.reward_models import EMBEDDED_NAME

pytestmark = pytest.mark.comfyui

CAPTION = "two red circles move left over a plain grey ground"
FAULTS = ("", "", "", "", "", "", "freeze", "blur")
"""Of the eight candidates; the last two are spoilt."""


@pytest.fixture(scope="module")
def critic(comfyui):
    """A judge with reasons is registered with the pack."""
    run = comfyui.run({"register": node("TestJudges")})
    assert "test-critic" in run.outputs["register"]["judges"]
    return comfyui


@pytest.fixture(scope="module")
def eight(comfyui) -> list:
    """Eight clips of one caption as files in ComfyUI's input folder."""
    paths = []
    for seed, fault in enumerate(FAULTS, start=1):
        scene = sample_scene(np.random.default_rng(seed), parse_caption(CAPTION))
        clip = draw_clip(np.random.default_rng([seed, 1]), scene, (Fault(fault, 0.9),) if fault else ())
        paths.append(comfyui.base / "input" / f"candidate_{seed}.mp4")
        write_video(paths[-1], clip.frames, clip.fps)
    return paths


def three_judges() -> dict:
    return {
        "micro": load_model(EMBEDDED_NAME),
        "world": load_judge("micro-world"),
        "measures": node("Measurements"),
        "panel": panel("micro", "world", "measures"),
    }


def scored(paths, caption=CAPTION) -> dict:
    """All clips, each loaded and scored by the panel."""
    prompt = three_judges()
    for place, path in enumerate(paths):
        prompt[f"video{place}"] = load_video(path.name)
        prompt[f"score{place}"] = score_video(f"video{place}", reward="panel", caption=caption)
    return prompt


def wires(paths) -> list[str]:
    return [f"score{place}" for place in range(len(paths))]


def ranking_of(run, node_id="best") -> dict:
    assert not run.errors, run.error
    return run.outputs[node_id]["videoalign_ranking"][0]


def test_load_judge_lists_every_judge_but_the_one_with_a_loader_of_its_own(comfyui):
    combo = comfyui.get("/object_info/VideoAlignLoadJudge")["VideoAlignLoadJudge"]["input"]["required"]["judge"]
    options = combo[1]["options"] if combo[0] == "COMBO" else combo[0]
    assert set(options) >= set(judge_names()) - {"videoreward"} and "videoreward" not in options


def test_a_panel_of_three_gives_the_marks_of_the_command_and_ranks_eight_candidates(comfyui, eight, tmp_path):
    """The node reads the files that the command reads, in the same way: the marks are the same numbers."""
    text = "measures.sharpness = 0.5\nmicro-world.Overall = 0.5\nVQ = 0, MQ = 0, TA = 1"
    prompt = scored(eight) | {"rules": rules(text, "measures.still < 0.2")}
    prompt |= {"best": pick_best(*wires(eight), rules=["rules", 0], top_k=8), "indices": show("best", 3)}
    run = comfyui.run(prompt)
    ranking = ranking_of(run)
    output = tmp_path / "marks.jsonl"
    status = main([
        "score", *map(str, eight), "--judge", "videoreward:micro", "--judge", "micro-world", "--judge", "measures",
        "--prompt", CAPTION, "--device", "cpu", "--output", str(output),
    ])  # fmt: skip
    assert status == 0
    expected = {Path(row["path"]).stem: row for row in map(json.loads, output.read_text().splitlines())}
    for clip in ranking["clips"]:
        row = expected[clip["name"]]
        names = [mark["name"] for mark in clip["marks"]]
        assert len(names) == 4 + 4 + 18
        assert {name: clip[name] for name in names} == {name: row[name] for name in names}
    # The order by an independent computation: z-scores of those that stand still for less than a fifth of the time.
    rows = [expected[path.stem] for path in eight]
    inside = [place for place, row in enumerate(rows) if row["measures.still"] < 0.2]
    assert inside == [0, 1, 2, 3, 4, 5, 7]
    total = np.zeros(len(inside))
    for name, weight in (("measures.sharpness", 0.5), ("micro-world.Overall", 0.5), ("TA", 1.0)):
        values = np.array([rows[place][name] for place in inside])
        total += weight / 2 * (values - values.mean()) / values.std()
    assert run.outputs["indices"]["shown"] == [inside[place] for place in np.argsort(-total, kind="stable")]
    totals = [clip["total"] for clip in ranking["clips"][:-1]]
    assert totals == pytest.approx(sorted(total, reverse=True), abs=1e-9)  # sums of three terms of size 1
    assert ranking["clips"][-1]["rank"] is None and "not < 0.2" in ranking["clips"][-1]["gate_failures"][0]


def test_the_gate_against_hacking_puts_the_spoilt_clips_out_and_no_other(comfyui, eight):
    prompt = scored(eight) | {"rules": rules(hacking_gate=3.0)}
    ranking = ranking_of(comfyui.run(prompt | {"best": pick_best(*wires(eight), rules=["rules", 0])}))
    out = {clip["index"]: clip["gate_failures"] for clip in ranking["clips"] if clip["rank"] is None}
    assert set(out) == {6, 7}
    assert any("still frames" in reason for reason in out[6]) and any("sharpness" in reason for reason in out[7])


def test_a_panel_ranked_without_rules_is_ranked_as_its_reward_alone(comfyui, eight):
    prompt = scored(eight)
    for place in range(len(eight)):
        prompt[f"alone{place}"] = score_video(f"video{place}", reward="micro", caption=CAPTION)
    prompt |= {"best": pick_best(*wires(eight)), "old": pick_best(*(f"alone{place}" for place in range(len(eight))))}
    run = comfyui.run(prompt)
    ranking, old = ranking_of(run), ranking_of(run, "old")
    assert "by_z" not in ranking
    assert [(clip["index"], clip["total"]) for clip in ranking["clips"]] == [
        (clip["index"], clip["total"]) for clip in old["clips"]
    ]


def test_by_dominance_a_clip_that_is_better_in_each_mark_wins(comfyui, eight):
    prompt = scored(eight) | {"rules": rules("VQ=1, MQ=1, TA=1", method="dominance", least_better=3)}
    ranking = ranking_of(comfyui.run(prompt | {"best": pick_best(*wires(eight), rules=["rules", 0])}))
    rows = {clip["index"]: [clip[name] for name in ("VQ", "MQ", "TA")] for clip in ranking["clips"]}

    def over(one, other):
        return all(a > b for a, b in zip(rows[one], rows[other], strict=True))

    lead = [
        sum(over(one, other) - over(other, one) for other in rows)
        for one in (clip["index"] for clip in ranking["clips"])
    ]
    assert lead == sorted(lead, reverse=True) and lead[0] > lead[-1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": "measures.moton = 1"}, "called 'measures.moton'. Marks are: VQ, MQ, TA, Overall, micro-world.VQ"),
        ({"gates": "still < 0.2"}, "called 'still'. Marks are: VQ"),
        ({"weights": "VQ = 1", "method": "dominance", "least_better": 9}, "only 3 marks have a weight"),
    ],
)
def test_a_name_that_is_no_mark_lists_those_that_are(comfyui, eight, changed, message):
    prompt = scored(eight[:2]) | {"rules": rules(**changed), "best": pick_best(*wires(eight[:2]), rules=["rules", 0])}
    assert message in comfyui.run(prompt).error


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": "measures.motion"}, "write NAME=WEIGHT"),
        ({"weights": "VQ = 1, VQ = 2"}, "VQ has two weights"),
        ({"weights": "VQ = -1"}, "must be 0 or more"),
        ({"gates": "measures.still"}, "is no gate"),
    ],
)
def test_rules_that_cannot_be_read_are_refused_before_anything_runs(comfyui, eight, changed, message):
    prompt = scored(eight[:1]) | {"rules": rules(**changed), "best": pick_best("score0", rules=["rules", 0])}
    with pytest.raises(RefusedError, match=message):
        comfyui.run(prompt)


def test_what_one_judge_refuses_is_said_and_the_others_marks_stand(critic):
    prompt = {
        "micro": load_model(EMBEDDED_NAME), "critic": load_judge("test-critic"), "measures": node("Measurements"),
        "panel": panel("micro", "critic", "measures"),
        "long": make_clip(seed=900, frames=9), "short": make_clip(seed=901, frames=6),
        "score": score_video("long", reward="panel"), "refused": score_video("short", reward="panel"),
        "rules": rules("test-critic.light = 1, VQ = 0, MQ = 0, TA = 0"),
        "best": pick_best("score", "refused", rules=["rules", 0], top_k=2),
    }  # fmt: skip
    run = critic.run(prompt)
    ranking = ranking_of(run)
    [told], [refused] = (run.outputs[name]["videoalign_scores"] for name in ("score", "refused"))
    assert told["reasons"] == {
        "test-critic.light": f"The mean level is {told['test-critic.light']:.3f} of white.\nIt was measured on 9 frames."
    }
    assert refused["errors"] == {"test-critic": "the critic wants nine frames"} and refused["test-critic.light"] is None
    assert refused["VQ"] is not None and refused["measures.motion"] is not None
    assert [clip["rank"] for clip in ranking["clips"]] == [1, None]
    assert ranking["clips"][1]["gate_failures"] == ["it has no test-critic.light: the critic wants nine frames"]


def test_a_panels_scores_are_saved_and_come_back_with_reasons_and_refusals(critic):
    prompt = {
        "micro": load_model(EMBEDDED_NAME), "critic": load_judge("test-critic"), "measures": node("Measurements"),
        "panel": panel("micro", "critic", "measures"), "clip": make_clip(seed=910, frames=9),
        "score": score_video("clip", reward="panel"),
        "save": node("SaveScores", scores=["score", 0], filename="judges/panel.csv"),
    }  # fmt: skip
    run = critic.run(prompt)
    assert not run.errors, run.error
    [shown] = run.outputs["score"]["videoalign_scores"]
    with (critic.base / "output" / "judges" / "panel.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (
        float(row["measures.motion"]) == shown["measures.motion"] and row["judge"] == "videoreward+test-critic+measures"
    )
    assert row["test-critic.light_reason"] == shown["reasons"]["test-critic.light"] and float(row["VQ_raw"])
    run = critic.run({"load": node("LoadScores", filename="judges/panel.csv"), "best": pick_best("load")})
    [back] = run.outputs["load"]["videoalign_scores"]
    assert {mark["name"]: back[mark["name"]] for mark in shown["marks"]} == {
        mark["name"]: shown[mark["name"]] for mark in shown["marks"]
    }
    assert back["reasons"] == shown["reasons"] and ranking_of(run)["clips"][0]["rank"] == 1


def test_marks_that_others_gave_come_from_a_file_alone_and_in_a_panel(comfyui, eight):
    """It knows clips by their files: the node gives it the file, not the frames."""
    row = {"path": str(eight[0]), "fidelity": 1.5, "fidelity_reason": "the circles look real"}
    (comfyui.base / "models" / "reward_models" / "critics.jsonl").write_text(json.dumps(row) + "\n")
    prompt = {
        "marks": load_judge("marks-file", "critics.jsonl"), "measures": node("Measurements"), "panel": panel("measures", "marks"),
        "video": load_video(eight[0].name), "alone": score_video("video", reward="marks"), "score": score_video("video", reward="panel"),
    }  # fmt: skip
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    [alone], [together] = (run.outputs[name]["videoalign_scores"] for name in ("alone", "score"))
    assert alone["fidelity"] == together["marks-file.fidelity"] == 1.5 and not together.get("errors")
    assert together["reasons"] == {"marks-file.fidelity": "the circles look real"}


def test_a_judge_without_what_it_needs_says_where_to_put_it(comfyui, eight):
    prompt = {
        "judge": load_judge("marks-file"),
        "video": load_video(eight[0].name),
        "score": score_video("video", reward="judge"),
    }
    error = comfyui.run(prompt).error
    assert "needs a file" in error and "chosen as 'model'" in error and "reward_models" in error


def test_compare_clips_says_in_words_that_a_reward_was_bought_with_motion(comfyui):
    """Six prompts: the second set has no noise, which the reward pays for, and stands still for a while."""
    names = [f"six_{place}" for place in range(6)]
    colours = ("red", "blue", "green", "yellow", "cyan", "purple")
    prompt = three_judges() | {"panel": panel("world", "measures")}
    sides = {"a": [], "b": []}
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        caption = f"two {colour} circles move left over a plain grey ground"
        for side, fault, degree in (("a", "noise", 0.9), ("b", "freeze", 0.4)):
            scene = sample_scene(np.random.default_rng(place), parse_caption(caption))
            clip = draw_clip(np.random.default_rng([place, 1]), scene, (Fault(fault, degree),))
            write_video(comfyui.base / "input" / f"{name}_{side}.mp4", clip.frames, clip.fps)
            prompt[f"{name}_{side}"] = load_video(f"{name}_{side}.mp4")
            prompt[f"score_{name}_{side}"] = score_video(f"{name}_{side}", reward="panel", caption=caption)
            sides[side].append(f"score_{name}_{side}")
    for side, wired in sides.items():
        prompt[side] = pick_best(*wired, top_k=6)
    prompt["compared"] = node(
        "CompareClips",
        a=["a", 5],
        b=["b", 5],
        name_a="before",
        name_b="after",
        further_names="",
        fps=8.0,
        clips_in_batch=1,
    )
    run = comfyui.run(prompt | {"text": show("compared", 0)})
    assert not run.errors, run.error
    [shown] = run.outputs["compared"]["videoalign_comparison"]
    [comparison] = shown["comparisons"]
    guard = comparison["guard"]
    assert guard["outcome"] == "hacked" and "still frames" in guard["sentence"]
    assert guard["sentence"] in run.outputs["text"]["shown"][0]
    assert {measure["judge"] for measure in shown["measures"]} == {"micro-world", "measures"}
