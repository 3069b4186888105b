"""The families of video models that the program knows: the one list, and how more are added.

Classes are named here and loaded when one is asked for, so that whoever needs a fact alone loads no torch. The files named here
do not import this one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import VideoAlignError
from .family import Family
from .hunyuan_video15_family import HUNYUAN_VIDEO15
from .hunyuan_video_family import HUNYUAN_VIDEO
from .latent_format import LatentFormat
from .ltx2_family import LTX2
from .ltx_video_family import LTX_VIDEO
from .wan_family import WAN

if TYPE_CHECKING:
    from .backbone import Backbone
    from .text_encoder import TextEncoder
    from .vae import VAE


@dataclass(frozen=True)
class _Member:
    """A family with its classes, or with their names as ``file.Class`` in this folder.

    A VAE or a text encoder may serve several families.
    """

    family: Family
    backbone: str | type[Backbone]
    vaes: tuple[str | type[VAE], ...] = ()
    text_encoders: tuple[str | type[TextEncoder], ...] = ()


# In the order in which a file is shown to them: a variant that looks like another family stands before that one.
_MEMBERS = [
    _Member(WAN, "wan.Wan", ("vae_wan.WanVAE",), ("text_t5.T5TextEncoder",)),
    _Member(
        HUNYUAN_VIDEO15,
        "hunyuan_video15.HunyuanVideo15",
        ("vae_hunyuan_video15.HunyuanVideo15VAE",),
        ("text_hunyuan_video15.HunyuanVideo15TextEncoder",),
    ),
    _Member(
        HUNYUAN_VIDEO,
        "hunyuan_video.HunyuanVideo",
        ("vae_hunyuan_video.HunyuanVideoVAE",),
        ("text_hunyuan_video.HunyuanVideoTextEncoder",),
    ),
    _Member(LTX2, "ltx2.LTX2Video", ("vae_ltx2.LTX2VAE",), ("text_ltx2.LTX2TextEncoder",)),
    _Member(LTX_VIDEO, "ltx_video.LTXVideo", ("vae_ltx_video.LTXVideoVAE",), ("text_t5.T5TextEncoder",)),
]


def register_family(
    backbone: type[Backbone], vaes: Sequence[type[VAE]] = (), text_encoders: Sequence[type[TextEncoder]] = ()
) -> None:
    """Add a family that is not part of this program; files are shown to it before all others.

    Args:
        backbone: its network; ``backbone.family`` has its facts.
        vaes, text_encoders: what else belongs to it, where none of those that are known does.

    Raises:
        VideoAlignError: there is a family of that name.
    """
    family = backbone.family
    if family.name in family_names():
        raise VideoAlignError(f"There is already a family '{family.name}'; give yours another name.")
    _MEMBERS.insert(0, _Member(family, backbone, tuple(vaes), tuple(text_encoders)))


def families() -> list[Family]:
    """The facts of all families."""
    return [member.family for member in _MEMBERS]


def family_names() -> list[str]:
    """Names of all families."""
    return [family.name for family in families()]


def family(name: str) -> Family:
    """The facts of a family.

    Raises:
        VideoAlignError: there is no family of this name.
    """
    known = {family.name: family for family in families()}
    if name not in known:
        raise VideoAlignError(f"There is no family of video models '{name}'; known are {', '.join(known)}.")
    return known[name]


def comfyui_latent_formats() -> dict[str, LatentFormat]:
    """Name of a class in ComfyUI's ``comfy.latent_formats`` -> that latent space."""
    return {kind: space for family in families() for kind, space in family.latent_formats.items()}


def backbone_classes() -> dict[str, type[Backbone]]:
    """Name of a family -> its network's class."""
    return {member.family.name: _loaded(member.backbone) for member in _MEMBERS}


def vae_classes() -> list[type[VAE]]:
    """The classes of all VAEs."""
    return _all_loaded(kind for member in _MEMBERS for kind in member.vaes)


def text_encoder_classes() -> list[type[TextEncoder]]:
    """The classes of all text encoders."""
    return _all_loaded(kind for member in _MEMBERS for kind in member.text_encoders)


def _all_loaded(kinds: Iterable[str | type]) -> list[type]:
    return list(dict.fromkeys(map(_loaded, kinds)))


def _loaded(kind: str | type) -> type:
    if isinstance(kind, type):
        return kind
    file, _, name = kind.partition(".")
    return getattr(importlib.import_module(f".{file}", __package__), name)
