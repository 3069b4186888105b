"""A checkpoint with the released key names, shapes and types (1123 keys, 5.03 GB) loads, merges, converts and reloads."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = REPOSITORY / "tests" / "data" / "videoreward" / "checkpoints" / "state_dict_keys.json"
DISK, MEMORY = 12e9, 12e9


def benchmark_module(name):
    """A module of benchmarks/, which is no package and not installed."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


synthetic = benchmark_module("synthetic_checkpoint")
TINY = {
    "layers": 3,
    "hidden": 64,
    "intermediate": 160,
    "keys": 32,
    "vocabulary": 1217,
    "depth": 2,
    "embed": 64,
    "mlp": 128,
    "rank": 4,
}


def free_memory():
    """Bytes that can still be had, infinite where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def test_the_synthetic_checkpoint_has_the_names_shapes_and_order_of_the_official_code():
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["keys"]
    shapes = synthetic.official_shapes(synthetic.Sizes(**TINY))
    assert list(shapes) == list(recorded)
    assert {name: list(shape) for name, shape in shapes.items()} == {
        name: shape for name, (shape, _) in recorded.items()
    }
    assert {dtype for _, dtype in recorded.values()} == {"torch.bfloat16"}


def test_at_the_released_sizes_it_has_the_released_number_of_keys_and_bytes():
    shapes = synthetic.official_shapes(synthetic.Sizes())
    assert len(shapes) == 1123
    assert 2 * sum(torch.Size(shape).numel() for shape in shapes.values()) == pytest.approx(5.03e9, rel=2e-3)
    assert shapes["base_model.model.lm_head.weight"] == (151660, 1536)
    assert shapes["base_model.model.rm_head.weight"] == (1, 1536)


def test_its_tokenizer_gives_the_reward_tokens_their_released_ids():
    from tokenizers import Tokenizer

    from videoalign.reward.reward_tokenizer import RewardTokenizer
    from videoalign.reward.template import load_template

    tokenizer = Tokenizer.from_str(json.dumps(synthetic.synthetic_tokenizer(151657)))
    assert tokenizer.get_vocab_size(with_added_tokens=True) == 151657
    assert tokenizer.token_to_id("<|endoftext|>") == 151643
    assert tokenizer.token_to_id("<|video_pad|>") == 151656
    assert RewardTokenizer(tokenizer, load_template("detailed_special")).reward_token_ids == [151657, 151658, 151659]


@pytest.mark.slow
def test_the_released_shapes_load_merge_convert_and_reload(tmp_path):
    from videoalign.reward.checkpoint_files import open_checkpoint, read_pickle
    from videoalign.reward.converted_file import load_converted, save_converted
    from videoalign.reward.loading import load_video_reward, read_official

    if shutil.disk_usage(tmp_path).free < DISK:
        pytest.skip(f"needs {DISK / 1e9:.0f} GB of disk in {tmp_path}")
    if free_memory() < MEMORY:
        pytest.skip(f"needs {MEMORY / 1e9:.0f} GB of free memory")
    measured = benchmark_module("peak_memory").Measured
    folder, file = tmp_path / "official", tmp_path / "converted.safetensors"
    with measured() as building:
        synthetic.write_released_checkpoint(folder)
    state = read_pickle(folder / synthetic.STEP / "model.pth")
    assert len(state) == 1123
    assert (folder / synthetic.STEP / "model.pth").stat().st_size == pytest.approx(5.03e9, rel=2e-3)

    with measured() as merging:
        reward = read_official(open_checkpoint(folder))
    layer = "layers.13.mlp.down_proj"
    base, down, up = (
        state[f"base_model.model.model.{layer}.{part}.weight"].float()
        for part in ("base_layer", "lora_A.default", "lora_B.default")
    )
    merged = reward.weights[f"language_model.{layer}.weight"]
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, (base + 128 / 64 * (up @ down)).bfloat16())
    assert torch.equal(reward.weights["language_model.embed_tokens.weight"], state["base_model.model.lm_head.weight"])
    assert len(reward.weights) == 1123 - 2 * 7 * 28 - 1  # LoRA pairs and the second copy of the embedding are gone
    del state, base, down, up, merged

    with measured() as converting:
        save_converted(file, reward)
    again = load_converted(file)
    assert all(torch.equal(again.weights[name], weight) for name, weight in reward.weights.items())
    assert again.network_config == reward.network_config
    assert (again.network_config["num_attention_heads"], again.network_config["num_key_value_heads"]) == (12, 2)
    del again, reward
    shutil.rmtree(folder)

    with measured() as reloading:
        model = load_video_reward(file, device="cpu")
    assert sum(parameter.numel() for parameter in model.network.parameters()) == pytest.approx(2.21e9, rel=5e-3)
    assert model.tokenizer.reward_token_ids == [151657, 151658, 151659]
    for name, what in {"build": building, "merge": merging, "convert": converting, "reload": reloading}.items():
        print(f"{name}: {what}")
