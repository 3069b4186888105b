"""A VideoReward made trainable: LoRA on the language model, the vision tower, the reward tokens' embeddings, the head."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ...backbones.meta_device import on_meta
from ...errors import CheckpointError
from ...files.json_text import parse_json
from ...reward.checkpoint_files import open_checkpoint, read_base_weights
from ...reward.checkpoint_weights import EMBEDDING, network_name
from ...reward.loading import DTYPES, read_state
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.reward_tokenizer import RewardTokenizer, read_tokenizer
from ...reward.settings import FrameSampling, LoraSettings, RewardSettings
from ...reward.template import load_template
from ...reward.video_reward import VideoReward
from .config import Config, OptimizerConfig

INITIAL_STD = 0.02
HEAD = "rm_head.weight"


class RewardTokenRows(nn.Module):
    """A frozen token embedding whose reward-token rows are parameters of their own.

    Training the whole matrix and undoing the rest, as the official trainer does, gives the same rows; this keeps no
    gradient and no optimizer state for the other 150,000, and they cannot move.
    """

    def __init__(self, weight: torch.Tensor, token_ids: list[int]) -> None:
        super().__init__()
        self.register_buffer("table", weight.detach(), persistent=False)
        self.register_buffer("token_ids", torch.tensor(token_ids), persistent=False)
        self.rows = nn.Parameter(weight.detach()[token_ids].float().clone())

    @property
    def weight(self) -> torch.Tensor:
        """The whole embedding [vocabulary, hidden] with the trained rows in place."""
        return self.table.index_copy(0, self.token_ids, self.rows.detach().to(self.table.dtype))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Embeddings of token ids [...] -> [..., hidden]."""
        embedded = nn.functional.embedding(input_ids, self.table)
        is_row = input_ids[..., None] == self.token_ids
        trained = nn.functional.embedding(is_row.int().argmax(-1), self.rows)
        return torch.where(is_row.any(-1, keepdim=True), trained.to(embedded.dtype), embedded)


def reward_settings(config: Config) -> RewardSettings:
    """What the trained checkpoint will say about itself (its normalisation is measured after training)."""
    data, model = config.data, config.model
    sampling = FrameSampling(
        fps=data.fps, min_frames=data.min_frames, min_pixels=data.min_frame_pixels, max_pixels=data.max_frame_pixels
    )
    return RewardSettings(
        base_model=str(model.base),
        template=data.template,
        reward_token=model.reward_token,
        output_dim=model.output_dim,
        torch_dtype=model.torch_dtype,
        sampling=sampling,
        lora=LoraSettings(model.lora_rank, model.lora_alpha) if model.lora else None,
    )


def build_trainable(config: Config) -> tuple[VideoReward, dict]:
    """The base model with a fresh reward head and adapters, and its network configuration.

    Raises:
        CheckpointError: the base folder is not a Qwen2-VL model.
    """
    base, settings = Path(config.model.base), reward_settings(config)
    network_config = read_network_config(base)
    tokenizer = read_tokenizer(base)
    if tokenizer is None:
        raise CheckpointError(
            f"{base} holds no tokenizer (tokenizer.json, or vocab.json and merges.txt). Download the model whole."
        )
    reward_tokenizer = RewardTokenizer(tokenizer, load_template(settings.template))
    torch.manual_seed(config.seed)
    with on_meta():
        network = Qwen2VLRewardNetwork(network_config, len(reward_tokenizer), settings.output_dim)
    weights = _start_weights(base, network, len(reward_tokenizer))
    network.load_state_dict(weights, assign=True)
    network.set_rotary_precision(DTYPES[settings.torch_dtype], "cpu")
    choose_trained(network, config, reward_tokenizer.reward_token_ids)
    if config.model.checkpoint is not None:
        _go_on_from(network, config.model.checkpoint, base)
    return VideoReward(network, reward_tokenizer, settings), network_config


