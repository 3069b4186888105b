"""One safetensors file that holds a whole latent reward: weights, what they fit, and what was measured of them.

Format ``videoalign.latent_reward`` version 1. Metadata:

    format, version
    family            the trunk's family: wan, hunyuan-video, ltx-video
    trunk_config      JSON: diffusers configuration that rebuilds the trunk
    blocks            JSON: [blocks kept, blocks of the video model]
    dimensions        JSON: ["VQ", "MQ", "TA"], the order of the rewards
    head              JSON: ``HeadConfig``
    latent_format     JSON: name, channels, spatial_stride, temporal_stride of the latent space
    time_convention   ``TIME_CONVENTION``
    calibration       JSON: ``Calibration``: mean and std by dimension, accuracy and gradient scale by dimension and bin of sigma
    record            JSON: ``TrainingRecord``: data hash, text encoder, VAE, how it was trained

Tensors: ``network.*`` under diffusers' names, without the output layers, and ``heads.<dimension>.*``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from ...backbones.devices import chosen_device, fast_dtype
from ...backbones.loading import build_backbone
from ...backbones.meta_device import on_meta
from ...errors import CheckpointError, VideoAlignError
from ...files.json_text import parse_json
from ...files.safetensors_header import read_header
from ...files.tensor_file import load_described, save_tensors
from ..dimensions import DIMENSIONS
from .calibration import Calibration
from .heads import HeadConfig
from .latent_reward import LatentReward, TrainingRecord

FORMAT, VERSION = "videoalign.latent_reward", "1"
# Part of the format, in the paper's letters: files are compared with it word for word.
TIME_CONVENTION = "x_t = (1 - t) x_0 + t noise; t = sigma in [0, 1], 0 clean, 1 noise"
MAKE_ONE = "Make one with: videoalign train latent-reward"


def save_latent_reward(
    path: Path | str,
    reward: LatentReward,
    dtype: torch.dtype = torch.bfloat16,
    state: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a latent reward, whole or not at all.

    Args:
        dtype: of the stored weights.
        state: weights to write in place of the model's own (with adapters merged, say), under its names.

    Raises:
        CheckpointError: it was not calibrated, or the file cannot be written; an existing file is untouched.
    """
    if reward.calibration is None:
        raise CheckpointError("a latent reward is saved with its calibration; measure it first.")
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "family": reward.trunk.name,
        "trunk_config": json.dumps(dict(reward.trunk.config)),
        "blocks": json.dumps([len(reward.trunk.blocks), reward.trunk.total_blocks]),
        "dimensions": json.dumps(DIMENSIONS),
        "head": json.dumps(reward.head_config.to_dict()),
        "latent_format": json.dumps(asdict(reward.trunk.latent_format)),
        "time_convention": TIME_CONVENTION,
        "calibration": json.dumps(reward.calibration.to_dict()),
        "record": json.dumps(reward.record.to_dict()),
    }
    weights = dict(reward.state_dict() if state is None else state)
    unused = _output_layers(reward)
    tensors = {
        name: weight.detach().to("cpu", dtype).contiguous() for name, weight in weights.items() if name not in unused
    }
    save_tensors(path, tensors, metadata, CheckpointError)


