"""umt5-xxl (Wan) and T5-XXL (LTX-Video): encoders of T5's kind, from ComfyUI files and diffusers folders."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer
from torch import Tensor, nn

from ..errors import WeightsError
from .meta_device import on_meta
from .pretrained_folder import encoder_folder, folder_config, pretrained
from .text_encoder import TextEncoder
from .weight_files import WeightFiles, fill_module, open_weights

MAX_TOKENS = 512
_CLASSES = {"umt5": "UMT5EncoderModel", "t5": "T5EncoderModel"}
_FIRST_LAYER = "encoder.block.0.layer.0.SelfAttention"
_EMBEDDED = "spiece_model"  # ComfyUI's name for a tokenizer inside a file
_FOLDERS = ("tokenizer", "t5_tokenizer", "umt5_tokenizer")
_IN_COMFYUI = Path("comfy") / "text_encoders" / "t5_tokenizer"


class T5TextEncoder(TextEncoder):
    """An encoder of T5's kind and its tokenizer.

    Args:
        module: transformers' encoder.
        tokenize: prompt -> ids, ended by the end-of-sentence token.
        padded: append zeros up to 512 tokens, as Wan wants it.
        identity: for cache keys.
    """

    model_types = ("umt5", "t5")
    titles = file_titles = ("umt5 (Wan)", "T5 (LTX-Video)")

    def __init__(self, module: nn.Module, tokenize: Callable[[str], list[int]], padded: bool, identity: str) -> None:
        self.module = module.eval().requires_grad_(False)
        self.tokenize, self.padded, self.identity = tokenize, padded, identity

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return (self.module,)

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return tuple(self.module.encoder.block)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """{"text": [L, D]} a prompt, on the CPU. L is 512 with zeros at the end for umt5, the number of tokens for T5.

        White space is reduced to single blanks; what goes beyond 512 tokens is cut off.
        """
        ids = [self._ids(prompt) for prompt in prompts]
        longest = max(map(len, ids))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in ids], device=self.module.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=self.module.device)
        states = self.module(input_ids=tokens, attention_mask=mask).last_hidden_state.cpu()
        texts = [state[: len(row)] for state, row in zip(states, ids, strict=True)]
        if self.padded:
            texts = [nn.functional.pad(text, (0, 0, 0, MAX_TOKENS - len(text))) for text in texts]
        return [{"text": text.contiguous()} for text in texts]

    def _ids(self, prompt: str) -> list[int]:
        ids = self.tokenize(" ".join(prompt.split()))
        return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]

    # -- loading ---------------------------------------------------------------------------------------------------------
    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """T5 and umt5 share T5's names, with relative positions in the first layer at least; alone, not beside a language model."""
        beside = any(name.startswith("model.layers.") for name in shapes)
        return f"{_FIRST_LAYER}.relative_attention_bias.weight" in shapes and "shared.weight" in shapes and not beside

    @classmethod
    def from_folder(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> T5TextEncoder:
        """From ``text_encoder`` of a pipeline, or that folder itself, with the tokenizer beside it."""
        import transformers

        folder = encoder_folder(path)
        kind = folder_config(folder)["model_type"]
        module = pretrained(getattr(transformers, _CLASSES[kind]), folder, dtype)
        tokenize, _ = _folder_tokenizer(_tokenizer_beside(folder))
        return cls(module.to(device), tokenize, kind == "umt5", cls.identity_of_folder(path, dtype))

    @classmethod
    def identity_of_folder(cls, path: Path, dtype: torch.dtype) -> str:
        """Weights, tokenizer and type."""
        folder = encoder_folder(path)
        _, tokens = _folder_tokenizer(_tokenizer_beside(folder))
        return _identity(open_weights(folder, "model"), tokens, dtype)

    @classmethod
    def from_file(
        cls, files: WeightFiles, dtype: torch.dtype, device: torch.device | str, tokenizer: Path | str | None = None
    ) -> T5TextEncoder:
        """From a ComfyUI file; its configuration is derived from the tensors' shapes.

        Raises:
            WeightsError: damaged, or there is no tokenizer for it.
        """
        kind, _ = described(files)
        module = t5_encoder(files, dtype)
        tokenize, tokens = _file_tokenizer(files, kind, tokenizer)
        return cls(module.to(device), tokenize, kind == "umt5", _identity(files, tokens, dtype))

    @classmethod
    def identity_of_file(cls, files: WeightFiles, dtype: torch.dtype, tokenizer: Path | str | None = None) -> str:
        """Weights, tokenizer and type."""
        kind, _ = described(files)
        return _identity(files, _file_tokenizer(files, kind, tokenizer)[1], dtype)


def t5_encoder(files: WeightFiles, dtype: torch.dtype) -> nn.Module:
    """transformers' encoder with the weights of a file; its configuration is derived from the tensors' shapes.

    Raises:
        WeightsError: it is damaged.
    """
    import transformers

    kind, config = described(files)
    with on_meta():
        module = getattr(transformers, _CLASSES[kind])(getattr(transformers, f"{kind.upper()}Config")(**config))
    state = {
        name: files.read("shared.weight" if name == "encoder.embed_tokens.weight" else name, dtype)
        for name in module.state_dict()
    }
    fill_module(module, state, files.name)
    module.encoder.embed_tokens = module.shared  # one table of 2 GB in umt5-xxl, not two
    return module


def described(files: WeightFiles) -> tuple[str, dict]:
    """(``umt5`` or ``t5``, transformers' configuration) of a file."""
    shapes, first = files.shapes, _FIRST_LAYER
    gated = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in shapes
    feed = "wi_0" if gated else "wi"
    buckets, heads = shapes[f"{first}.relative_attention_bias.weight"]
    layers = 0
    while f"encoder.block.{layers}.layer.0.SelfAttention.q.weight" in shapes:
        layers += 1
    vocabulary, width = shapes["shared.weight"]
    config = {
        "vocab_size": vocabulary, "d_model": width, "num_layers": layers, "num_heads": heads,
        "d_kv": shapes[f"{first}.q.weight"][0] // heads,
        "d_ff": shapes[f"encoder.block.0.layer.1.DenseReluDense.{feed}.weight"][0],
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "relative_attention_num_buckets": buckets, "layer_norm_epsilon": 1e-6, "dropout_rate": 0.0,
    }  # fmt: skip
    # umt5 has a position bias in every layer, T5 shares the first layer's.
    every = layers > 1 and "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight" in shapes
    return "umt5" if every else "t5", config


def _file_tokenizer(
    files: WeightFiles, kind: str, folder: Path | str | None
) -> tuple[Callable[[str], list[int]], bytes]:
    """(tokenizer, the bytes that determine it) of a file: the one inside it, the given folder's, or a nearby folder's."""
    if folder is None and _EMBEDDED in files.shapes:
        content = bytes(files.read(_EMBEDDED).to(torch.uint8).numpy())
        return sentencepiece_ids(content, files.name), content
    folders = [Path(folder)] if folder else _folders_near(files.paths[0], kind)
    for candidate in folders:
        if (candidate / "tokenizer.json").is_file() or (candidate / "spiece.model").is_file():
            return _folder_tokenizer(candidate)
    raise WeightsError(
        f"{files.name} carries no tokenizer, and there is none in {', '.join(map(str, folders))}. Put tokenizer.json or "
        f"spiece.model of this encoder into {folders[0]} (for T5-XXL ComfyUI has it in {_IN_COMFYUI})."
    )


def _folders_near(file: Path, kind: str) -> list[Path]:
    near = [file.with_suffix(""), *(file.parent / name for name in _FOLDERS)]
    if kind == "t5":
        near += [parent / _IN_COMFYUI for parent in file.absolute().parents if (parent / _IN_COMFYUI).is_dir()]
    return near


def _tokenizer_beside(folder: Path) -> Path:
    """The tokenizer folder of a pipeline's text encoder."""
    for candidate in (folder.parent / "tokenizer", folder):
        if (candidate / "tokenizer.json").is_file() or (candidate / "spiece.model").is_file():
            return candidate
    raise WeightsError(
        f"{folder.parent} has no tokenizer: neither tokenizer.json nor spiece.model is in {folder.parent / 'tokenizer'}."
    )


def _folder_tokenizer(folder: Path) -> tuple[Callable[[str], list[int]], bytes]:
    if not (folder / "tokenizer.json").is_file():
        content = (folder / "spiece.model").read_bytes()
        return sentencepiece_ids(content, str(folder / "spiece.model")), content
    content = (folder / "tokenizer.json").read_bytes()
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # tokenizers raises nothing more specific
        raise WeightsError(f"{folder / 'tokenizer.json'} cannot be read ({error}).") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda prompt: tokenizer.encode(prompt).ids, content


def sentencepiece_ids(content: bytes, name: str) -> Callable[[str], list[int]]:
    """prompt -> ids that end with the end-of-sentence token, by a SentencePiece model, as ComfyUI does it.

    Names of control tokens in a prompt (``</s>``) are read letter by letter.

    Args:
        content: the model file (``spiece.model``, or the tensor in ComfyUI's umt5 files).
        name: what error messages call it.

    Raises:
        WeightsError: it is damaged, or has no end-of-sentence token.
    """
    try:
        if not content:
            raise RuntimeError("it is empty")
        processor = SentencePieceProcessor(model_proto=content, add_eos=True)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{name}: its tokenizer is damaged ({error}). Copy or download the file again.") from error
    if processor.eos_id() < 0:
        raise WeightsError(f"{name}: its tokenizer has no end-of-sentence token, which T5 and umt5 end a prompt with.")
    return processor.encode


def _identity(files: WeightFiles, tokenizer: bytes, dtype: torch.dtype) -> str:
    tokens = hashlib.sha256(tokenizer).hexdigest()[:8]
    return f"t5-{files.identity()}-{tokens}-{MAX_TOKENS}-{str(dtype).removeprefix('torch.')}"
