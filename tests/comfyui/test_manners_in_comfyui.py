"""How the nodes behave when things go wrong, or go on."""

import shutil
import time
import urllib.request

import pytest
from comfy_server import RefusedError
from prompts import MODEL, load_model, make_clip, node, one_clip, pick_best, score_video, weights

pytestmark = pytest.mark.comfyui

LOADING = "Requested to load Qwen2VLRewardNetwork"


def misbehaving(clips: int, seed: int, **how) -> dict:
    return {
        "model": load_model(),
        "bad": node("TestReward", reward=["model", 0], **{"out_of_memory": False, "seconds": 0.0, **how}),
        "clip": make_clip(seed=seed, clips=clips),
        "score": score_video("clip", reward="bad", clips=clips),
    }


def test_a_second_run_does_not_load_the_model_again(comfyui):
    comfyui.run(one_clip(seed=100))
    loads = comfyui.log.read_text().count(LOADING)
    assert loads >= 1
    run = comfyui.run(one_clip(seed=101))
    assert "model" in run.cached and "score" in run.executed
    assert comfyui.log.read_text().count(LOADING) == loads


def test_a_model_that_comfyui_has_unloaded_scores_as_before(comfyui):
    before = comfyui.run(one_clip(seed=110)).outputs["score"]["videoalign_scores"][0]
    loads = comfyui.log.read_text().count(LOADING)
    for _ in range(4):  # the server looks between two prompts, and misses what comes just before it begins to wait
        comfyui.post("/free", {"unload_models": True})
        time.sleep(0.5)
    prompt = one_clip(seed=110) | {"again": score_video("clip", seed=["number", 0])}
    prompt["number"] = {"class_type": "PrimitiveInt", "inputs": {"value": 7}}
    after = comfyui.run(prompt).outputs["again"]["videoalign_scores"][0]
    assert comfyui.log.read_text().count(LOADING) == loads + 1
    assert after["seed"] == 7
    assert {name: after[name] for name in ("VQ", "MQ", "TA")} == {name: before[name] for name in ("VQ", "MQ", "TA")}


def test_cancelling_stops_at_the_next_clip(comfyui):
    session = comfyui.connect()
    prompt_id = comfyui.queue(misbehaving(30, seed=200, seconds=1.0), session.client)
    done = 0

    def read():
        nonlocal done
        kind, data = session.read()
        if kind == "progress" and data["node"] == "score":
            done = data["value"]

    while done < 4:
        read()
    urllib.request.urlopen(urllib.request.Request(comfyui.url + "/interrupt", b"{}", method="POST")).close()
    while prompt_id not in session.ended:
        read()
    run = session.wait(prompt_id)
    session.close()
    assert run.interrupted
    assert done < 10  # of 30: a busy machine takes the request some clips late
    assert not comfyui.run(one_clip(seed=201)).errors


def test_running_out_of_memory_is_told_and_the_queue_goes_on(comfyui):
    run = comfyui.run(misbehaving(1, seed=210, out_of_memory=True))
    assert run.errors[0]["node_id"] == "score"
    assert "Score Video ran out of memory on clip" in run.error and "device cpu" in run.error
    after = comfyui.run(one_clip(seed=210))
    assert not after.errors and after.outputs["score"]["videoalign_scores"]


def test_a_deleted_model_file_is_named(comfyui):
    folder = comfyui.base / "models" / "reward_models"
    shutil.copy(folder / MODEL, folder / "soon_gone.safetensors")
    prompt = one_clip(seed=220) | {"model": load_model("soon_gone.safetensors")}
    assert not comfyui.run(prompt).errors
    (folder / "soon_gone.safetensors").unlink()
    with pytest.raises(RefusedError, match=r"soon_gone.safetensors' is not in .*reward_models") as refused:
        comfyui.run(prompt)
    assert list(refused.value.nodes) == ["model"]
    assert not comfyui.run(one_clip(seed=221)).errors


def test_a_broken_model_file_is_named(comfyui):
    (comfyui.base / "models" / "reward_models" / "broken.safetensors").write_bytes(b"not a model")
    run = comfyui.run(one_clip(seed=230) | {"model": load_model("broken.safetensors")})
    assert run.errors[0]["node_id"] == "model"
    assert "broken.safetensors cannot be read" in run.error


def test_another_file_under_the_same_name_is_loaded_anew(comfyui, checkpoints):
    from videoalign.reward.checkpoint_files import open_checkpoint
    from videoalign.reward.converted_file import save_converted
    from videoalign.reward.loading import read_official

    path = comfyui.base / "models" / "reward_models" / "changing.safetensors"
    prompt = one_clip(seed=240) | {"model": load_model("changing.safetensors")}
    shutil.copy(path.with_name(MODEL), path)
    first = comfyui.run(prompt).outputs["score"]["videoalign_scores"][0]
    save_converted(path, read_official(open_checkpoint(checkpoints / "ckpt_dim3"), checkpoints / "base"))
    second = comfyui.run(prompt).outputs["score"]["videoalign_scores"][0]
    assert abs(first["VQ"] - second["VQ"]) > 1e-3


def test_two_prompts_queued_at_once_both_finish(comfyui):
    session = comfyui.connect()
    queued = [comfyui.queue(misbehaving(2, seed=seed, seconds=0.3), session.client) for seed in (250, 260)]
    runs = [session.wait(prompt_id) for prompt_id in queued]
    session.close()
    scores = [run.outputs["score"]["videoalign_scores"] for run in runs]
    assert [len(rows) for rows in scores] == [2, 2]
    assert scores[0][0]["VQ"] != scores[1][0]["VQ"]
    alone = comfyui.run(one_clip(seed=250)).outputs["score"]["videoalign_scores"][0]
    assert scores[0][0]["VQ"] == pytest.approx(alone["VQ"], abs=1e-5)


def test_changing_only_the_weights_scores_nothing_again(comfyui):
    def prompt(*values):
        return {
            "model": load_model(),
            "clip": make_clip(seed=270, clips=3),
            "score": score_video("clip", clips=3),
            "weights": weights(*values),
            "best": pick_best("score", weights=["weights", 0]),
        }

    comfyui.run(prompt(1.0, 0.0, 0.0))
    run = comfyui.run(prompt(0.0, 0.0, 1.0))
    assert {"model", "clip", "score"} <= run.cached
    assert run.executed == ["weights", "best"] or set(run.executed) == {"weights", "best"}
    assert run.outputs["best"]["videoalign_ranking"][0]["weights"] == {"VQ": 0.0, "MQ": 0.0, "TA": 1.0}


@pytest.mark.slow
def test_models_in_folders_of_extra_model_paths_are_found(start_comfyui, tmp_path, reward_file):
    elsewhere = tmp_path / "elsewhere" / "rewards"
    (elsewhere / "deeper").mkdir(parents=True)
    shutil.copy(reward_file, elsewhere / "deeper" / "mine.safetensors")
    config = tmp_path / "extra.yaml"
    config.write_text(f"other_drive:\n  base_path: {tmp_path / 'elsewhere'}\n  reward_models: rewards\n")
    server = start_comfyui("--extra-model-paths-config", str(config))
    listed = server.get("/object_info/VideoAlignLoadVideoReward")["VideoAlignLoadVideoReward"]["input"]["required"][
        "model"
    ]
    options = listed[1]["options"] if listed[0] == "COMBO" else listed[0]
    assert "deeper/mine.safetensors" in options and MODEL in options
    run = server.run(one_clip() | {"model": load_model("deeper/mine.safetensors")})
    assert not run.errors and run.outputs["score"]["videoalign_scores"]
    server.stop()
