"""A VideoReward checkpoint with the released file's key names, shapes and types, and random weights.

The released one is ``checkpoint-11352/model.pth`` of KlingTeam/VideoReward: Qwen2-VL-2B under PEFT, 1123 keys, 5.03 GB of
bfloat16, LoRA (rank 64, alpha 128) on every linear layer of the language model, ``lm_head`` stored beside the embedding
that it is tied to, and a tokenizer of 151657 entries to which three reward tokens are appended.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

SHIPPED = Path(__file__).resolve().parent.parent / "tests" / "data" / "videoreward" / "checkpoints"
SHIPPED_TINY = SHIPPED / "ckpt_full"
STEP = "checkpoint-11352"
REWARD_TOKENS = 3


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a Qwen2-VL and of the LoRA on it; the released ones by default.

    Attributes:
        vocabulary: rows of the embedding, reward tokens included.
        keys: width of the key and value projections.
        patch: inputs of one patch (3 colours, 2 frames, 14 x 14 pixels).
    """

    layers: int = 28
    hidden: int = 1536
    intermediate: int = 8960
    keys: int = 256
    vocabulary: int = 151660
    depth: int = 32
    embed: int = 1280
    mlp: int = 5120
    patch: tuple[int, ...] = (3, 2, 14, 14)
    rank: int = 64
    alpha: int = 128


