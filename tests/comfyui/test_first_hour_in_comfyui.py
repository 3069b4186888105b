"""What an artist does in the first hour and what must not go wrong: files of other programs, wires, deleted and muted things."""

import csv
import shutil

import pytest
import torch
from comfy_server import RefusedError
from PIL import Image
from prompts import CAPTION, MODEL, load_model, make_clip, node, one_clip, pick_best, score_video, show

from videoalign.nodes.reward_models import EMBEDDED_NAME

pytestmark = pytest.mark.comfyui


def saving(seed: int, filename: str) -> dict:
    return one_clip(seed=seed) | {"save": node("SaveScores", scores=["score", 0], filename=filename)}


def rows(path) -> list[dict]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def resaved(path, kind: str) -> None:
    """A score file as another program saves it after a look."""
    table = rows(path)
    columns = list(table[0])
    if kind == "pandas":  # an integer column with a gap becomes floats
        for number, row in enumerate(table):
            row["seed"] = f"{100 + number}.0" if number else ""
    with path.open("w", newline="", encoding="utf-8-sig" if kind.startswith("Excel") else "utf-8") as file:
        separator = ";" if kind == "Excel in Europe" else ","
        writer = csv.DictWriter(file, columns, delimiter=separator, lineterminator="\r\n" if "Excel" in kind else "\n")
        writer.writeheader()
        writer.writerows(table)


@pytest.mark.parametrize("kind", ["Excel", "pandas"])
def test_a_score_file_that_another_program_saved_is_appended_to_and_loaded(comfyui, kind):
    name = f"first/{kind}.csv"
    path = comfyui.base / "output" / name
    for seed in (501, 502):
        assert not comfyui.run(saving(seed, name)).errors
    resaved(path, kind)
    run = comfyui.run(saving(503, name))
    assert not run.errors, run.error
    assert run.outputs["save"]["videoalign_saved"] == [{"filename": name, "added": 1, "rows": 3}]
    assert [row["prompt"] for row in rows(path)] == [CAPTION] * 3
    loaded = comfyui.run({"load": node("LoadScores", filename=name), "count": show("load", 1)})
    assert loaded.outputs["count"]["shown"] == [3]


def test_a_file_that_cannot_be_appended_to_stays_as_it_is(comfyui):
    name = "first/europe.csv"
    path = comfyui.base / "output" / name
    assert not comfyui.run(saving(511, name)).errors
    resaved(path, "Excel in Europe")
    before = path.read_bytes()
    for _ in range(2):
        run = comfyui.run(saving(512, name))
        assert path.name in run.error
    assert path.read_bytes() == before


def test_the_path_that_save_scores_gives_is_one_that_load_scores_takes(comfyui):
    prompt = saving(521, "first/wire.csv")
    prompt |= {"load": node("LoadScores", filename=["save", 1]), "count": show("load", 1)}
    run = comfyui.run(prompt)
    assert not run.errors and run.outputs["count"]["shown"] == [1]
    typed = {
        "load": node("LoadScores", filename=str(comfyui.base / "output" / "first" / "wire.csv")),
        "n": show("load", 1),
    }
    assert comfyui.run(typed).outputs["n"]["shown"] == [1]
    given = comfyui.base / "input" / "given.csv"
    shutil.copy(comfyui.base / "output" / "first" / "wire.csv", given)
    assert comfyui.run({"load": node("LoadScores", filename=str(given)), "n": show("load", 1)}).outputs["n"][
        "shown"
    ] == [1]
    with pytest.raises(RefusedError, match="leads out of"):
        comfyui.run({"load": node("LoadScores", filename=str(comfyui.base / "other.csv")), "n": show("load", 1)})


