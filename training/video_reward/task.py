"""Reward training as a task of the loop, and what is done with its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ...backbones.meta_device import on_meta
from ...errors import ClipError
from ...files.digests import json_digest
from ...files.known_digests import KnownDigests
from ...preferences.preference_file import ResolvedPair
from ...preferences.splits import split_pairs
from ...reward.agreement import ties_excluded_accuracy
from ...reward.converted_file import ConvertedReward, save_converted
from ...reward.dimensions import DIMENSIONS
from ...reward.loading import DTYPES
from ...reward.settings import Normalisation
from ..loop.processes import process_state
from ..loop.run_length import VISIBLE
from ..loop.same_run import by_content
from ..pair_targets import require_winners
from .config import Config
from .pair_batches import PairBatch, PairData
from .pair_reward import PairReward
from .trainable import build_trainable, parameter_groups, reward_settings

STATISTICS_PAIRS = 512
DIGESTS = "digests.json"
"""In the output folder: what was read of clips that have not changed since."""


class VideoRewardTask:
    """What ``TrainLoop`` needs to train a VideoReward.

    Raises:
        VideoAlignError: the data or the base model cannot be used; the message names the row or the file.
    """

    visible_move = VISIBLE

    def __init__(self, config: Config) -> None:
        self.config = config
        train, held_out = load_pairs(config)
        sampling = reward_settings(config).sampling
        self.train = PairData(train, sampling, config.data.keep_in_memory)
        self.held_out = PairData(held_out, sampling, config.data.keep_in_memory)
        self.reward, self.network_config = build_trainable(config)
        self.module = PairReward(self.reward, config.loss)

    @property
    def prompts(self) -> list[str]:
        """The prompt of each training pair."""
        return [loaded.prompt for loaded in self.train.pairs]

    def fingerprint(self) -> dict:
        """What a checkpoint depends on: data, model, losses and rates."""
        rows = [
            [str(p.chosen), str(p.rejected), p.pair.model_dump(mode="json", exclude={"source"})]
            for p in self.train.pairs
        ]
        data = json_digest(rows)
        options = self.config.model_dump(
            mode="json", include={"model", "optimizer", "loss", "precision", "schedule", "warmup", "max_grad_norm"}
        )
        sampling = self.config.data.model_dump(
            mode="json", include={"fps", "min_frames", "min_frame_pixels", "max_frame_pixels", "template"}
        )
        return {"data": data, **options, "sampling": sampling}

    def contents(self) -> dict:
        """Data and model by content."""
        known = KnownDigests(self.config.output / DIGESTS)
        try:
            rows = [
                [
                    known.digest(p.chosen),
                    known.digest(p.rejected),
                    p.pair.model_dump(mode="json", exclude={"source", "chosen", "rejected"}),
                ]
                for p in self.train.pairs
            ]
        except OSError as error:
            raise ClipError(f"{error.filename} cannot be read ({error.strerror}). Check the path.") from None
        if process_state().is_main_process:
            known.save()
        model = self.config.model.model_dump(mode="json")
        return {"data": json_digest(rows), "model": by_content(model, ("base", "checkpoint"))}

    def notes(self) -> dict:
        """Nothing: a VideoReward is written when it is finished."""
        return {}

    @property
    def judged_by(self) -> str | None:
        return "acc" if len(self.held_out) else None

    def parameter_groups(self) -> list[dict]:
        return parameter_groups(self.reward.network, self.config.optimizer)

    def row_names(self, rows: Sequence[int]) -> str:
        return ", ".join(self.train.pairs[row].name for row in rows[:8]) + (", ..." if len(rows) > 8 else "")

    def prepare(self, rows: Sequence[int], first: int = 0) -> PairBatch:
        return self.train.batch(rows)

    def evaluation_cost(self, samples: int | None) -> None:
        """Not counted: a tenth of the run lies between evaluations."""

    def evaluate(self, module: PairReward) -> Mapping[str, float]:
        """Held-out accuracy without ties per dimension and in the mean; every process takes a share of the pairs."""
        if not len(self.held_out):
            return {}
        labels, differences = self._differences(module)
        metrics = {}
        for column, name in enumerate(DIMENSIONS):
            if (np.abs(labels[:, column]) == 1).any():
                metrics[f"acc_{name}"] = ties_excluded_accuracy(labels[:, column], differences[:, column])
        return {**metrics, "acc": float(np.mean(list(metrics.values())))} if metrics else {}

    def export(self, step: int, normalisation: Normalisation) -> Path:
        """Write the official layout and the one-file form into the output folder; returns the file's path."""
        from .official_layout import full_state, save_official

        save_official(self.config.output, step, self.reward, self.config, normalisation)
        file = self.config.output / "videoreward.safetensors"
        save_converted(file, self.merged(normalisation, full_state(self.reward, self.config.model.lora)))
        return file

    def merged(self, normalisation: Normalisation, state: dict[str, torch.Tensor]) -> ConvertedReward:
        """The trained model with its adapters merged."""
        from dataclasses import replace

        from ...reward.checkpoint_weights import merge_state
        from ...reward.qwen2vl_network import Qwen2VLRewardNetwork

        settings = replace(self.reward.settings, normalisation=normalisation)
        with on_meta():
            expected = Qwen2VLRewardNetwork(
                self.network_config, len(self.reward.tokenizer), settings.output_dim
            ).state_dict()
        weights = merge_state(state, settings.lora, DTYPES[settings.torch_dtype], expected)
        return ConvertedReward(settings, self.network_config, self.reward.tokenizer.tokenizer, weights)

    @torch.no_grad()
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the raw scores over (a sample of) the training clips."""
        self.module.eval()
        rng = np.random.default_rng(self.config.seed)
        rows = rng.permutation(len(self.train))[:STATISTICS_PAIRS]
        scores = [
            side
            for batch in _chunks(self.train, rows, self.config.micro_batch_size)
            for side in self.module.rewards(batch)
        ]
        scores = torch.cat(scores)
        std = scores.std(0).clamp(min=1e-6)
        return Normalisation(tuple(scores.mean(0).tolist()), tuple(std.tolist()))

    def _differences(self, module: PairReward) -> tuple[np.ndarray, np.ndarray]:
        from accelerate.utils import gather_object

        rank, world = _process()
        mine = list(range(rank, len(self.held_out), world))
        judged = []
        for batch in _chunks(self.held_out, mine, self.config.micro_batch_size):
            a, b = module.rewards(batch)
            judged += list(zip(batch.labels.tolist(), (a - b).tolist(), strict=True))
        judged = gather_object(judged) if world > 1 else judged
        labels, differences = zip(*judged, strict=True)
        return np.array(labels), np.array(differences)


def load_pairs(config: Config) -> tuple[list[ResolvedPair], list[ResolvedPair]]:
    """Training and held-out pairs (see ``split_pairs``).

    Raises:
        VideoAlignError: a file cannot be read, a clip is missing, or nothing can be learnt from the labels.
    """
    train, held_out = split_pairs(config.data, config.seed)
    if config.loss.type != "reg":  # which learns from scores
        require_winners(train)
    return train, held_out


def _chunks(data: PairData, rows: Sequence[int], size: int) -> Iterable[PairBatch]:
    for start in range(0, len(rows), size):
        yield data.batch([int(row) for row in rows[start : start + size]])


def _process() -> tuple[int, int]:
    from accelerate import PartialState

    state = PartialState()
    return state.process_index, state.num_processes