def official_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Key names and shapes of the state dict, in the order of the file."""
    shapes: dict[str, tuple[int, ...]] = {"visual.patch_embed.proj.weight": (sizes.embed, *sizes.patch)}
    embed, merged = sizes.embed, 4 * sizes.embed
    for block in range(sizes.depth):
        name = f"visual.blocks.{block}"
        shapes |= {f"{name}.{norm}.{part}": (embed,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
        shapes |= _linear(f"{name}.attn.qkv", 3 * embed, embed) | _linear(f"{name}.attn.proj", embed, embed)
        shapes |= _linear(f"{name}.mlp.fc1", sizes.mlp, embed) | _linear(f"{name}.mlp.fc2", embed, sizes.mlp)
    shapes |= {f"visual.merger.ln_q.{part}": (embed,) for part in ("weight", "bias")}
    shapes |= _linear("visual.merger.mlp.0", merged, merged) | _linear("visual.merger.mlp.2", sizes.hidden, merged)
    shapes["model.embed_tokens.weight"] = (sizes.vocabulary, sizes.hidden)
    for layer in range(sizes.layers):
        name, hidden, inner = f"model.layers.{layer}", sizes.hidden, sizes.intermediate
        shapes |= _adapted(f"{name}.self_attn.q_proj", hidden, hidden, sizes.rank, bias=True)
        shapes |= _adapted(f"{name}.self_attn.k_proj", sizes.keys, hidden, sizes.rank, bias=True)
        shapes |= _adapted(f"{name}.self_attn.v_proj", sizes.keys, hidden, sizes.rank, bias=True)
        shapes |= _adapted(f"{name}.self_attn.o_proj", hidden, hidden, sizes.rank)
        shapes |= _adapted(f"{name}.mlp.gate_proj", inner, hidden, sizes.rank)
        shapes |= _adapted(f"{name}.mlp.up_proj", inner, hidden, sizes.rank)
        shapes |= _adapted(f"{name}.mlp.down_proj", hidden, inner, sizes.rank)
        shapes |= {f"{name}.{norm}.weight": (hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
    shapes["model.norm.weight"] = (sizes.hidden,)
    shapes["lm_head.weight"] = (sizes.vocabulary, sizes.hidden)
    shapes["rm_head.weight"] = (1, sizes.hidden)
    return {f"base_model.model.{name}": shape for name, shape in shapes.items()}


def random_weight(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """A bfloat16 weight of about the size that initialisation gives: norms around 1, the rest around 0."""
    noise = torch.empty(shape, dtype=torch.bfloat16, device=generator.device).normal_(0, 0.02, generator=generator)
    is_norm = name.endswith("weight") and len(shape) == 1
    return noise + 1 if is_norm else noise


def write_released_checkpoint(folder: Path, sizes: Sizes | None = None, seed: int = 0) -> Path:
    """Write a checkpoint folder as it is released (about 5.03 GB at the default sizes); returns it.

    The tokenizer stands in ``checkpoint-N/tokenizer``, so that no base model is needed, and the network's configuration
    has to be read off the weights.
    """
    sizes = sizes or Sizes()
    weights = folder / STEP
    (weights / "tokenizer").mkdir(parents=True)
    (folder / "model_config.json").write_text(json.dumps(model_config(sizes), indent=4), encoding="utf-8")
    tokenizer = synthetic_tokenizer(sizes.vocabulary - REWARD_TOKENS)
    (weights / "tokenizer" / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    generator = torch.Generator().manual_seed(seed)
    state = {name: random_weight(name, shape, generator) for name, shape in official_shapes(sizes).items()}
    state["base_model.model.lm_head.weight"].copy_(state["base_model.model.model.embed_tokens.weight"])
    torch.save(state, weights / "model.pth")
    return folder


def model_config(sizes: Sizes) -> dict:
    """The released ``model_config.json``: that of the shipped tiny checkpoint with the released LoRA and base model."""
    config = json.loads((SHIPPED_TINY / "model_config.json").read_text(encoding="utf-8"))
    config["peft_lora_config"] |= {"lora_r": sizes.rank, "lora_alpha": sizes.alpha}
    config["model_config"]["model_name_or_path"] = "Qwen/Qwen2-VL-2B-Instruct"
    return config


def synthetic_tokenizer(entries: int) -> dict:
    """A ``tokenizer.json`` of ``entries`` tokens: the tiny one's words, fillers that no text gives, Qwen2-VL's 14 tokens."""
    tokenizer = json.loads((SHIPPED_TINY / STEP / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    control = [copy.deepcopy(token) for token in tokenizer["added_tokens"] if "_reward" not in token["content"]]
    vocabulary = tokenizer["model"]["vocab"]
    for number in range(len(vocabulary), entries - len(control)):
        vocabulary[f"\N{REPLACEMENT CHARACTER}{number}"] = number
    tokenizer["added_tokens"] = [token | {"id": len(vocabulary) + index} for index, token in enumerate(control)]
    return tokenizer


def random_video_reward(
    dtype: torch.dtype, device: str = "cpu", sizes: Sizes | None = None, seed: int = 0, drawn_on: str = "cpu"
):
    """A ``VideoReward`` of the given sizes with random weights, without a file in between.

    Args:
        drawn_on: the device whose random numbers they are: the same on the same one; a GPU is quicker.
    """
    from tokenizers import Tokenizer

    from videoalign.reward.checkpoint_weights import network_name
    from videoalign.reward.converted_file import ConvertedReward
    from videoalign.reward.loading import build
    from videoalign.reward.network_config import config_from_weights
    from videoalign.reward.settings import RewardSettings

    sizes = sizes or Sizes()
    generator = torch.Generator(drawn_on).manual_seed(seed)
    weights = {
        network_name(name): random_weight(name, shape, generator).to(device, dtype)
        for name, shape in official_shapes(sizes).items()
        if "lora_" not in name and "lm_head" not in name
    }
    tokenizer = Tokenizer.from_str(json.dumps(synthetic_tokenizer(sizes.vocabulary - REWARD_TOKENS)))
    settings = RewardSettings(base_model="Qwen/Qwen2-VL-2B-Instruct", torch_dtype="bfloat16")
    reward = ConvertedReward(settings, config_from_weights(weights), tokenizer, weights)
    return build(reward, dtype, torch.device(device))


def describe(sizes: Sizes) -> str:
    """One line about a checkpoint of these sizes."""
    shapes = official_shapes(sizes)
    size = 2 * sum(torch.Size(shape).numel() for shape in shapes.values())
    return f"{len(shapes)} keys, {size / 1e9:.2f} GB in bfloat16, {asdict(sizes)}"


def _linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _adapted(name: str, outputs: int, inputs: int, rank: int, bias: bool = False) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{name}.base_layer.weight": (outputs, inputs)}
    if bias:
        shapes[f"{name}.base_layer.bias"] = (outputs,)
    return shapes | {f"{name}.lora_A.default.weight": (rank, inputs), f"{name}.lora_B.default.weight": (outputs, rank)}