def test_a_deleted_score_file_is_written_again_and_one_that_is_there_is_not(comfyui):
    path = comfyui.base / "output" / "first" / "deleted.csv"
    prompt = saving(531, "first/deleted.csv")
    for expected in (1, 1):
        comfyui.run(prompt)
        assert len(rows(path)) == expected
    for _ in range(2):  # deleted twice
        path.unlink()
        run = comfyui.run(prompt)
        assert len(rows(path)) == 1 and "save" in run.executed
        assert "save" in comfyui.run(prompt).cached and len(rows(path)) == 1


def test_a_deleted_folder_of_choices_is_filled_again(comfyui):
    folder = comfyui.base / "output" / "videoalign" / "deleted"
    prompt = {
        "a": make_clip(541), "b": make_clip(542),
        "choose": node(
            "ChoosePair", clip=["a", 0], other_clip=["b", 0], prompt=CAPTION, model="", other_model="", fps=8.0, clips_in_batch=1,
            folder="videoalign/deleted", chooser="",
        ),
    }  # fmt: skip
    assert comfyui.run(prompt).outputs["choose"]["videoalign_choices"][0]["added"] == 2
    assert "choose" in comfyui.run(prompt).cached
    shutil.rmtree(folder)
    assert comfyui.run(prompt).outputs["choose"]["videoalign_choices"][0]["added"] == 2
    assert (folder / "clips.jsonl").is_file()


@pytest.mark.parametrize("method", ["bicubic", "lanczos"])
def test_frames_that_cores_own_resize_overshoots_are_scored(comfyui, method):
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (16, 16, 48, 48))
    frames = [picture, *(picture.rotate(10 * turn) for turn in range(1, 6))]
    frames[0].save(comfyui.base / "input" / "square.webp", save_all=True, append_images=frames[1:], lossless=True)
    prompt = {
        "model": load_model(EMBEDDED_NAME),
        "picture": {"class_type": "LoadImage", "inputs": {"image": "square.webp"}},
        "clip": {
            "class_type": "ImageScale",
            "inputs": {"image": ["picture", 0], "upscale_method": method, "width": 128, "height": 128, "crop": "disabled"},
        },
        "score": score_video("clip", caption=""),
        "choose": node(
            "ChoosePair", clip=["clip", 0], prompt=CAPTION, model="", other_model="", fps=8.0, clips_in_batch=1,
            folder=f"videoalign/{method}", chooser="",
        ),
    }  # fmt: skip
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    assert run.outputs["score"]["videoalign_scores"][0]["VQ"] is not None


@pytest.mark.parametrize("brightness", [255.0, -1.0, float("nan")])
def test_what_is_no_picture_is_refused_by_every_node_alike(comfyui, brightness):
    clip = make_clip(551, brightness=brightness)
    choose = node(
        "ChoosePair", clip=["clip", 0], prompt=CAPTION, model="", other_model="", fps=8.0, clips_in_batch=1,
        folder="videoalign/none", chooser="",
    )  # fmt: skip
    if brightness != brightness:  # JSON has no NaN
        clip["inputs"]["brightness"] = 3e38
    for made in (
        {"model": load_model(), "clip": clip, "score": score_video("clip")},
        {"clip": clip, "choose": choose},
    ):
        assert "must lie in 0..1" in comfyui.run(made).error


def linked(kind: str, model: str, **others) -> dict:
    return {
        "name": node("TestAny", text=model),
        "load": node(kind, **{"model": ["name", 0], "dtype": "auto", "device": "default", **others}),
    }


def test_a_models_name_may_come_by_wire(comfyui):
    prompt = linked("LoadVideoReward", MODEL) | {"clip": make_clip(561), "score": score_video("clip", reward="load")}
    first = comfyui.run(prompt)
    assert not first.errors, first.error
    assert "load" in comfyui.run(prompt).cached  # and is not read again with every prompt
    gone = linked("LoadVideoReward", "gone.safetensors") | {"show": show("load", 0)}
    assert "The reward model 'gone.safetensors' is not in" in comfyui.run(gone).error


