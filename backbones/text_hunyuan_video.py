"""HunyuanVideo's text encoders: LLaVA-LLaMA-3 behind a fixed instruction, and CLIP-L, from a diffusers folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .hunyuan_video_family import HUNYUAN_VIDEO
from .pretrained_folder import encoder_folder, pretrained
from .text_encoder import TextEncoder
from .weight_files import open_weights

MAX_TOKENS = HUNYUAN_VIDEO.text_tokens  # of the prompt, without the instruction
SKIPPED_LAYERS = 2  # the states are those before the last two layers
CLIP_TOKENS = 77
# The instruction that HunyuanVideo was trained with (diffusers has the same); the states of its tokens are cut off.
TEMPLATE = (
    "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following aspects: "
    "1. The main content and theme of the video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
)
INSTRUCTION = TEMPLATE[: TEMPLATE.index("{}")]


class HunyuanVideoTextEncoder(TextEncoder):
    """LLaMA and CLIP with their tokenizers (transformers').

    Attributes:
        crop: tokens of the instruction, 95 with the released tokenizer.
    """

    model_types = ("llama", "llava")
    titles = ("llama (HunyuanVideo)",)

    def __init__(self, llama: nn.Module, clip: nn.Module, tokenizer, clip_tokenizer, identity: str) -> None:
        self.llama, self.clip = (module.eval().requires_grad_(False) for module in (llama, clip))
        self.tokenizer, self.clip_tokenizer, self.identity = tokenizer, clip_tokenizer, identity
        self.crop = len(tokenizer(INSTRUCTION)["input_ids"])

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return self.llama, self.clip

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """See ``TextEncoder``."""
        return tuple(self.llama.layers)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> list[dict[str, Tensor]]:
        """{"text": [L, 4096] (L up to 256), "pooled": [768]} a prompt, on the CPU."""
        return [self._encode(prompt) for prompt in prompts]

    def _encode(self, prompt: str) -> dict[str, Tensor]:
        prompt = prompt.strip()  # a leading line break would merge with the instruction's last token
        # One by one and unpadded: what an attention mask gives in a padded batch, without depending on the batch.
        ids = self.tokenizer(TEMPLATE.format(prompt), truncation=True, max_length=MAX_TOKENS + self.crop)["input_ids"]
        tokens = torch.tensor([ids], device=self.llama.device)
        states = self.llama(input_ids=tokens, output_hidden_states=True).hidden_states[-(SKIPPED_LAYERS + 1)]
        words = self.clip_tokenizer(prompt, padding="max_length", truncation=True, max_length=CLIP_TOKENS)["input_ids"]
        pooled = self.clip(input_ids=torch.tensor([words], device=self.clip.device)).pooler_output
        return {"text": states[0, self.crop :].cpu().contiguous(), "pooled": pooled[0].cpu()}

    @classmethod
    def from_folder(cls, path: Path, dtype: torch.dtype, device: torch.device | str) -> HunyuanVideoTextEncoder:
        """From a pipeline folder with text_encoder, text_encoder_2, tokenizer and tokenizer_2.

        Raises:
            WeightsError: one of them is missing or cannot be read.
        """
        from transformers import AutoModel, AutoTokenizer, CLIPTextModel

        first, second = encoder_folder(path), encoder_folder(path, "text_encoder_2")
        root = second.parent
        try:
            llama = pretrained(AutoModel, first, dtype)
            llama = getattr(llama, "language_model", llama)  # a whole LLaVA: the pictures' half is not needed
            clip = pretrained(CLIPTextModel, second, dtype)
            tokenizers = [
                AutoTokenizer.from_pretrained(root / name, local_files_only=True, trust_remote_code=False)
                for name in ("tokenizer", "tokenizer_2")
            ]
        except (OSError, ValueError) as error:
            raise WeightsError(
                f"{root}: its text encoders cannot be loaded ({error}). The folder must have text_encoder, text_encoder_2, "
                "tokenizer and tokenizer_2."
            ) from error
        return cls(llama.to(device), clip.to(device), *tokenizers, cls.identity_of_folder(path, dtype))

    @classmethod
    def identity_of_folder(cls, path: Path, dtype: torch.dtype) -> str:
        """Weights of both encoders, their tokenizers, the instruction and type."""
        first, second = encoder_folder(path), encoder_folder(path, "text_encoder_2")
        digest = hashlib.sha256(f"{TEMPLATE}{MAX_TOKENS}{SKIPPED_LAYERS}".encode())
        for folder in (first, second):
            digest.update(open_weights(folder, "model").identity().encode())
        for name in ("tokenizer", "tokenizer_2"):
            for file in sorted((second.parent / name).glob("*")):
                if file.is_file():
                    digest.update(file.name.encode() + file.read_bytes())
        return f"hunyuan-video-{digest.hexdigest()[:16]}-{str(dtype).removeprefix('torch.')}"
