"""Latent reward training as a task of the loop, and what is done with its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...backbones.backbone import Backbone
from ...backbones.image_conditioning import image_entries
from ...errors import VideoAlignError
from ...files.digests import json_digest
from ...reward.dimensions import DIMENSIONS
from ...reward.latent.latent_reward import LatentReward, TrainingRecord
from ...reward.latent.reward_file import save_latent_reward
from ...reward.loading import DTYPES
from ..latent_cache import PrintedTenths, check_latent_space, encode_rows, encoders_of
from ..loop.processes import process_state
from ..loop.run_length import VISIBLE
from ..loop.same_run import by_content
from ..pair_targets import require_winners
from .calibrating import HeldOut
from .config import Config
from .features import Features
from .pairs import LatentPairBatch, LatentPairData, load_pairs
from .preference import PreferenceStep
from .trainable import build_trainable, load_trunk, merged_state, parameter_groups

RESULT = "latent_reward.safetensors"
CHECKED_OPTIONS = {
    "model", "noise", "optimizer", "loss", "clean_latents", "precision", "schedule", "warmup", "max_grad_norm",
}  # fmt: skip
LATER_OPTIONS = (
    ("model", "freeze_trunk", False),
    ("noise", "shared", True),
    ("noise", "draws", None),
    ("model", "text_encoder_bits", None),
)


class LatentRewardTask:
    """What ``TrainLoop`` needs to train a latent reward.

    Args:
        train, held_out: pairs with a cache that has their latents and captions.
        trunk: the first blocks of the video model.
        encoders: identities of what encoded clips (``vae``), captions (``text_encoder``) and images (``image_encoder``,
            where the trunk needs it).
    """

    visible_move = VISIBLE

    def __init__(
        self,
        config: Config,
        train: LatentPairData,
        held_out: LatentPairData,
        trunk: Backbone,
        encoders: Mapping[str, str],
    ) -> None:
        self.config, self.train, self.held_out, self.encoders = config, train, held_out, dict(encoders)
        example = train.training_batch([0], 0, config.seed, config.noise)[0]
        self.reward = build_trainable(config, trunk, example)
        self.module = PreferenceStep(self.reward, config.loss, config.clean_latents, config.model.freeze_trunk)
        self.judge = HeldOut(held_out, config.evaluation.bins, config.seed, config.micro_batch_size)

    def fingerprint(self) -> dict:
        """What a checkpoint depends on: data, encoders, model, noise, losses and rates."""
        options = self.config.model_dump(mode="json", include=CHECKED_OPTIONS)
        for section, name, usual in LATER_OPTIONS:  # runs that began before these were there go on
            if options[section][name] == usual:
                del options[section][name]
        grouped = self.config.data.group_by_prompt
        if self.config.data.image_to_video:
            options["image_to_video"] = True
        return {"data": self.data_hash(), "encoders": self.encoders, "group_by_prompt": grouped, **options}

    @property
    def groups(self) -> list[str] | None:
        """The prompt of each training pair, where pairs of one prompt stay together."""
        return [pair.prompt for pair in self.train.pairs] if self.config.data.group_by_prompt else None

    def data_hash(self) -> str:
        """Names the training pairs: their clips, prompts, labels and weights."""
        rows = [
            [pair.chosen, pair.rejected, pair.prompt, pair.label_codes(DIMENSIONS), pair.weight]
            for pair in (resolved.pair for resolved in self.train.pairs)
        ]
        return json_digest(rows)

    def content_hash(self) -> str:
        """Names the training pairs by the content of their clips, wherever these lie."""
        digest = self.train.cache.digest
        rows = [
            [digest(one.chosen), digest(one.rejected), one.prompt, one.pair.label_codes(DIMENSIONS), one.pair.weight]
            for one in self.train.pairs
        ]
        return json_digest(rows)

    def contents(self) -> dict:
        """Data and model by content."""
        model = self.fingerprint()["model"]
        return {
            "data": self.content_hash(),
            "model": by_content(model, ("trunk", "vae", "text_encoder", "image_encoder"))
            | (self.train.cache.files if self.config.data.cache_only else {}),
        }

    def compute_features(self) -> None:
        """With a frozen trunk and fixed draws: what the trunk makes of them, and of what is judged on the way, computed where it is not
        stored yet; each process computes a share. Nothing otherwise."""
        config, state = self.config, process_state()
        if not (config.model.freeze_trunk and config.noise.draws) or config.clean_latents:
            return
        weights = by_content({"trunk": str(config.model.trunk)}, ("trunk",))
        trunk = {**weights, "blocks": len(self.reward.trunk.blocks), "dtype": str(self.reward.trunk.dtype)}
        trunk["device"] = state.device.type
        self.reward.to(state.device)
        for data, wanted in (
            (self.train, self.train.draws(config.seed, config.noise)),
            (self.held_out, self.judge.seen(config.evaluation.pairs)),
        ):
            features = Features(data.cache, trunk, data.constants, config.data.keep_in_memory)
            progress = PrintedTenths() if state.is_main_process else None
            features.fill(self.reward, data, wanted[state.process_index :: state.num_processes], progress)
            state.wait_for_everyone()
            features.found(wanted)
            data.features = features

    def notes(self) -> dict:
        """Nothing: a latent reward is written when it is finished and measured."""
        return {}

    @property
    def judged_by(self) -> str | None:
        return "acc" if len(self.held_out) else None

    def parameter_groups(self) -> list[dict]:
        return parameter_groups(self.reward, self.config.optimizer)

    def row_names(self, rows: Sequence[int]) -> str:
        return ", ".join(self.train.pairs[row].name for row in rows[:8]) + (", ..." if len(rows) > 8 else "")

    def prepare(self, rows: Sequence[int], first: int) -> list[LatentPairBatch]:
        config = self.config
        return self.train.training_batch(rows, first, config.seed, config.noise, config.data.group_by_prompt)

    def evaluation_cost(self, samples: int | None) -> None:
        """Not counted: a tenth of the run lies between evaluations."""

    def evaluate(self, module: PreferenceStep) -> Mapping[str, float]:
        """Held-out accuracy per dimension, over all noise levels and by bin."""
        return self.judge.accuracy(module, self.config.evaluation.pairs) if len(self.held_out) else {}

    def calibrate(self) -> None:
        """Measure on all held-out pairs what the file says of the reward; every process takes part."""
        self.module.eval()
        self.reward.calibration = self.judge.calibration(self.module, self.config.evaluation.gradient_pairs)

    def export(self, step: int) -> Path:
        """Write the result into the output folder; returns its path."""
        self.reward.record = TrainingRecord(
            data=self.data_hash(),
            text_encoder=self.encoders["text_encoder"],
            vae=self.encoders["vae"],
            clean_latents=self.config.clean_latents,
            timesteps=self.config.noise.timesteps,
            loss=self.config.loss.type,
            steps=step,
            pairs=len(self.train),
            held_out=len(self.held_out),
        )
        file = self.config.output / RESULT
        save_latent_reward(file, self.reward, DTYPES[self.config.model.save_dtype], merged_state(self.reward))
        return file


def build_task(config: Config) -> LatentRewardTask:
    """Read the pairs, encode what is not in the cache, and load the trunk.

    Raises:
        VideoAlignError: the data, the video model, its VAE or its text encoder cannot be used.
    """
    train, held_out = load_pairs(config)
    trunk = load_trunk(config.model)
    entries = image_entries(trunk, str(config.model.trunk), config.data.image_to_video)
    if config.data.image_to_video and not entries:
        raise VideoAlignError(f"{config.model.trunk} takes no image; leave out data.image_to_video.")
    encoders = encoders_of(config.model)
    cache = encode_rows(
        [*train, *held_out],
        config.data,
        encoders,
        config.output,
        latent_format=trunk.latent_format,
        image_entries=entries,
    )
    train, held_out = cache.kept(train), cache.kept(held_out)
    require_winners(train)
    check_latent_space(cache, trunk.latent_format, config.model.vae, config.model.trunk)
    constants = trunk.constants(replace(trunk.sampling, fps=config.data.fps))
    data = (LatentPairData(pairs, cache, config.data.keep_in_memory, constants) for pairs in (train, held_out))
    return LatentRewardTask(config, *data, trunk, cache.encoders)


def accuracy_table(reward: LatentReward) -> str:
    """Held-out accuracy by dimension and bin of sigma as text, for the end of a run; what nothing was measured of says so."""
    table = reward.calibration
    measured = {name: table.overall_accuracy(name) for name in DIMENSIONS}
    head = f"{'sigma':13}" + "".join(f"{low:7.2f}" for low in table.edges[:-1]) + "    all"
    rows = []
    for name, share in measured.items():
        if share is None:
            continue
        rows.append(_row(name, table.accuracy[name], share))
        within = table.within_accuracy(name)
        rows.append(
            f"{'  in a prompt':13} not measured"
            if within is None
            else _row("  in a prompt", table.within[name], within)
        )
    missing = [name for name, share in measured.items() if share is None]
    if missing:
        rows.append(
            f"{', '.join(missing)}: held-out accuracy not measured, as no held-out pair says which clip is better. Reward guidance "
            "cannot use them in its unit-free mode; give data.eval, or pairs of more prompts."
        )
    return "\n".join([head, *rows] if len(missing) < len(DIMENSIONS) else rows)


def _row(name: str, shares: Sequence[float | None], overall: float) -> str:
    return (
        f"{name:13}" + "".join("      -" if share is None else f"{share:7.1%}" for share in shares) + f"{overall:7.1%}"
    )
