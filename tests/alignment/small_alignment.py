"""A small alignment: a tiny random Wan, a reward, three prompts, and the command line for them."""

import pytest
from safetensors.torch import save_file
from tiny_backbones import original_state, tiny
from tiny_vaes import tiny_wan21

from videoalign.reward.checkpoint_files import open_checkpoint
from videoalign.reward.converted_file import save_converted
from videoalign.reward.loading import read_official

PROMPTS = [f"one {colour} circle moves left over a plain grey ground" for colour in ("red", "blue", "green")]
TRAIN = """
batch_size = 2
precision = "float32"
tensorboard = false
[lora]
rank = 2
alpha = 4
dtype = "float32"
[memory]
base_dtype = "float32"
[optimizer]
learning_rate = 1e-3
[data]
eval_share = 0.0
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory, checkpoints):
    folder = tmp_path_factory.mktemp("models")
    save_file(original_state(tiny("wan-t2v")), folder / "network.safetensors")
    vae = {name: own.contiguous() for name, own in tiny_wan21().original_state_dict().items()}
    save_file(vae, folder / "vae.safetensors")
    save_converted(folder / "reward.safetensors", read_official(open_checkpoint(checkpoints / "ckpt_full")))
    (folder / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    (folder / "dpo.toml").write_text(TRAIN, encoding="utf-8")
    return folder


def arguments(files, output, *options):
    model = ["--model", files / "network.safetensors", "--vae", files / "vae.safetensors", "--text-encoder", "micro"]
    small = ["--sampling.frames", 5, "--sampling.width", 32, "--sampling.height", 32, "--sampling.steps", 2]
    counts = ["--clips-per-prompt", 2, "--compare-clips", 1, "--steps", 4, "--train", files / "dpo.toml"]
    own = [
        "align",
        files / "prompts.txt",
        "--output",
        output,
        "--reward",
        files / "reward.safetensors",
        "--device",
        "cpu",
    ]
    return [str(word) for word in [*own, *model, *small, *counts, *options]]
