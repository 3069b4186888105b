import pytest
from comfy_server import RefusedError
from prompts import load_model, make_clip, one_clip, pick_best, score_video, show, weights

pytestmark = pytest.mark.comfyui


def batch_of(count: int, seed: int = 300) -> dict:
    """Score a batch of clips that brings its latents; latent i is filled with the number seed + i."""
    return {
        "model": load_model(),
        "clip": make_clip(seed=seed, clips=count),
        "score": score_video("clip", clips=count, latent=["clip", 1]),
    }


def ranking_of(run, node_id="best") -> dict:
    return run.outputs[node_id]["videoalign_ranking"][0]


def test_the_best_clip_comes_with_its_latent(comfyui):
    prompt = batch_of(4) | {
        "weights": weights(0.5, 0.5, 0.0),
        "best": pick_best("score", weights=["weights", 0], top_k=2),
    }
    names = ("best_clip", "ranked", "rejected", "indices", "latents", "scores", "sheet")
    run = comfyui.run(prompt | {name: show("best", output) for output, name in enumerate(names)})
    scores = run.outputs["score"]["videoalign_scores"]
    expected = sorted(range(4), key=lambda place: -(scores[place]["VQ"] + scores[place]["MQ"]))
    assert run.outputs["indices"]["shown"] == expected[:2]
    assert [latent["mean"] for latent in run.outputs["latents"]["shown"]] == [300.0 + place for place in expected[:2]]
    assert [latent["shape"] for latent in run.outputs["latents"]["shown"]] == [[1, 4, 2, 8, 8]] * 2
    assert len(run.outputs["ranked"]["shown"]) == len(run.outputs["rejected"]["shown"]) == 2
    assert run.outputs["best_clip"]["shown"] == run.outputs["ranked"]["shown"][:1]
    shape = run.outputs["sheet"]["shown"][0]["shape"]
    assert shape[0] == 1 and shape[1] > 4 * 120 and shape[3] == 3
    rows = ranking_of(run)["clips"]
    assert [row["index"] for row in rows] == expected and [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["total"] == pytest.approx((scores[expected[0]]["VQ"] + scores[expected[0]]["MQ"]) / 2)


def test_the_best_clip_is_the_very_clip(comfyui):
    prompt = batch_of(3) | {"best": pick_best("score"), "shown": show("best", 0), "indices": show("best", 3)}
    index = comfyui.run(prompt).outputs["indices"]["shown"][0]
    prompt |= {"same": make_clip(seed=300 + index), "alone": show("same", 0)}
    run = comfyui.run(prompt)
    assert run.outputs["shown"]["shown"] == [{**run.outputs["alone"]["shown"][0], "fps": 8.0}]


def test_candidates_of_several_inputs_keep_their_order(comfyui):
    prompt = {"model": load_model()}
    for place in range(3):
        prompt |= {f"clip{place}": make_clip(seed=310 + place), f"score{place}": score_video(f"clip{place}")}
    prompt["best"] = pick_best("score0", "score1", "score2", top_k=3)
    prompt["indices"] = show("best", 3)
    run = comfyui.run(prompt)
    totals = [run.outputs[f"score{place}"]["videoalign_scores"][0] for place in range(3)]
    expected = sorted(range(3), key=lambda i: -(0.1 * totals[i]["VQ"] + 0.1 * totals[i]["MQ"] + 0.8 * totals[i]["TA"]))
    assert run.outputs["indices"]["shown"] == expected


def test_gates_that_nothing_passes_block_with_the_reason_and_still_show_the_ranking(comfyui):
    prompt = batch_of(2) | {"best": pick_best("score", min_VQ=9.0), "video": show("best", 0), "sheet": show("best", 6)}
    run = comfyui.run(prompt)
    assert "video" not in run.outputs
    assert "None of the 2 clips passes the gates" in run.error and "VQ" in run.error
    assert run.outputs["sheet"]["shown"][0]["shape"][3] == 3
    rows = ranking_of(run)["clips"]
    assert all(row["rank"] is None and row["gate_failures"] for row in rows)


def test_a_gate_rejects_clips_below_it_and_keeps_the_others(comfyui):
    scores = comfyui.run(batch_of(3)).outputs["score"]["videoalign_scores"]
    middle = sorted(row["MQ"] for row in scores)[1]
    run = comfyui.run(
        batch_of(3) | {"best": pick_best("score", min_MQ=middle - 1e-4, top_k=3), "indices": show("best", 3)}
    )
    assert sorted(run.outputs["indices"]["shown"]) == [i for i in range(3) if scores[i]["MQ"] >= middle - 1e-4]


def test_without_captions_the_ranking_is_by_visual_and_motion_quality_and_says_so(comfyui):
    prompt = one_clip(caption="", seed=320) | {"best": pick_best("score")}
    ranking = ranking_of(comfyui.run(prompt))
    assert ranking["weights"] == {"VQ": 0.5, "MQ": 0.5}
    assert ranking["notes"] == ["No clip has a caption: ranked by VQ and MQ alone."]


def test_all_the_weight_on_text_without_captions_is_refused_by_name(comfyui):
    prompt = one_clip(caption="", seed=320) | {
        "weights": weights(0, 0, 1),
        "best": pick_best("score", weights=["weights", 0]),
    }
    run = comfyui.run(prompt)
    assert run.errors[-1]["node_id"] == "best"
    assert "TA needs a caption" in run.error


def test_a_clip_without_latent_blocks_only_what_needs_the_latent(comfyui):
    prompt = one_clip(seed=330) | {"best": pick_best("score"), "video": show("best", 0), "latent": show("best", 4)}
    run = comfyui.run(prompt)
    assert run.outputs["video"]["shown"] and "latent" not in run.outputs
    assert "Connect the LATENT" in run.error


def test_weights_that_are_all_zero_are_refused_before_anything_runs(comfyui):
    with pytest.raises(RefusedError, match="all 0"):
        comfyui.run(
            one_clip(seed=340) | {"weights": weights(0, 0, 0), "best": pick_best("score", weights=["weights", 0])}
        )


def test_a_preset_replaces_the_sliders_also_without_the_frontend(comfyui):
    prompt = one_clip(seed=350) | {
        "weights": weights(0.9, 0.0, 0.0, preset="visual and motion quality 0.5 : 0.5 : 0"),
        "best": pick_best("score", weights=["weights", 0]),
    }
    assert ranking_of(comfyui.run(prompt))["weights"] == {"VQ": 0.5, "MQ": 0.5, "TA": 0.0}


def test_a_persons_choice_survives_a_requeue_and_is_said_to_be_gone_when_it_is(comfyui):
    prompt = batch_of(3, seed=340) | {"best": pick_best("score"), "indices": show("best", 3), "latent": show("best", 4)}
    rows = ranking_of(comfyui.run(prompt))["clips"]
    prompt["best"]["inputs"]["use_this"] = rows[2]["use_this"]
    for _ in range(2):
        run = comfyui.run(prompt)
        assert not run.errors, run.error
        assert run.outputs["indices"]["shown"] == [rows[2]["index"]]
        assert run.outputs["latent"]["shown"][0]["mean"] == 340.0 + rows[2]["index"]
        assert [row["picked"] for row in ranking_of(run)["clips"]] == [False, False, True]
    prompt["clip"]["inputs"]["number"] = 350  # other seeds: the choice is not among them
    run = comfyui.run(prompt)
    assert "Your choice is not used" in ranking_of(run)["notes"][0] and not run.errors
    assert run.outputs["indices"]["shown"] == [ranking_of(run)["clips"][0]["index"]]


def test_the_clips_that_a_node_shows_can_be_played(comfyui, tmp_path):
    import urllib.error
    import urllib.request

    from videoalign.clips.video_decoding import decode_frames

    run = comfyui.run(batch_of(2, seed=360) | {"best": pick_best("score")})
    rows = ranking_of(run)["clips"]
    assert len({row["play"] for row in rows}) == 2
    for row in rows:
        assert row["play"] == run.outputs["score"]["videoalign_scores"][row["index"]]["play"]
        with urllib.request.urlopen(f"{comfyui.url}/videoalign/clip?clip={row['play']}") as answer:
            assert answer.headers["Content-Type"] == "video/mp4"
            (tmp_path / "clip.mp4").write_bytes(answer.read())
        assert decode_frames(tmp_path / "clip.mp4", lambda total, _: list(range(total)), None).total_frames == 9
    for name in ("", "x" * 32, "../../etc/passwd"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{comfyui.url}/videoalign/clip?clip={name}")


@pytest.mark.slow
def test_two_hundred_candidates_bring_few_pictures_and_a_sheet_of_a_size_that_can_be_shown(comfyui):
    prompt = batch_of(40, seed=370)
    for place in range(4):
        prompt[f"more{place}"] = score_video("clip", clips=40, latent=["clip", 1])
    wires = ["score", *(f"more{place}" for place in range(4))]
    prompt |= {"best": pick_best(*wires), "sheet": show("best", 6)}
    run = comfyui.run(prompt)
    ranking = ranking_of(run)
    assert ranking["count"] == len(ranking["clips"]) == 200
    assert [len(row["frames"]) for row in ranking["clips"]] == [4] * 24 + [1] * 176
    assert max(run.outputs["sheet"]["shown"][0]["shape"]) <= 4096
