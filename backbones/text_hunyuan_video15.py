"""HunyuanVideo 1.5's text encoders: Qwen2.5-VL 7B behind a fixed instruction, and glyph ByT5 for what a prompt quotes.

In ComfyUI these are two files (*DualCLIPLoader*); here they are given as ``qwen_2.5_vl_7b.safetensors+byt5_small_glyphxl_fp16.safetensors``.
The instruction is ComfyUI's: diffusers has the same words with more blanks between them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .hunyuan_video15_family import HUNYUAN_VIDEO15
from .pretrained_folder import encoder_folder, pretrained
from .qwen_text import qwen, qwen_tokenizer, tokenizer_near
from .text_encoder import TextEncoder
from .text_t5 import described, t5_encoder
from .weight_files import WeightFiles, open_weights

MAX_TOKENS, MAX_GLYPHS = HUNYUAN_VIDEO15.text_tokens, 256
SKIPPED_LAYERS = 2  # the states are those before the last two layers
_BYTES_FROM, _END = 3, 1  # ByT5's ids: a byte plus 3; of the end
# The instruction that HunyuanVideo 1.5 was trained with; the states of its tokens are cut off.
INSTRUCTION = (
    "<|im_start|>system\nYou are a helpful assistant. Describe the video by detailing the following aspects:\n"
    "1. The main content and theme of the video.\n"
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects.\n"
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects.\n"
    "4. background environment, light, style and atmosphere.\n"
    "5. camera angles, movements, and transitions used in the video.<|im_end|>\n<|im_start|>user\n"
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n"
_QUOTED = (r"\"(.*?)\"", "\u2018(.*?)\u2019", "\u201c(.*?)\u201d")
_QWEN, _BYT5 = "model.layers.0.self_attn.q_proj.bias", "encoder.block.0.layer.0.SelfAttention.q.weight"


class HunyuanVideo15TextEncoder(TextEncoder):
    """Qwen with its tokenizer, and ByT5, which reads bytes.

    Args:
        language: transformers' Qwen2 or Qwen2.5-VL text model.
        byt5: transformers' T5 encoder.
        tokenizer: transformers', of Qwen.
        identity: for cache keys.
    """

    model_types = ("qwen2_5_vl", "qwen2_5_vl_text")
    titles = ("qwen2_5_vl (HunyuanVideo 1.5)",)
    file_titles = ("Qwen2.5-VL with glyph ByT5, QWEN+BYT5 (HunyuanVideo 1.5)",)

    def __init__(self, language: nn.Module, byt5: nn.Module, tokenizer, identity: str) -> None:
        self.language, self.byt5 = (module.eval().requires_grad_(False) for module in (language, byt5))
        self.tokenizer, self.identity = tokenizer, identity
        self.crop = len(tokenizer(INSTRUCTION)["input_ids"])

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return self.language, self.byt5

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return tuple(self.language.layers)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """{"text": [L, 3584], "glyphs": [L', 1472]} a prompt, on the CPU; L' is 0 where the prompt quotes nothing.

        One by one and unpadded. Beyond 1000 tokens of the prompt and 256 bytes of the quotations everything is cut off.
        """
        return [{"text": self._text(prompt), "glyphs": self._glyphs(prompt)} for prompt in prompts]

    def _text(self, prompt: str) -> Tensor:
        # A leading line break would merge with the instruction's; an empty text is a blank, as in ComfyUI.
        ids = self.tokenizer(f"{INSTRUCTION}{prompt.strip() or ' '}{AFTER}")["input_ids"][: self.crop + MAX_TOKENS]
        tokens = torch.tensor([ids], device=self.language.device)
        states = self.language(input_ids=tokens, output_hidden_states=True, use_cache=False).hidden_states
        return states[-(SKIPPED_LAYERS + 1)][0, self.crop :].cpu().contiguous()

    def _glyphs(self, prompt: str) -> Tensor:
        ids = glyph_ids(prompt)
        if not ids:
            return torch.zeros(0, self.byt5.config.d_model, dtype=self.byt5.dtype)
        return self.byt5(input_ids=torch.tensor([ids], device=self.byt5.device)).last_hidden_state[0].cpu()

    # -- loading ---------------------------------------------------------------------------------------------------------
    @classmethod
    def recognises(cls, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Qwen2.5's queries have a bias, and are not normalised."""
        return _QWEN in shapes and "model.layers.0.self_attn.q_norm.weight" not in shapes

    @classmethod
    def from_file(
        cls, files: WeightFiles, dtype: torch.dtype, device: torch.device | str, tokenizer: Path | str | None = None
    ) -> HunyuanVideo15TextEncoder:
        """From ComfyUI's files; configurations are derived from the tensors' shapes.

        Raises:
            WeightsError: damaged, or ByT5 or the tokenizer is in none of them.
        """
        identity = cls.identity_of_file(files, dtype, tokenizer)
        words = qwen_tokenizer(tokenizer_near(files, tokenizer))
        return cls(qwen(files, dtype).to(device), t5_encoder(files, dtype).to(device), words, identity)

    @classmethod
    def identity_of_file(cls, files: WeightFiles, dtype: torch.dtype, tokenizer: Path | str | None = None) -> str:
        """Weights, tokenizer, instruction and type."""
        if _BYT5 not in files.shapes:
            raise WeightsError(
                f"{files.name} is Qwen2.5-VL alone. HunyuanVideo 1.5 has a second text encoder for what a prompt quotes, glyph ByT5: give it "
                f"as well, {files.paths[0].name}+byt5_small_glyphxl_fp16.safetensors."
            )
        described(files)
        return _identity(files.identity(), tokenizer_near(files, tokenizer), dtype)

    @classmethod
    def from_folder(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> HunyuanVideo15TextEncoder:
        """From a pipeline folder with text_encoder, text_encoder_2 and tokenizer; ByT5 needs none.

        Raises:
            WeightsError: one of them is missing or cannot be read.
        """
        import transformers

        first, second = encoder_folder(path), encoder_folder(path, "text_encoder_2")
        try:
            language = pretrained(transformers.AutoModel, first, dtype)
            language = getattr(language, "language_model", language)  # without its eyes
            byt5 = pretrained(transformers.T5EncoderModel, second, dtype)
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{second.parent}: its text encoders cannot be loaded ({error}). The folder must have text_encoder, text_encoder_2 and tokenizer."
            ) from error
        words = qwen_tokenizer(second.parent / "tokenizer")
        return cls(language.to(device), byt5.to(device), words, cls.identity_of_folder(path, dtype))

    @classmethod
    def identity_of_folder(cls, path: Path, dtype: torch.dtype) -> str:
        """Weights of both encoders, the tokenizer, the instruction and type."""
        first, second = encoder_folder(path), encoder_folder(path, "text_encoder_2")
        weights = open_weights(first, "model").identity() + open_weights(second, "model").identity()
        return _identity(weights, second.parent / "tokenizer", dtype)


def glyph_ids(prompt: str) -> list[int]:
    """ByT5's tokens of all that a prompt quotes; none where it quotes nothing."""
    quoted = [text for pattern in _QUOTED for text in re.findall(pattern, prompt)]
    if not quoted:
        return []
    told = "".join(f'Text "{text}". ' for text in quoted)
    return [*(byte + _BYTES_FROM for byte in told.encode()), _END][:MAX_GLYPHS]


def _identity(weights: str, tokenizer: Path, dtype: torch.dtype) -> str:
    digest = hashlib.sha256(f"{weights}{INSTRUCTION}{AFTER}{MAX_TOKENS}{MAX_GLYPHS}{SKIPPED_LAYERS}".encode())
    for file in sorted(tokenizer.glob("*")):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return f"hunyuan-video-1.5-{digest.hexdigest()[:16]}-{str(dtype).removeprefix('torch.')}"
