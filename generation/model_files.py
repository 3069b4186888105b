"""Which files a video model's parts are; nothing of them is read."""

from __future__ import annotations

from pathlib import Path

from ..backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from ..errors import VideoAlignError

MICRO = "micro"


def model_files(model: str, vae: str | None, text_encoder: str | None) -> tuple[str, str, str]:
    """Network, VAE and text encoder: "micro" stands for the embedded ones; a diffusers folder holds all three.

    Raises:
        VideoAlignError: a part is not given and not in the model's folder.
    """
    if model == MICRO:
        return str(MICRO_NETWORK), vae or str(MICRO_VAE), text_encoder or MICRO
    folder = Path(model)
    missing = []
    if vae is None and (folder / "vae").is_dir():
        vae = str(folder / "vae")
    elif vae is None:
        missing.append("--vae")
    if text_encoder is None and (folder / "text_encoder").is_dir():
        text_encoder = model
    elif text_encoder is None:
        missing.append("--text-encoder")
    if missing:
        raise VideoAlignError(
            f"{model} holds the network alone; give {' and '.join(missing)} as well (a file or a diffusers folder)."
        )
    return model, vae, text_encoder


def image_encoder_file(model: str, image_encoder: str | None) -> str | None:
    """The image encoder: as given, or the one in a diffusers folder."""
    folder = Path(model) / "image_encoder"
    return image_encoder or (str(folder) if folder.is_dir() else None)
