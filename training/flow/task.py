"""Flow training as a task of the loop: it knows neither the loss nor the backbone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import nn

from ...backbones.backbone import Backbone
from ...errors import VideoAlignError
from ...files.digests import json_digest, sampled_digest
from ...lora.adapters import adapter_alphas
from ...lora.merging import lora_and_strength
from ...preferences.reading import read_pairs
from ...preferences.splits import split_pairs
from ..loop.evaluation_plan import SHARE, EvaluationCost
from ..loop.processes import process_state
from ..loop.same_run import by_content
from .adapter import TRAINED
from .config import FlowConfig
from .data import FlowData
from .flow_module import FlowModule
from .held_out import SIDES, HeldOut
from .method import Method, NoisedClips
from .rows import FlowRow, preference_rows

if TYPE_CHECKING:
    from ..latent_cache import LatentCache


class FlowRows:
    """What is trained on and what is held out, before anything big is loaded.

    Raises:
        VideoAlignError: the data cannot be used; the message names the row or the file.
    """

    def __init__(self, config: FlowConfig, method: Method) -> None:
        if config.data.train:
            train, held_out = split_pairs(config.data, config.seed)
        else:
            train, held_out = [], read_pairs(config.data.eval, config.data.root, config.data.clips_needed)
        self.train, self.summary = method.rows(train, config.data)
        self.held_out, _ = preference_rows(held_out, config.data)
        self.held_out = [row for row in self.held_out if row.target == 1]
        self.real = list(method.real_clips)
        self.further_prompts = [*config.preview.prompts, ""] if config.preview.prompts else []
        if not self.train:
            raise VideoAlignError(
                f"There is nothing to train on: {self.summary}. Use another data.prefer, a smaller data.margin, or data.ties = use."
            )

    def leave_out(self, cache: LatentCache) -> None:
        """Do without the rows that the cache does without.

        Raises:
            VideoAlignError: nothing to train on is left, or no real clip where some are needed.
        """
        for what, rows in (("row to train on", self.train), ("real clip", self.real)):
            if rows and not cache.kept(rows):
                raise VideoAlignError(f"Not one {what} can be used. {next(iter(cache.left_out.values()))}")
        self.train, self.held_out, self.real = map(cache.kept, (self.train, self.held_out, self.real))
        if cache.left_out:
            self.summary += f"; rows left out: {len(cache.left_out)}"

    @property
    def all(self) -> list[FlowRow]:
        """Training, held-out and real rows."""
        return [*self.train, *self.held_out, *self.real]


class FlowTask:
    """What ``TrainLoop`` needs to train an adapter.

    Args:
        backbone: with its adapter on.
        cache: has the latents of every clip and the conditioning of every prompt.
    """

    def __init__(
        self, config: FlowConfig, method: Method, rows: FlowRows, backbone: Backbone, cache: LatentCache
    ) -> None:
        self.config, self.method, self.rows, self.backbone = config, method, rows, backbone
        self.train = FlowData(rows.train, method.sides, cache, config.noise, config.seed, rows.real)
        held_out = FlowData(rows.held_out, SIDES, cache, config.noise, config.seed)
        evaluation = config.evaluation
        self.held_out = HeldOut(
            held_out,
            evaluation.levels,
            evaluation.pairs,
            method.held_out_beta,
            evaluation.bins,
            config.micro_batch_size,
        )
        self.module = FlowModule(backbone, method, evaluation.bins, config.data.fps)

    def data_hash(self) -> str:
        """Names the rows that are trained on: paths, prompts, weights and who is chosen."""
        rows = [
            [row.prompt, {side: str(path) for side, path in row.clips.items()}, row.weight, row.target]
            for row in [*self.rows.train, *self.rows.real]
        ]
        return json_digest(rows)

    def content_hash(self) -> str:
        """Names the rows that are trained on by the content of their clips, wherever these lie."""
        cache = self.train.cache
        rows = [
            [row.prompt, {side: cache.digest(clip) for side, clip in row.clips.items()}, row.weight, row.target]
            for row in [*self.rows.train, *self.rows.real]
        ]
        return json_digest(rows)

    def contents(self) -> dict:
        """Data, model and the LoRA to go on from, by content."""
        sections = self.fingerprint()
        encoders = self.train.cache.files if self.config.data.cache_only else {}
        model = by_content(sections["model"], ("transformer", "vae", "text_encoder", "image_encoder")) | encoders
        if self.config.model.lora:
            merged = map(lora_and_strength, self.config.model.lora)
            model["lora"] = [[sampled_digest([file]), strength] for file, strength in merged]
        return {
            "data": self.content_hash(),
            "model": model,
            "lora": by_content(sections["lora"], ("start",)),
        }

    def notes(self) -> dict:
        """What a LoRA file has to know besides the weights."""
        return {
            "method": self.method.name,
            "family": self.backbone.family.name,
            "alphas": adapter_alphas(self.backbone.module, TRAINED),
        }

    @property
    def judged_by(self) -> str | None:
        return "accuracy" if self.held_out.rows else None

    @property
    def visible_move(self) -> float:
        """See the function of this name."""
        return visible_move(self.config)

    def fingerprint(self) -> dict:
        """What a checkpoint depends on: data, model, the loss with all of its options, noise and rates."""
        sections = self.config.model_dump(mode="json", exclude_none=True)
        if not sections["model"]["lora"]:
            del sections["model"]["lora"]  # 0.1.0 had none
        kept = ("model", "noise", "optimizer", "precision", "schedule", "warmup", "max_grad_norm")
        adapter = {key: sections["lora"].get(key) for key in ("rank", "alpha", "dropout", "targets", "start")}
        if adapter["start"] is not None and self.config.lora.reference == "start":
            adapter["reference"] = "start"  # 0.1.0 had the base model alone
        size = {key: sections["data"][key] for key in ("width", "height", "frames", "fps", "buckets")}
        return {
            "data": self.data_hash(),
            **{key: sections[key] for key in kept},
            self.method.name: self.method.options.model_dump(mode="json", exclude_none=True),
            "lora": adapter,
            "size": size,
            "base_dtype": self.config.memory.base_dtype,
            **({"image_to_video": True} if self.config.data.image_to_video else {}),  # 0.1.0 had none
            **({} if self.config.ema is None else {"ema": self.config.ema}),  # 0.1.0 had none
        }

    def parameter_groups(self) -> list[dict]:
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        optimizer = self.config.optimizer
        return [{"params": trained, "lr": optimizer.learning_rate, "weight_decay": optimizer.weight_decay}]

    def row_names(self, rows: Sequence[int]) -> str:
        return ", ".join(self.rows.train[row].name for row in rows[:8]) + (", ..." if len(rows) > 8 else "")

    def prepare(self, rows: Sequence[int], first: int) -> list[NoisedClips]:
        return self.train.training_batch(rows, first)

    def evaluate(self, module: nn.Module, beginning: bool = False) -> Mapping[str, float]:
        """Held-out preferences; every process takes a share of the pairs."""
        state = process_state()
        as_reference = beginning and self._begins_as_reference
        return self.held_out.measure(module, state.process_index, state.num_processes, as_reference)

    def evaluation_cost(self, samples: int | None) -> EvaluationCost:
        """By default fewer levels and pairs than the options' defaults where these would take too much of a short run."""
        held_out, fixed = self.held_out, self.config.evaluation.model_fields_set
        if samples is not None:
            held_out.suit(SHARE * samples * self.method.passes, "pairs" in fixed, "levels" in fixed)
        once = float(len(SIDES) * held_out.levels * len(held_out.rows))
        beginning = once if self._begins_as_reference else 2 * once
        pairs, levels = len(held_out.rows), held_out.levels
        words = f"of {pairs} pair{'' if pairs == 1 else 's'} at {levels} noise level{'' if levels == 1 else 's'}"
        return EvaluationCost(self.method.passes, once, beginning, bool(pairs), words)

    @property
    def _begins_as_reference(self) -> bool:
        """Whether the untrained network is what it is compared with: then this has been run for it."""
        return self.config.lora.start is None or self.config.lora.reference == "start"


def visible_move(config: FlowConfig) -> float:
    """How far B has to move for the layers' outputs to change by 1 %.

    A starts uniform in +-1 / sqrt(inputs), so A x has elements of about 1 / sqrt(3) for x of unit size; B's elements, all moved
    by m, give m sqrt(rank / 3), times alpha / rank.
    """
    return 0.01 * math.sqrt(3 * config.lora.rank) / config.lora.alpha
