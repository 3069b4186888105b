"""``videoalign generate`` with an image-to-video model: an image for each prompt."""

import json

import pytest
from PIL import Image
from tiny_backbones import save_single, tiny
from tiny_clip import save_clip, tiny_clip
from tiny_vaes import save_vae, tiny_wan21

from videoalign.cli.main import main
from videoalign.errors import VideoAlignError
from videoalign.generation.prompts import PromptRow, read_prompt_rows, read_prompts

PROMPT = "one red circle moves left over a plain grey ground"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Networks, VAE and CLIP, two pictures, and prompts.csv with one prompt for each of them."""
    folder = tmp_path_factory.mktemp("models")
    for kind in ("wan-i2v", "wan-t2v"):
        save_single(tiny(kind), folder / f"{kind}.safetensors")
    save_vae(tiny_wan21(), folder / "vae.safetensors")
    save_clip(tiny_clip(width=1280), folder / "clip_vision_h.safetensors")
    (folder / "images").mkdir()
    for name, colour in (("a", (250, 30, 30)), ("b", (20, 20, 240))):
        Image.new("RGB", (48, 40), colour).save(folder / "images" / f"{name}.png")
    (folder / "prompts.csv").write_text(f"prompt,image\n{PROMPT},images/a.png\n{PROMPT},images/b.png\n")
    (folder / "prompts.txt").write_text(PROMPT + "\n")
    return folder


def generate(world, output, *options, network="wan-i2v", prompts="prompts.csv", clip=True):
    own = ["--model", world / f"{network}.safetensors", "--vae", world / "vae.safetensors", "--text-encoder", "micro"]
    own += ["--image-encoder", world / "clip_vision_h.safetensors"] if clip else []
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 2]
    fixed = [world / prompts, "--output", output, "--clips-per-prompt", 1, "--device", "cpu"]
    return main(["generate", *map(str, [*fixed, *own, *small, *options])])


def test_each_prompts_clips_begin_with_its_image_which_is_listed(world, tmp_path, capsys):
    assert generate(world, tmp_path / "clips") == 0, capsys.readouterr().err
    rows = [json.loads(line) for line in (tmp_path / "clips" / "clips.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == [str(world / "images" / name) for name in ("a.png", "b.png")]
    first, second = ((tmp_path / "clips" / row["path"]).read_bytes() for row in rows)
    assert rows[0]["prompt"] == rows[1]["prompt"] and rows[0]["seed"] == rows[1]["seed"] and first != second

    before = (world / "images" / "a.png").read_bytes()
    Image.new("RGB", (48, 40), (0, 200, 0)).save(world / "images" / "a.png")
    try:
        assert generate(world, tmp_path / "clips") == 1
    finally:
        (world / "images" / "a.png").write_bytes(before)
    assert "images was" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prompts": "prompts.txt"}, "has no image. Give the prompts as CSV or JSONL with a column image"),
        ({"network": "wan-t2v"}, "takes no image; remove the column image"),
        ({"clip": False}, "give --image-encoder clip_vision_h.safetensors"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(changes, reason, world, tmp_path, capsys):
    assert generate(world, tmp_path / "clips", **changes) == 1
    assert reason in capsys.readouterr().err


def test_prompt_files_name_their_images_relative_to_themselves(world, tmp_path):
    assert read_prompt_rows(world / "prompts.csv") == [
        PromptRow(PROMPT, world / "images" / "a.png"),
        PromptRow(PROMPT, world / "images" / "b.png"),
    ]
    assert read_prompts(world / "prompts.csv") == [PROMPT]
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"prompt": PROMPT, "image": "gone.png"}))
    with pytest.raises(
        VideoAlignError, match=r"row 1 \(line 1\), column 'image': the image .*gone\.png does not exist"
    ):
        read_prompts(tmp_path / "prompts.jsonl")


def test_an_image_that_cannot_be_read_takes_only_its_own_clips_along(world, tmp_path, capsys):
    assert generate(world, tmp_path / "expected") == 0
    (world / "images" / "broken.png").write_bytes((world / "images" / "a.png").read_bytes()[:60])
    (world / "broken.csv").write_text(f"prompt,image\n{PROMPT},images/broken.png\n{PROMPT},images/b.png\n")
    assert generate(world, tmp_path / "clips", prompts="broken.csv") == 1
    said = capsys.readouterr().err
    assert "1 of 2 clips could not be made" in said and "00000_0: The picture" in said and "broken.png" in said
    [row] = [json.loads(line) for line in (tmp_path / "clips" / "clips.jsonl").read_text().splitlines()]
    made = (tmp_path / "clips" / row["path"]).read_bytes()
    assert row["id"] == "00001_0" and made == (tmp_path / "expected" / "videos" / "00001_0.mp4").read_bytes()
    assert generate(world, tmp_path / "clips", prompts="broken.csv") == 1  # nothing new, and the same said
    (world / "broken.csv").write_text(f"prompt,image\n{PROMPT},images/broken.png\n")
    assert generate(world, tmp_path / "none", prompts="broken.csv") == 1
    assert "broken.png" in capsys.readouterr().err and not (tmp_path / "none").exists()