def load_latent_reward(
    path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> LatentReward:
    """Read a latent reward; its weights are ordinary tensors that need no gradient, also under inference mode.

    Args:
        dtype: of the trunk; by default bfloat16 where the device computes in it (float16's range does not hold its gradients) and float32
            elsewhere. Heads are always float32.

    Raises:
        CheckpointError: the file is missing, truncated, of another kind, or does not fit its own description.
    """
    device = chosen_device(device)
    with torch.inference_mode(False):
        metadata, stored = load_described(path, CheckpointError, FORMAT, VERSION, "a latent reward", MAKE_ONE)
        # copies: kernels may round differently where a file's mapping happens to lie
        tensors = {name: tensor.to(torch.float32, copy=True) for name, tensor in stored.items()}
        try:
            reward = _described(metadata)
        except CheckpointError as error:
            raise CheckpointError(f"{path} is damaged: {error} Train or download it again.") from None
        except VideoAlignError as error:
            raise CheckpointError(f"{path} cannot be used: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged: its description cannot be read ({error!r}). Train or download it again."
            ) from None
        _fill(reward, tensors, path)
        _convert(reward.network, dtype or fast_dtype(device))
        return reward.to(device).requires_grad_(False).eval()


def describe_latent_reward(path: Path | str) -> LatentReward:
    """What ``load_latent_reward`` gives, on the meta device: no tensors are read.

    Raises:
        CheckpointError: the file is missing, truncated, of another kind, or its description cannot be read.
    """
    with torch.inference_mode(False):
        header = read_header(path, CheckpointError)
        if header.metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path} is not a latent reward. {MAKE_ONE}")
        try:
            reward = _described(header.metadata)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: its description cannot be read ({error!r}).") from None
        return reward.requires_grad_(False).eval()


def _described(metadata: Mapping[str, str]) -> LatentReward:
    """The reward that the metadata describes, without weights."""
    if parse_json(metadata["dimensions"]) != list(DIMENSIONS):
        raise CheckpointError(f"it rates {metadata['dimensions']}; expected {list(DIMENSIONS)}.")
    if metadata["time_convention"] != TIME_CONVENTION:
        raise CheckpointError(f"its time convention is '{metadata['time_convention']}', not '{TIME_CONVENTION}'.")
    kept, total = parse_json(metadata["blocks"])
    head = HeadConfig(**parse_json(metadata["head"]))
    record = TrainingRecord(**parse_json(metadata["record"]))
    calibration = Calibration.from_dict(parse_json(metadata["calibration"]))
    with on_meta():
        trunk = build_backbone(metadata["family"], parse_json(metadata["trunk_config"]))
        reward = LatentReward(trunk, head, calibration, record)
    if len(trunk.blocks) != kept:
        raise CheckpointError(f"it says that {kept} blocks are kept, and its configuration has {len(trunk.blocks)}.")
    trunk.total_blocks = total
    stated, expected = parse_json(metadata["latent_format"]), asdict(trunk.latent_format)
    if stated != expected:
        raise CheckpointError(f"its latent format is {stated}, but a {metadata['family']} trunk reads {expected}.")
    return reward


def _fill(reward: LatentReward, tensors: dict[str, Tensor], path: Path | str) -> None:
    unused = _output_layers(reward)
    expected = {name: tensor.shape for name, tensor in reward.state_dict().items() if name not in unused}
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        what = f"tensor {missing[0]} is missing" if missing else f"tensor {unknown[0]} is none of a latent reward's"
        raise CheckpointError(
            f"{path} is damaged: {what} ({len(missing)} missing, {len(unknown)} unknown). Train or download it again."
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise CheckpointError(
                f"{path} is damaged: {name} is {list(tensors[name].shape)}, its description says {list(shape)}. Train or download it again."
            )
    shapes = {name: parameter.shape for name, parameter in reward.named_parameters()}
    empty = {name: torch.zeros(shapes[name], dtype=torch.float32) for name in unused}
    reward.load_state_dict({**tensors, **empty}, assign=True)


def _convert(network: nn.Module, dtype: torch.dtype) -> None:
    """The trunk in ``dtype``, but for what diffusers keeps in float32 (time embedding, norms)."""
    kept = set(getattr(network, "_keep_in_fp32_modules", None) or ())
    for name, parameter in network.named_parameters():
        if not kept.intersection(name.split(".")):
            parameter.data = parameter.data.to(dtype)


def _output_layers(reward: LatentReward) -> set[str]:
    """Names of the weights that a reward does not use."""
    unused = {id(parameter) for parameter in reward.trunk.head_parameters}
    return {name for name, parameter in reward.named_parameters() if id(parameter) in unused}
