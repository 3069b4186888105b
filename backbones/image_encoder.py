"""CLIP's vision tower as Wan 2.1 I2V uses it: the tokens before its last layer, of the whole picture squeezed to a square.

The weights are ViT-H/14 of open_clip, in transformers' names: ComfyUI's clip_vision_h.safetensors, or the folder
image_encoder of a diffusers pipeline. Numbers are those of ComfyUI's CLIPVisionEncode with crop "none". (Wan's own code
shrinks the picture without antialiasing, which differs for large pictures.)
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WeightsError
from .meta_device import on_meta
from .pretrained_folder import folder_config, pretrained
from .weight_files import WeightFiles, fill_module, open_weights

_HEADS = 16  # of ViT-H; no tensor tells
_CLASS, _PATCHES = "embeddings.class_embedding", "embeddings.patch_embedding.weight"
_POSITIONS, _WIDE = "embeddings.position_embedding.weight", "encoder.layers.0.mlp.fc1.weight"
_TOWER = "vision_model."
_UNUSED = ("visual_projection.", "logit_scale", "text_model.", "text_projection.")  # of a CLIP beside its vision tower
_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the pictures that CLIP was trained on, as is the deviation
_STD = (0.26862954, 0.26130258, 0.27577711)


class ImageEncoder:
    """A CLIP vision tower.

    Attributes:
        module: transformers' CLIPVisionModel, frozen.
        identity: names everything that the result depends on, for cache keys.
    """

    def __init__(self, module: nn.Module, identity: str) -> None:
        self.module, self.identity = module.eval().requires_grad_(False), identity

    @property
    def width(self) -> int:
        """D of the tokens."""
        return self.module.config.hidden_size

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Tokens [B, L, D] float32, on the CPU, of pictures [B, 3, H, W] in -1..1; L is 257, the class token first."""
        pixels = clip_pixels(images, self.module.config.image_size).to(self.module.device, self.module.dtype)
        states = self.module(pixel_values=pixels, output_hidden_states=True).hidden_states
        return states[-2].float().cpu()


def clip_pixels(images: Tensor, size: int = 224) -> Tensor:
    """CLIP's input [B, 3, size, size] of pictures [B, 3, H, W] in -1..1: squeezed, not cropped, and rounded to 8 bits."""
    images = (images.float() + 1) / 2
    if images.shape[2:] != (size, size):
        images = nn.functional.interpolate(images, size=(size, size), mode="bicubic", antialias=True)
    images = (images * 255).clamp(0, 255).round() / 255
    mean, std = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in (_MEAN, _STD))
    return (images - mean) / std


def load_image_encoder(
    path: Path | str, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> ImageEncoder:
    """Load a CLIP vision tower.

    Args:
        path: a .safetensors file in transformers' names (ComfyUI's clip_vision_h.safetensors), or a diffusers folder: the
            pipeline's, or its ``image_encoder``.

    Raises:
        WeightsError: nothing there, damaged, or not such a tower; the message says what to give.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModel

    path = Path(path)
    identity = image_encoder_identity(path, dtype)
    with torch.inference_mode(False), torch.no_grad():
        if path.is_dir():
            return ImageEncoder(pretrained(CLIPVisionModel, _folder(path), dtype).to(device), identity)
        files = open_weights(path)
        names = _tower_names(files)
        config = CLIPVisionConfig(**_described(files, names))
        with on_meta():
            module = CLIPVisionModel(config)
        # transformers 5 names the tower's tensors without the prefix, earlier versions with it.
        state = {
            name: files.read(names[name.removeprefix(_TOWER)], dtype)
            for name in module.state_dict()
            if name.removeprefix(_TOWER) in names
        }
        fill_module(module, state, files.name)
        embeddings = getattr(module, "vision_model", module).embeddings
        embeddings.position_ids = torch.arange(embeddings.num_positions)[None]  # not in the file: computed
        return ImageEncoder(module.to(device), identity)


def image_encoder_identity(path: Path | str, dtype: torch.dtype = torch.float32) -> str:
    """What ``load_image_encoder(...).identity`` would be, without loading the weights.

    Raises:
        WeightsError: as ``load_image_encoder``.
    """
    path = Path(path)
    files = open_weights(_folder(path), "model") if path.is_dir() else open_weights(path)
    if not path.is_dir():
        _described(files, _tower_names(files))
    return f"clip-{files.identity()}-{str(dtype).removeprefix('torch.')}"


def _folder(path: Path) -> Path:
    """The pipeline's image_encoder, or the folder itself if it is one."""
    folder = path / "image_encoder" if (path / "image_encoder").is_dir() else path
    kind = folder_config(folder).get("model_type")
    if kind not in ("clip_vision_model", "clip"):
        raise WeightsError(
            f"{folder} holds a '{kind}'; expected the CLIP vision model of Wan 2.1 I2V. Give the folder image_encoder of "
            "its diffusers pipeline, or ComfyUI's clip_vision_h.safetensors."
        )
    return folder


def _tower_names(files: WeightFiles) -> dict[str, str]:
    """Name in the tower -> name in the file."""
    names = {key.removeprefix(_TOWER): key for key in files.shapes if not key.startswith(_UNUSED)}
    names.pop("embeddings.position_ids", None)
    return names


def _described(files: WeightFiles, names: dict[str, str]) -> dict:
    """transformers' configuration, from the tensors' shapes."""
    missing = [name for name in (_CLASS, _PATCHES, _POSITIONS, _WIDE) if name not in names]
    if missing:
        raise WeightsError(
            f"{files.name} is not a CLIP vision model in transformers' names ({missing[0]} is missing). Give ComfyUI's "
            "clip_vision_h.safetensors, or the folder image_encoder of a diffusers pipeline."
        )
    (width,), patch, positions, wide = (files.shapes[names[name]] for name in (_CLASS, _PATCHES, _POSITIONS, _WIDE))
    layers = 1 + max(int(name.split(".")[2]) for name in names if name.startswith("encoder.layers."))
    return {
        "hidden_size": width, "intermediate_size": wide[0], "num_hidden_layers": layers, "num_attention_heads": _HEADS,
        "patch_size": patch[-1], "image_size": patch[-1] * math.isqrt(positions[0] - 1), "hidden_act": "gelu",
    }  # fmt: skip