def test_a_type_of_numbers_may_come_by_wire_and_a_wrong_one_is_told(comfyui):
    for kind, what in (("LoadVideoReward", MODEL), ("LoadLatentReward", "micro latent reward (embedded)")):
        for dtype, said in (("float32", ""), ("int3", "dtype is 'int3'; choose one of auto")):
            prompt = linked(kind, what, dtype=["dtype", 0]) | {"dtype": node("TestAny", text=dtype)}
            run = comfyui.run(prompt | {"show": show("load", 0)})
            assert said in run.error and bool(run.errors) == bool(said)


@pytest.mark.parametrize("kind", ["LoadVideoReward", "LoadLatentReward"])
@pytest.mark.parametrize("name", ["gone.safetensors", "", ".", "deep/../../x"])
def test_one_missing_file_is_one_error_with_our_sentence(comfyui, kind, name):
    prompt = {"load": node(kind, model=name, dtype="auto", device="default"), "show": show("load", 0)}
    with pytest.raises(RefusedError) as refused:
        comfyui.run(prompt)
    (error,) = refused.value.nodes["load"]["errors"]
    assert "is not in" in error["details"] and error["extra_info"]["input_name"] == "model"


def test_models_at_any_depth_are_listed(comfyui):
    folder = comfyui.base / "models" / "reward_models"
    deep = folder / "a" / "b" / "c" / "d" / "e"
    deep.mkdir(parents=True)
    shutil.copy(folder / MODEL, deep / "deep.safetensors")
    (deep / "up").symlink_to(folder, target_is_directory=True)  # a link back up is not followed for ever
    options = comfyui.get("/object_info/VideoAlignLoadVideoReward")["VideoAlignLoadVideoReward"]["input"]["required"][
        "model"
    ]
    names = options[1].get("options") or options[0]
    assert "a/b/c/d/e/deep.safetensors" in names and len(names) < 40


def test_a_muted_candidate_does_not_refuse_the_others(comfyui):
    prompt = one_clip(seed=571) | {"best": pick_best("gone", "score"), "indices": show("best", 3)}
    prompt["best"]["inputs"].pop("candidates.candidate0")  # what the page sends for a muted node
    run = comfyui.run(prompt)
    assert not run.errors, run.error
    assert run.outputs["indices"]["shown"] == [0]


def test_no_candidate_at_all_says_what_to_connect(comfyui):
    run = comfyui.run({"best": pick_best(), "indices": show("best", 3)})
    assert "Connect the scores of at least one Score Video" in run.error


def test_an_image_to_video_reward_says_before_sampling_what_is_missing(comfyui):
    from guidance_prompts import guided_graph, make_guidance_files, random_reward
    from tiny_backbones import save_single, tiny

    from videoalign.reward.latent.reward_file import save_latent_reward

    make_guidance_files(comfyui.base)
    models = comfyui.base / "models"
    save_single(tiny("wan-i2v"), models / "diffusion_models" / "i2v.safetensors")
    save_latent_reward(
        models / "latent_reward_models" / "i2v.safetensors", random_reward(tiny("wan-i2v", seed=3)), torch.float32
    )
    prompt = guided_graph(seed=581)
    prompt["unet"]["inputs"]["unet_name"] = prompt["reward"]["inputs"]["model"] = "i2v.safetensors"
    run = comfyui.run(prompt)
    assert "latent_reward 'i2v.safetensors' is for image-to-video with CLIP vision" in run.error
    assert "Connect CLIP Vision Encode" in run.error and run.errors[0]["node_id"] == "sampler"


def test_the_micro_reward_says_that_it_does_not_know_a_clip(comfyui):
    def notes(caption, **clip):
        prompt = {
            "model": load_model(EMBEDDED_NAME),
            "clip": make_clip(591, **clip),
            "score": score_video("clip", caption=caption),
        }
        return comfyui.run(prompt).outputs["score"]["videoalign_scores"][0]["notes"]

    (note,) = notes("a red fox trots through snow")
    assert "knows only drawn clips of 64 x 64 pixels" in note and "mean nothing" in note
    assert not notes("two red circles move left over a plain grey ground")