def read_network_config(base: Path) -> dict:
    """The ``config.json`` of a base model folder.

    Raises:
        CheckpointError: it is missing or of another architecture.
    """

    try:
        network_config = parse_json((base / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{base} is not a model folder: config.json cannot be read ({error}).") from None
    if network_config.get("model_type") != "qwen2_vl":
        raise CheckpointError(
            f"{base} is a {network_config.get('model_type')!r} model; VideoReward is trained from qwen2_vl."
        )
    return network_config


def parameter_groups(network: nn.Module, optimizer: OptimizerConfig) -> list[dict]:
    """AdamW's groups: language model and head, vision tower, merger, token embeddings; matrices decay, the rest does not."""
    rates = {
        "language": optimizer.learning_rate,
        "vision": optimizer.vision_lr,
        "merger": optimizer.merger_lr,
        "embedding": optimizer.special_token_lr,
    }
    groups: dict[tuple[str, bool], dict] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        part = _part(name)
        decays = parameter.ndim > 1 and part != "embedding"
        group = groups.setdefault(
            (part, decays), {"params": [], "lr": rates[part], "weight_decay": optimizer.weight_decay if decays else 0.0}
        )
        group["params"].append(parameter)
    return list(groups.values())


def _part(name: str) -> str:
    if "embed_tokens" in name:
        return "embedding"
    if "merger" in name:
        return "merger"
    return "vision" if name.startswith("visual.") else "language"


def _start_weights(base: Path, network: nn.Module, vocabulary: int) -> dict[str, torch.Tensor]:
    weights = {network_name(name): tensor.float() for name, tensor in read_base_weights(base, str(base)).items()}
    weights.pop("lm_head.weight", None)
    hidden = network.rm_head.weight.shape[1]
    if HEAD not in weights:
        weights[HEAD] = torch.randn(network.rm_head.weight.shape) * INITIAL_STD
    embedding = weights[EMBEDDING]
    if embedding.shape[0] < vocabulary:
        embedding = torch.cat([embedding, torch.randn(vocabulary - embedding.shape[0], hidden) * INITIAL_STD])
    weights[EMBEDDING] = embedding[:vocabulary].clone()  # Qwen2-VL's matrix has spare rows that no token uses
    expected = network.state_dict()
    wrong = sorted(set(weights) ^ set(expected)) or sorted(n for n in expected if weights[n].shape != expected[n].shape)
    if wrong:
        raise CheckpointError(f"The weights in {base} do not fit its config.json (first difference: {wrong[0]}).")
    return weights


def _go_on_from(network: Qwen2VLRewardNetwork, folder: Path, base: Path) -> None:
    """Load the weights of an official checkpoint, its adapters into ours."""
    checkpoint = open_checkpoint(folder)
    state = {_without_wrappers(name): tensor for name, tensor in read_state(checkpoint, base).items()}
    state[EMBEDDING] = state.pop("lm_head.weight", state.get(EMBEDDING))
    holder = network.language_model.embed_tokens
    targets = {
        _without_wrappers(name): tensor for name, tensor in network.state_dict().items() if "embed_tokens" not in name
    }
    missing, extra = sorted(set(targets) - set(state)), sorted(set(state) - set(targets) - {EMBEDDING})
    if missing or extra:
        raise CheckpointError(
            f"{folder} cannot be gone on from with these options: it lacks {missing[:1] or 'nothing'} and has {extra[:1] or 'nothing'} "
            "besides. Set lora as it was trained."
        )
    for name, target in targets.items():
        if target.shape != state[name].shape:
            raise CheckpointError(
                f"{folder}: {name} is {list(state[name].shape)}, these options make it {list(target.shape)} (lora_rank, output_dim, base)."
            )
        target.copy_(state[name])
    embedding = state[EMBEDDING].float()
    if isinstance(holder, RewardTokenRows):
        holder.table.copy_(embedding)
        with torch.no_grad():
            holder.rows.copy_(embedding[holder.token_ids])
    else:
        with torch.no_grad():
            holder.weight.copy_(embedding)


def _without_wrappers(name: str) -> str:
    return network_name(name).replace(".default.", ".")


def choose_trained(network: Qwen2VLRewardNetwork, config: Config, reward_token_ids: list[int]) -> None:
    """Put adapters on, and let those weights be trained that the options name."""
    model = config.model
    network.requires_grad_(False)
    if model.lora:
        from peft import LoraConfig, inject_adapter_in_model

        targets = [
            f"language_model.{name}"
            for name, module in network.language_model.named_modules()
            if isinstance(module, nn.Linear)
        ]
        lora = LoraConfig(
            r=model.lora_rank, lora_alpha=model.lora_alpha, lora_dropout=model.lora_dropout, target_modules=targets
        )
        inject_adapter_in_model(lora, network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_("lora_" in name)
    else:
        network.language_model.requires_grad_(True)
    network.visual.requires_grad_(model.train_vision)
    network.rm_head.requires_grad_(True)
    if model.train_embeddings == "all":
        network.language_model.embed_tokens.requires_grad_(True)
    else:
        network.language_model.embed_tokens = RewardTokenRows(
            network.language_model.embed_tokens.weight, reward_token_ids
        )
        if config.model.reward_token == "last":  # nothing reads the reward tokens then
            network.language_model.embed_tokens.rows.requires_grad_(False)
