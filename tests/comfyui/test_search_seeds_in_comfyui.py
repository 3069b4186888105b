"""*Search Seeds* in a running ComfyUI, on the micro model: judged previews, what the page is told, and going on."""

import json
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from comfy_server import RefusedError
from prompts import node, rules, show
from search_prompts import CAPTION, FRAMES, STEPS, ksampler, micro_model, search_node

from videoalign.clips.video_decoding import decode_frames
from videoalign.generation.pipeline import load_pipeline
from videoalign.generation.search.judging import PreviewJudge
from videoalign.generation.search.takes import PromptTakes
from videoalign.judges import open_judge

pytestmark = pytest.mark.comfyui
OUTPUTS = ("latents", "seed", "scores", "seeds", "sheet", "report")


def graph(**settings) -> dict:
    return micro_model() | {"search": search_node(**settings)}


def with_outputs(made: dict) -> dict:
    return made | {name: show("search", output) for output, name in enumerate(OUTPUTS)}


def shown(run) -> dict:
    return run.outputs["search"]["videoalign_ranking"][0]


def test_the_winner_is_ksamplers_clip_and_every_take_is_shown_with_its_marks(comfyui):
    run = comfyui.run(with_outputs(graph()))
    assert not run.errors, run.error
    (seed,), (latents,) = run.outputs["seed"]["shown"], run.outputs["latents"]["shown"]
    plain = comfyui.run(micro_model() | {"sampler": ksampler(seed), "latents": show("sampler", 0)})
    assert plain.outputs["latents"]["shown"] == [latents]
    told = shown(run)
    assert told["clips"][0]["seed"] == seed and {row["seed"] for row in told["clips"]} == {11, 12, 13}
    totals = [0.1 * row["VQ"] + 0.1 * row["MQ"] + 0.8 * row["TA"] for row in told["clips"]]
    assert totals == sorted(totals, reverse=True) and [row["rank"] for row in told["clips"]] == [1, 2, 3]
    assert told["clips"][0]["chosen"] and told["clips"][0]["total"] == pytest.approx(totals[0])
    assert told["clips"][0]["title"] == f"candidate {seed - 10} of 3, seed {seed}"
    assert f"The plan of 3 is {3 * 2 + STEPS} model evaluations, 2.00 of one clip's" in told["summary"]
    (report,) = run.outputs["report"]["shown"]
    assert report.startswith(told["summary"]) and report.count("step 2") == 3 and report.count("went on") == 1
    assert run.outputs["seeds"]["shown"] == [str(seed)]


def test_the_judge_sees_what_the_command_line_sees(comfyui):
    """The same model, prompt and seed through the project's own sampler and VAE: ComfyUI may compute the VAE in half precision."""
    run = comfyui.run(graph(seeds=1))
    (row,) = shown(run)["clips"]
    pipeline = load_pipeline("micro")
    sampling = replace(pipeline.backbone.sampling, steps=STEPS, frames=FRAMES, guidance_scale=4.0)
    take = PromptTakes(pipeline, sampling, CAPTION).begin(11).go(2)
    marks, frames = PreviewJudge(open_judge("videoreward:micro")).marks(take, CAPTION)
    for name in ("VQ", "MQ", "TA"):
        assert row[name] == pytest.approx(marks[name], abs=0.15)
    body = urllib.request.urlopen(f"{comfyui.url}/videoalign/clip?clip={row['play']}").read()
    assert len(body) > 500
    path = comfyui.base / "played.mp4"
    path.write_bytes(body)
    played = decode_frames(path, lambda total, fps: list(range(total))).frames
    assert frames.shape == (FRAMES, 64, 64, 3)
    shown_as = frames.repeat(4, 1).repeat(4, 2)  # what browsers play is at least 256 pixels wide
    assert played.shape == shown_as.shape
    assert np.abs(played.astype(float) - shown_as).mean() < 4.0  # of 255: H.264, and half precision


def test_gates_that_nothing_passes_stop_what_hangs_on_it_and_say_why(comfyui):
    made = graph(rules=["rules", 0]) | {"rules": rules(gates="VQ > 90")}
    run = comfyui.run(with_outputs(made))
    assert "latents" not in run.outputs and "VQ is" in run.error and "None of the 3 clips passes the gates" in run.error
    assert [row["rank"] for row in shown(run)["clips"]] == [None, None, None] and run.outputs["report"]["shown"]


def test_a_choice_is_finished_in_the_winners_place_and_an_interrupted_search_goes_on(comfyui):
    first = comfyui.run(with_outputs(graph(first_seed=30)))
    other = shown(first)["clips"][1]
    chosen = comfyui.run(with_outputs(graph(first_seed=30, use_this=other["use_this"])))
    assert chosen.outputs["seed"]["shown"] == [other["seed"]] and shown(chosen)["clips"][1]["picked"]
    assert f"this run made {STEPS}; 3 looks were known from before" in shown(chosen)["summary"]
    session = comfyui.connect()
    try:
        prompt = session.server.queue(graph(first_seed=40, seeds=60), session.client)
        done = 0
        while done < 5:  # the third take's first step
            kind, told = session.read()
            done = told.get("value", 0) if kind == "progress" else done
        comfyui.post("/interrupt", {})
        assert session.wait(prompt).interrupted
    finally:
        session.close()
    assert "2 looks were known from before" in shown(comfyui.run(graph(first_seed=40, seeds=2)))["summary"]


def test_a_latent_reward_needs_no_vae_and_a_panel_is_ranked_by_its_rules(comfyui):
    made = graph(judge=["latent_reward", 0]) | {
        "latent_reward": node(
            "LoadLatentReward", model="micro latent reward (embedded)", dtype="float32", device="default"
        )
    }
    del made["search"]["inputs"]["vae"]
    run = comfyui.run(made)
    assert not run.errors and not shown(run)["clips"][0]["frames"] and shown(run)["clips"][0]["VQ"] is not None
    panel = graph(judge=["panel", 0], rules=["rules", 0]) | {
        "measures": node("Measurements"),
        "panel": node("Panel", **{"judges.judge0": ["reward", 0], "judges.judge1": ["measures", 0]}),
        "rules": rules(weights="measures.motion = 1, VQ = 0, MQ = 0, TA = 0"),
    }
    told = shown(comfyui.run(panel))
    motions = [row["measures.motion"] for row in told["clips"]]
    assert motions == sorted(motions, reverse=True) and told["by_z"]


def test_what_is_missing_is_said(comfyui):
    for change, sentence in (
        ({"vae": None}, "connect a VAE to Search Seeds"),
        ({"negative": None}, "needs negative, as KSampler does"),
    ):
        made = graph()
        for name in change:
            del made["search"]["inputs"][name]
        run = comfyui.run(made)
        assert sentence in run.error
    for widget, value in (("stop_when", "VQ"), ("keep_seeds", "4711, best"), ("more_looks", "a")):
        with pytest.raises(RefusedError) as refused:
            comfyui.run(graph(**{widget: value}))
        assert value.split()[-1] in json.dumps(refused.value.nodes)


def test_fewer_frames_are_decoded_where_that_is_asked(comfyui):
    run = comfyui.run(graph(preview_frames=2, seeds=1))
    assert shown(run)["clips"][0]["total_frames"] == 5  # one, and four more of a second latent frame
