"""A Qwen2-VL of 1.5 million random weights with a tokenizer of its own, in the files of a hub repository."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from ...files.atomic_file import write_json
from ...files.tensor_file import save_tensors
from ...micro_world import MOTION_FAULTS, VISUAL_FAULTS, VOCABULARY
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.template import load_template

VOCABULARY_SIZE = 512
CONTROL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
HIDDEN, HEADS = 128, 4
NETWORK = {
    "model_type": "qwen2_vl",
    "hidden_size": HIDDEN,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "vision_config": {
        "depth": 2,
        "embed_dim": HIDDEN,
        "hidden_size": HIDDEN,
        "num_heads": HEADS,
        "mlp_ratio": 2,
        "in_chans": 3,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}


def write_base_model(folder: Path, template: str, seed: int) -> None:
    """Write a base model of random weights: the same bytes for the same seed.

    Args:
        template: prompt template whose words the tokenizer learns, beside the micro world's.
    """
    tokenizer = micro_tokenizer(template)
    save_base(folder, new_network(tokenizer, seed), tokenizer)


def new_network(tokenizer: Tokenizer, seed: int) -> Qwen2VLRewardNetwork:
    """The network with random weights, drawn so that captions and frames start out equally loud."""
    torch.manual_seed(seed)
    network = Qwen2VLRewardNetwork(NETWORK, tokenizer.get_vocab_size(with_added_tokens=True), 1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(_initial(name, parameter))
    network.set_rotary_precision(torch.float32, "cpu")
    return network


def save_base(folder: Path, network: Qwen2VLRewardNetwork, tokenizer: Tokenizer) -> None:
    """Write config.json, tokenizer.json and model.safetensors, named as on the hub; the reward head is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = {
        re.sub(r"^language_model\.", "model.", name): tensor.detach().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith("rm_head")
    }
    config = {**NETWORK, "vocab_size": weights["model.embed_tokens.weight"].shape[0]}
    write_json(folder / "config.json", config)
    save_tensors(folder / "model.safetensors", weights, {"format": "pt"})


def load_base(folder: Path, network: Qwen2VLRewardNetwork) -> None:
    """Put the weights of a folder that ``save_base`` wrote into a network; its reward head stays as it is."""
    weights = load_file(folder / "model.safetensors")
    weights = {re.sub(r"^model\.", "language_model.", name): tensor for name, tensor in weights.items()}
    network.load_state_dict({"rm_head.weight": network.rm_head.weight, **weights})


def micro_tokenizer(template: str) -> Tokenizer:
    """A byte-level BPE that has each word of the micro world and of the template as one token; any other text works too."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS],
    )
    words = " ".join(sorted(VOCABULARY))
    plain = " ".join(load_template(template).pieces[::2]).replace("{text_prompt}", " ")
    kinds = " ".join((*VISUAL_FAULTS, *MOTION_FAULTS, "weak", "medium", "strong", "no", "fault"))
    tokenizer.train_from_iterator([f" {words} {kinds}: {words} {kinds},", plain, plain], trainer)
    return tokenizer


def _initial(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if name.endswith(".bias"):
        return torch.zeros_like(tensor)
    if tensor.ndim == 1:  # the scale of a norm
        return torch.ones_like(tensor)
    # Embeddings as large as what the vision tower gives, or the captions would drown in the frames.
    std = 0.5 if "embed_tokens" in name else tensor[0].numel() ** -0.5
    return torch.randn(tensor.shape) * std
