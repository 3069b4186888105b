"""Files of weights and training states for the fuzz: healthy ones, and the program's way of reading them; see ``fuzz_targets``."""

import inspect
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from videoalign.errors import WeightsError
from videoalign.files.safetensors_header import read_header

DATA = Path(__file__).resolve().parent / "data"
ROOT = DATA.parents[1]
OLD = DATA / "version_0_1_0"


def make_copy(*files):
    def make(folder, variant):
        file = files[variant]
        shutil.copy(file, folder / file.name)
        return folder / file.name

    return make, len(files)


def tiny_network():
    from videoalign.backbones.loading import load_backbone

    return load_backbone(OLD / "network", dtype=torch.float32)


def read_lora_file(path):
    from videoalign.lora.inspection import inspect_lora
    from videoalign.lora.reading import load_lora

    inspected = inspect_lora(path)
    weights = load_lora(path, tiny_network(), note=lambda text: None)
    return [inspected.ranks, {name: (lora.A, lora.B, lora.alpha) for name, lora in weights.items()}]


def make_latent_reward(folder, variant):
    shutil.copy(OLD / "latent_reward" / "latent_reward.safetensors", folder / "r.safetensors")
    return folder / "r.safetensors"


def read_latent_reward(path):
    from videoalign.reward.latent.reward_file import load_latent_reward

    reward = load_latent_reward(path)
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(1, reward.trunk.latent_format.channels, 3, 4, 6, generator=generator)
    text = {"text": torch.randn(1, 5, reward.trunk.config["text_dim"], generator=generator)}
    with torch.no_grad():
        return reward.rewards(x_t, torch.tensor([0.5]), text), reward.calibration.to_dict()


def read_video_reward(path):
    return scores_by(path)


def scores_by(source, base=None):
    from videoalign.judges import JudgeOptions
    from videoalign.judges.videoreward import open_judge
    from videoalign.reward.scoring_stream import score_clips

    reward = open_judge(str(source), JudgeOptions(device="cpu", dtype="float32", base=base))
    (scores,) = score_clips(reward, [OLD / "videos" / "000004_B.mp4"], ["a red ball"])
    return scores.to_dict()


def make_official(folder, variant):
    source = DATA / "videoreward" / "checkpoints" / "ckpt_dim3"
    shutil.copytree(source, folder / "ckpt")
    shutil.copytree(source.with_name("base"), folder / "base")
    kinds = [
        "model_config.json",
        "checkpoint-900/non_lora_state_dict.pth",
        "checkpoint-900/adapter_model.safetensors",
        "checkpoint-900/adapter_config.json",
    ]
    files = [folder / "ckpt" / name for name in kinds if (folder / "ckpt" / name).is_file()]
    return [*files, folder / "base" / "config.json"][variant % (len(files) + 1)]


def read_official(path):
    root = next(parent for parent in path.parents if parent.name in ("ckpt", "base")).parent
    return scores_by(root / "ckpt", base=root / "base")


def make_network(folder, variant):
    shutil.copytree(OLD / "network", folder / "network")
    if variant == 2:
        return Path(shutil.copy(ROOT / "backbones" / "embedded" / "diffusion_models" / "micro_wan.safetensors", folder))
    return folder / "network" / ("config.json", "diffusion_pytorch_model.safetensors")[variant]


def read_network(path):
    from videoalign.backbones.loading import load_backbone

    return by_sum(load_backbone(path if "micro" in path.name else path.parent, dtype=torch.float32).module)


def by_sum(module):
    """Weights that are not finite are not told when they are read, but when a clip is made of them."""
    return {name: str(float(tensor.double().sum())) for name, tensor in module.state_dict().items()}


def read_vae(path):
    from videoalign.backbones.vae_loading import load_vae

    return by_sum(load_vae(path, dtype=torch.float32).module)


def make_safetensors(folder, variant):
    tensors = {"a": torch.ones(3, 4), "b.c": torch.zeros(2, dtype=torch.bfloat16), "d": torch.arange(5)}
    save_file(tensors, folder / "t.safetensors", {"note": "x", "config": '{"a": [1, 2]}'} if variant else None)
    return folder / "t.safetensors"


def read_safetensors(path):
    from videoalign.files.tensor_file import load_tensors

    header = read_header(path)
    metadata, tensors = load_tensors(path, WeightsError)
    assert header.entries.keys() == tensors.keys()
    return [metadata, {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}]


def state_of(step):
    generator = torch.Generator().manual_seed(step)
    weights = {f"w{n}": torch.randn(4, 5, generator=generator) for n in range(4)}
    moments = {name: {"step": torch.tensor(float(step)), "exp_avg": tensor * 2} for name, tensor in weights.items()}
    return {"fingerprint": {"data": "abc", "lr": 1e-4}, "weights": weights, "optimizer": {"state": moments, "param_groups": [{"lr": 0.1 * step}]},
            "random": torch.arange(40, dtype=torch.uint8)[None], "random_cuda": []}  # fmt: skip


def make_state(folder, variant):
    from videoalign.training.loop.state_files import STATE, save_state

    save_state(folder / "checkpoints", 1, state_of(1), 3)
    return save_state(folder / "checkpoints", 2, state_of(2), 3) / STATE


def read_state(path):
    from videoalign.training.loop.state_files import newest_state

    return newest_state(path.parents[1], *[lambda text: None] * (len(inspect.signature(newest_state).parameters) - 1))


def newest_or_older(found, healthy):
    return any(equal(found, {"step": step, **state_of(step)}) for step in (1, 2))


def equal(one, other):
    """Deeply, with tensors by their bits."""
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return (
            isinstance(one, torch.Tensor)
            and isinstance(other, torch.Tensor)
            and one.dtype == other.dtype
            and torch.equal(one, other)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
