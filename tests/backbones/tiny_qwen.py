"""A tiny Qwen2.5 and a tiny ByT5: as ComfyUI's two files, and as a diffusers folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from videoalign.backbones.qwen_text import _config

SIZES = {
    "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 1, "num_key_value_heads": 1,
}  # fmt: skip
BYT5 = {
    "vocab_size": 384, "d_model": 1472, "num_layers": 1, "num_heads": 2, "d_kv": 8, "d_ff": 24, "feed_forward_proj": "gated-gelu",
    "layer_norm_epsilon": 1e-6, "dropout_rate": 0.0,
}  # fmt: skip
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def _filled(module, scale: float = 0.1):
    generator = torch.Generator().manual_seed(0)
    for parameter in module.requires_grad_(False).parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(noise * scale if parameter.ndim == 2 else 1 + 0.1 * noise)
    return module.eval()


def tiny_qwen(vocabulary: int = 259):
    """transformers' Qwen2Model with random weights."""
    import transformers

    return _filled(transformers.Qwen2Model(_config(vocab_size=vocabulary, **SIZES)))


def tiny_byt5():
    """transformers' T5 encoder with random weights."""
    import transformers

    return _filled(transformers.T5EncoderModel(transformers.T5Config(**BYT5)), 0.05)


def save_tokenizer(folder: Path) -> Path:
    """Qwen's kind of tokenizer without merges: a token a byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "pad_token": SPECIAL[0],
        "additional_special_tokens": list(SPECIAL[1:]),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def save_files(folder: Path, vocabulary: int = 259, tokenizer: bool = True) -> str:
    """ComfyUI's two files; returns what the option names them by."""
    language = {f"model.{name}": tensor for name, tensor in tiny_qwen(vocabulary).state_dict().items()}
    language["visual.patch_embed.proj.weight"] = torch.zeros(2)
    save_file(language, folder / "qwen.safetensors")
    state = tiny_byt5().state_dict()
    save_file(
        {name: tensor for name, tensor in state.items() if "embed_tokens" not in name}, folder / "byt5.safetensors"
    )
    if tokenizer:
        save_tokenizer(folder / "tokenizer")
    return f"{folder / 'qwen.safetensors'}+{folder / 'byt5.safetensors'}"


def save_folder(folder: Path) -> Path:
    """The same as a diffusers pipeline, whose Qwen2.5-VL has its three axes of positions."""
    import transformers

    rope = {"rope_type": "default", "mrope_section": [16, 24, 24]}
    sizes = {"vocab_size": 259, "rms_norm_eps": 1e-6, **SIZES}
    theirs = transformers.models.qwen2_5_vl
    if hasattr(theirs, "Qwen2_5_VLTextConfig"):
        config_class, model_class = theirs.Qwen2_5_VLTextConfig, theirs.Qwen2_5_VLTextModel
    else:  # transformers 4.50, whose model has no eyes
        config_class, model_class = theirs.Qwen2_5_VLConfig, theirs.Qwen2_5_VLModel
    language = model_class(config_class(**sizes, rope_theta=1e6, rope_scaling=rope))
    language.load_state_dict(tiny_qwen().state_dict())
    language.save_pretrained(folder / "text_encoder")
    tiny_byt5().save_pretrained(folder / "text_encoder_2")
    save_tokenizer(folder / "tokenizer")
    return folder
