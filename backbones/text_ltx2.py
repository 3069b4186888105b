"""LTX-2's text encoder: Gemma 3 12B, and the projection and the connector that belong to the network's checkpoint.

In ComfyUI these are two files (*LTXV Audio Text Encoder Loader*), Gemma's and the checkpoint; here they are given as
``gemma_3_12B_it.safetensors+ltx-2-19b-dev.safetensors``. Of the checkpoint nothing but these parts is read.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceProcessor
from torch import Tensor, nn

from ..errors import WeightsError
from ..files.safetensors_header import read_header
from .ltx2 import described
from .ltx2_family import LTX2
from .ltx2_text_features import LTX2TextFeatures, described_in_file, described_in_folder
from .meta_device import on_meta
from .pretrained_folder import encoder_folder, folder_config, pretrained
from .text_encoder import TextEncoder
from .weight_files import WeightFiles, configured, fill_module, open_weights

MAX_TOKENS = LTX2.text_tokens
_EMBEDDED = "spiece_model"  # ComfyUI's name for a tokenizer inside a file
_NOT_READ = ("vision_model.", "multi_modal_projector.")  # Gemma's eyes
_SIGNS = ("model.layers.0.pre_feedforward_layernorm.weight", "model.layers.0.self_attn.q_norm.weight")
_EVERY = 6  # each sixth layer sees all tokens, the others the last 1024


class LTX2TextEncoder(TextEncoder):
    """Gemma's text model, what LTX-2 makes of its states, and its tokenizer.

    Args:
        gemma: transformers' ``Gemma3TextModel``.
        tokenize: prompt -> ids, begun by the token of a text's beginning.
        identity: for cache keys.
    """

    model_types = ("gemma3", "gemma3_text")
    titles = ("gemma3 (LTX-2)",)
    file_titles = ("Gemma 3 with an LTX-2 checkpoint, GEMMA+CHECKPOINT (LTX-2)",)

    def __init__(
        self, gemma: nn.Module, features: LTX2TextFeatures, tokenize: Callable[[str], list[int]], identity: str
    ) -> None:
        self.gemma, self.features = (module.eval().requires_grad_(False) for module in (gemma, features))
        self.tokenize, self.identity = tokenize, identity

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return self.gemma, self.features

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return tuple(self.gemma.layers)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """{"text": [1024, 3840 (2.0) or 4096 (2.3)]} a prompt, on the CPU; what goes beyond 1024 tokens is cut off.

        One by one and unpadded: ComfyUI pads before the text and masks that, which is the same.
        """
        return [{"text": self._encode(prompt).cpu()} for prompt in prompts]

    def _encode(self, prompt: str) -> Tensor:
        ids = torch.tensor([self.tokenize(prompt)[:MAX_TOKENS]], device=self.gemma.device)
        states = self.gemma(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        return self.features(torch.stack([state[0] for state in states], dim=-1))

    # -- loading ---------------------------------------------------------------------------------------------------------
    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Gemma 3 normalises before and after its MLPs, and its queries."""
        return all(sign in shapes for sign in _SIGNS)

    @classmethod
    def from_file(
        cls, files: WeightFiles, dtype: torch.dtype, device: torch.device | str, tokenizer: Path | str | None = None
    ) -> LTX2TextEncoder:
        """From ComfyUI's files; configurations are derived from the tensors' shapes.

        Raises:
            WeightsError: damaged, or the projection, the connector or the tokenizer is in none of them.
        """
        config, names = _features(files)
        with configured(files.name), on_meta():
            features = LTX2TextFeatures(**config)
        fill_module(features, {name: files.read(theirs, dtype) for name, theirs in names.items()}, files.name)
        with configured(files.name):
            gemma = _gemma(files.shapes)
        fill_module(gemma, {name: files.read(f"model.{name}", dtype) for name in gemma.state_dict()}, files.name)
        tokenize, tokens = _file_tokenizer(files, tokenizer)
        return cls(gemma.to(device), features.to(device), tokenize, _identity(files.identity(), tokens, dtype))

    @classmethod
    def identity_of_file(cls, files: WeightFiles, dtype: torch.dtype, tokenizer: Path | str | None = None) -> str:
        """Weights, tokenizer and type."""
        _features(files)
        return _identity(files.identity(), _file_tokenizer(files, tokenizer)[1], dtype)

    @classmethod
    def from_folder(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> LTX2TextEncoder:
        """From a pipeline's folder with text_encoder, tokenizer and connectors.

        Raises:
            WeightsError: one of them is missing or cannot be read.
        """
        import transformers

        folder = encoder_folder(path)
        kind = {"gemma3": "Gemma3ForConditionalGeneration"}.get(folder_config(folder)["model_type"], "Gemma3TextModel")
        try:
            whole = pretrained(getattr(transformers, kind), folder, dtype)
        except (OSError, ValueError) as error:
            raise WeightsError(f"{folder}: it cannot be loaded ({error}). Download it again.") from error
        gemma = next(module for module in whole.modules() if isinstance(module, transformers.Gemma3TextModel))
        files, told = _connectors_of(folder)
        try:
            config, names = described_in_folder(files.shapes, told)
        except KeyError as error:
            raise WeightsError(f"{files.name}: tensor {error} is missing; the folder is incomplete.") from None
        with configured(files.name), on_meta():
            features = LTX2TextFeatures(**config)
        fill_module(features, {name: files.read(theirs, dtype) for name, theirs in names.items()}, files.name)
        tokenize, _ = _folder_tokenizer(folder.parent / "tokenizer")
        return cls(gemma.to(device), features.to(device), tokenize, cls.identity_of_folder(path, dtype))

    @classmethod
    def identity_of_folder(cls, path: Path, dtype: torch.dtype) -> str:
        """Weights of Gemma and of the connectors, tokenizer and type."""
        folder = encoder_folder(path)
        weights = open_weights(folder, "model").identity() + _connectors_of(folder)[0].identity()
        return _identity(weights, _folder_tokenizer(folder.parent / "tokenizer")[1], dtype)


def _features(files: WeightFiles) -> tuple[dict[str, Any], dict[str, str]]:
    """Arguments and tensors' names of the features.

    Raises:
        WeightsError: no file has them.
    """
    transformer: dict[str, Any] = {}
    for path in files.paths:
        try:
            transformer = transformer or described(read_header(path, WeightsError).metadata)
        except ValueError as error:
            raise WeightsError(f"{path}: its metadata cannot be understood ({error}).") from None
    found = described_in_file(files.shapes, transformer)
    if found is None:
        raise WeightsError(
            f"{files.name} is Gemma alone. LTX-2's projection and connector of the text are in its checkpoint (or in files of their own): "
            f"give them as well, {files.paths[0].name}+ltx-2-19b-dev.safetensors."
        )
    return found


def _gemma(shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """Gemma's text model on the meta device, its tables (of positions, of the embeddings' scale) real."""
    import transformers

    layer = "model.layers.0."
    head = shapes[f"{layer}self_attn.q_norm.weight"][0]
    vocabulary, width = shapes["model.embed_tokens.weight"]
    config = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes[f"{layer}mlp.gate_proj.weight"][0],
        "num_hidden_layers": 1 + max(int(name.split(".")[2]) for name in shapes if name.startswith("model.layers.")),
        "num_attention_heads": shapes[f"{layer}self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": shapes[f"{layer}self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "query_pre_attn_scalar": head,
    }
    with on_meta():
        module = transformers.Gemma3TextModel(_gemma_config(config))
    small = {
        "vocab_size": 1,
        "intermediate_size": 1,
        "num_hidden_layers": _EVERY,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
    }
    real = transformers.Gemma3TextModel(_gemma_config({**config, **small, "pad_token_id": 0}))
    for name, table in real.named_buffers():
        parent, _, leaf = name.rpartition(".")
        module.get_submodule(parent).register_buffer(leaf, table, persistent=False)
    return module


def _gemma_config(sizes: Mapping[str, Any]) -> Any:
    """transformers' configuration of a Gemma 3 of these sizes; what is the same in all is Gemma 3 12B's."""
    from transformers import Gemma3TextConfig

    near, far = {"rope_type": "default", "rope_theta": 1e4}, {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
    common = {"hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6, "sliding_window": 1024, **sizes}
    if "rope_parameters" in inspect.signature(Gemma3TextConfig.__init__).parameters:  # transformers 5
        layers = range(1, sizes["num_hidden_layers"] + 1)
        kinds = ["sliding_attention" if number % _EVERY else "full_attention" for number in layers]
        return Gemma3TextConfig(
            **common, layer_types=kinds, rope_parameters={"sliding_attention": near, "full_attention": far}
        )
    scaling = {"rope_type": "linear", "factor": far["factor"]}
    return Gemma3TextConfig(
        **common,
        rope_theta=far["rope_theta"],
        rope_local_base_freq=near["rope_theta"],
        rope_scaling=scaling,
        sliding_window_pattern=_EVERY,
    )


def _connectors_of(folder: Path) -> tuple[WeightFiles, dict[str, Any]]:
    """Weights and config.json of the connectors beside a pipeline's text encoder."""
    path = folder.parent / "connectors"
    if not path.is_dir():
        raise WeightsError(f"{folder.parent} has no folder connectors, which an LTX-2 pipeline has. Download it again.")
    return open_weights(path), folder_config(path)


def _file_tokenizer(files: WeightFiles, folder: Path | str | None) -> tuple[Callable[[str], list[int]], bytes]:
    """(tokenizer, the bytes that determine it): the given folder's, or the one inside Gemma's file."""
    if folder is not None:
        return _folder_tokenizer(Path(folder))
    if _EMBEDDED not in files.shapes:
        raise WeightsError(
            f"{files.name} carries no tokenizer ({_EMBEDDED}). Use the file that ComfyUI's template of LTX-2 downloads."
        )
    content = bytes(files.read(_EMBEDDED).to(torch.uint8).numpy())
    return _sentencepiece(content, files.name), content


def _folder_tokenizer(folder: Path) -> tuple[Callable[[str], list[int]], bytes]:
    """That of a pipeline: tokenizer.json, or tokenizer.model."""
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        content = (folder / "tokenizer.json").read_bytes()
        try:
            tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        except Exception as error:  # tokenizers raises nothing more specific
            raise WeightsError(f"{folder / 'tokenizer.json'} cannot be read ({error}).") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return lambda prompt: tokenizer.encode(prompt).ids, content
    if not (folder / "tokenizer.model").is_file():
        raise WeightsError(f"{folder} has neither tokenizer.json nor tokenizer.model.")
    content = (folder / "tokenizer.model").read_bytes()
    return _sentencepiece(content, str(folder / "tokenizer.model")), content


def _sentencepiece(content: bytes, name: str) -> Callable[[str], list[int]]:
    try:
        if not content:
            raise RuntimeError("it is empty")
        processor = SentencePieceProcessor(model_proto=content, add_bos=True)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{name}: its tokenizer is damaged ({error}). Copy or download the file again.") from error
    if processor.bos_id() < 0:
        raise WeightsError(f"{name}: its tokenizer has no token for a text's beginning, which Gemma needs.")
    return processor.encode


def _identity(weights: str, tokenizer: bytes, dtype: torch.dtype) -> str:
    digest = hashlib.sha256(weights.encode() + hashlib.sha256(tokenizer).digest()).hexdigest()[:16]
    return f"ltx-2-{digest}-{MAX_TOKENS}-{str(dtype).removeprefix('torch.')}"
