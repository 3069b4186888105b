"""What the rest of the program asks a family of video models, answered without loading torch or diffusers.

Each family has one ``Family`` in a file of its own (``wan_family.py``, ...); ``families.py`` is the list of them. What takes
torch is asked of the network's class (``backbone.Backbone``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .latent_format import LatentFormat
from .renaming import FileNames

GIVEN_ENTRIES: Mapping[str, str | None] = {"first_frame": None, "noise_mask": "denoise_mask"}
"""Of ``Family.conditioning``, where the networks take a time for each token (``given_frames.py``)."""


@dataclass(frozen=True)
class Family:
    """The facts of a family.

    Attributes:
        name: what files, configurations and the command line call it: ``wan``.
        title: what people call it: ``Wan``.
        implementation: address of its authors' code, for a LoRA's metadata.
        latent_formats: name of ComfyUI's class in ``comfy.latent_formats`` -> that latent space, for each that a member of
            the family samples. Where ComfyUI nests a video and another stream in one latent, the video's.
        conditioning: entries that its networks know (see conditioning.py) -> what ComfyUI calls them in ``model_conds``; None
            for those that it does not have.
        lora_layers: regular expression of the layers that a LoRA can change, by their whole names in ComfyUI's network: those
            with a tensor ``weight``.
        lora_others: regular expression of its other tensors (biases, tables of modulation), by their whole names; a LoRA file
            may hold differences of them.
        lora_signs: regular expression of beginnings of layer names that only this family has, with underscores for dots, in
            ComfyUI's naming and in diffusers': it tells whose a LoRA file is.
        text_tokens: the longest that a caption's embedding gets.
        lora_bare_names: whether ComfyUI's LoRA loader knows the layers without any prefix too.
        lora_alphas: whether its LoRA files hold an alpha beside A and B. diffusers' loader of some families takes a file with any for
            damaged; there B is written times alpha / rank, and alpha is the rank, as every loader assumes.
        file_names: the layers that its files call otherwise than ComfyUI's network; None where there are none.
    """

    name: str
    title: str
    implementation: str
    latent_formats: Mapping[str, LatentFormat]
    conditioning: Mapping[str, str | None]
    lora_layers: str
    lora_signs: str
    file_names: FileNames | None = None
    lora_others: str = r"(?!)"  # none
    text_tokens: int = 512
    lora_bare_names: bool = False
    lora_alphas: bool = True
