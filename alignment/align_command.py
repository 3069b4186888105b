"""``videoalign align``: from a file of prompts to a LoRA that makes the model better at them."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ..backbones.experts import EXPERTS
from ..cli.options import read_toml, validate
from ..clips.find import CLIP_LIST
from ..errors import VideoAlignError
from ..evaluation import score_command
from ..files.atomic_file import replacing, write_json, write_text
from ..files.journal import read_journal
from ..files.json_text import read_json
from ..files.output_folder import held
from ..files.tables import read_text
from ..generation import generate_command
from ..generation.model_files import MICRO, model_files
from ..generation.prompts import read_prompt_rows, read_prompts
from ..judges import judge_or_reward
from ..lora.comfyui_folder import expert_path
from ..preferences import pairs_command
from ..reward.guard.verdict import Outcome
from ..training.flow.config import FlowConfig
from ..training.loop.trackers import check_trackers
from ..training.train_flow_command import train_command
from .config import Config, PairOptions, split_of

__all__ = ["Config", "PairOptions", "run", "tell"]

FINISHED_LORA = "lora.safetensors"
SETTINGS = "align.json"


def run(config: Config) -> int:
    """Run all stages that are not finished; returns 0, 1 when clips of the comparison failed, or the status of the stage that stopped.

    Clips that cannot be made or scored are told and left out; the others make the pairs.

    Raises:
        ConfigError: the file of training options has unknown ones or wrong values.
        VideoAlignError: prompts, models or options cannot be used, or the folder belongs to another run.
    """
    if config.dry_run:
        return tell(config)
    _check(config)
    if config.stop_on_hacking:
        _check_watched(config)
    with held(config.output, "align"):
        return _run(config)


def tell(config: Config) -> int:
    """Print what all stages will take; returns 0."""
    from ..planning.report import plan_text
    from .plan import Stages, most_pairs, plan_align

    _check(config)
    training, held_out = split_of(config)
    each = most_pairs(config.clips_per_prompt, config.pairs.pairing, config.pairs.pairs_per_prompt)
    rounds = config.rounds
    stages = Stages(
        rounds, len(training), len(held_out), config.clips_per_prompt, config.compare_clips, each,
        comparisons=rounds if config.stop_on_hacking else 1,
    )  # fmt: skip
    options = _over_file(config, known_to_training(config, config.prompts, config.output))
    command = train_command(config.method)
    generating = generate_config(config, config.prompts, config.output, None, config.clips_per_prompt, config.seed)
    print(plan_text(plan_align(generating, options, command.method(getattr(options, config.method)), stages)))
    return 0


def _check(config: Config) -> None:
    """Raises a VideoAlignError where a stage could not go on with what another one gives."""
    if any(row.image for row in read_prompt_rows(config.prompts)):
        raise VideoAlignError(
            f"{config.prompts} names images, which align does not pass on. For an image-to-video model run videoalign generate, "
            "score, pairs, train dpo and compare one after the other."
        )
    _check_training_options(config)


def _run(config: Config) -> int:
    from ..evaluation.compare.report import outcome_of

    config = _with_begun_share(config)
    _check_settings(config)
    training, held_out = split_prompts(config)
    lora: Path | None = None
    for number in range(1, config.rounds + 1):
        status, trained = _round(config, config.output / f"round_{number}", training, lora, number)
        if status:
            return status
        if config.stop_on_hacking:
            status = _comparison(config, held_out, trained, number)
            if status not in (0, 1):
                return status
            if outcome_of(_comparison_folder(config, number)) is Outcome.HACKED:
                return _stopped(config, number, trained, lora)
        lora = trained
    finished = _finish(config, lora)
    if not config.stop_on_hacking:
        status = _comparison(config, held_out, finished, config.rounds)
    if status in (0, 1):
        beside = "".join(f", beside {one}" for one in config.lora)
        print(f"\n{finished} is the LoRA; copy it into ComfyUI's models/loras{beside}.")
    return status


def _finish(config: Config, lora: Path) -> Path:
    finished = config.output / lora.name
    with replacing(finished) as temporary:
        shutil.copyfile(lora, temporary)
    return finished


def _stopped(config: Config, number: int, hacked: Path, kept: Path | None) -> int:
    """Say what is kept when a round's verdict is "hacked"; the status of a run that did not end as it was asked."""
    page = _comparison_folder(config, number) / "index.html"
    told = f"\nStopped after round {number}: its clips please the reward and are worse for it (see the verdict, and {page}). "
    if kept is None:
        told += f"No LoRA is kept; what the round trained lies in {hacked}. Try fewer steps, other weights, or a reward of several judges."
    else:
        told += f"{_finish(config, kept)} is the LoRA of round {number - 1}; copy it into ComfyUI's models/loras."
    print(told)
    return 1


def split_prompts(config: Config) -> tuple[Path, Path]:
    """Files of the training and of the held-out prompts, drawn by the seed; at least one prompt in each.

    Raises:
        VideoAlignError: fewer than two prompts.
    """
    files = config.output / "training_prompts.jsonl", config.output / "held_out_prompts.jsonl"
    for file, prompts in zip(files, split_of(config), strict=True):
        write_text(file, "".join(json.dumps({"prompt": prompt}, ensure_ascii=False) + "\n" for prompt in prompts))
    return files


def _round(config: Config, folder: Path, prompts: Path, lora: Path | None, number: int) -> tuple[int, Path | None]:
    clips, scores, pairs = folder / "clips", folder / "scores.jsonl", folder / "pairs.jsonl"
    if (result := _trained(folder / "training")) is not None:
        return 0, result
    seed = config.seed + 100_000 * number  # every round sees new noise
    status = _stage(
        f"round {number}: clips", lambda: _generate(config, prompts, clips, lora, config.clips_per_prompt, seed)
    )
    if _is_done(status, clips / CLIP_LIST):
        status = _stage(f"round {number}: scores", lambda: _score(config, clips, scores))
    if not _is_done(status, scores):
        return status, result
    status = 0
    if not pairs.exists():
        options = config.pairs.model_dump()
        status = _stage(
            f"round {number}: pairs",
            lambda: pairs_command.run(pairs_command.Config(scores=scores, output=pairs, **options)),
        )
    status = status or _stage(
        f"round {number}: training",
        lambda: train_command(config.method).run(training_config(config, clips, pairs, folder / "training", lora)),
    )
    return status, _trained(folder / "training")


def _trained(folder: Path) -> Path | None:
    """The LoRA that a training wrote into its folder; one of Wan 2.2's experts has that in its name. None before its end."""
    stem, ending = Path(FINISHED_LORA).stem, Path(FINISHED_LORA).suffix
    names = (FINISHED_LORA, f"{stem}_ema{ending}")  # as lora_files names that of a moving average
    files = (expert_path(folder / name, expert) for name in names for expert in (None, *EXPERTS))
    return next((file for file in files if file.exists()), None)


def _is_done(status: int, made: Path) -> bool:
    """Whether a stage gave something to go on with: all, or what is left when some clips failed (it has told which)."""
    return status == 0 or (status == 1 and made.is_file())


def _stage(name: str, run_stage) -> int:
    print(f"\n== {name}", file=sys.stderr, flush=True)
    return run_stage()


def _generate(config: Config, prompts: Path, folder: Path, lora: Path | None, count: int, seed: int) -> int:
    return generate_command.run(generate_config(config, prompts, folder, lora, count, seed))


def generate_config(
    config: Config, prompts: Path, folder: Path, lora: Path | None, count: int, seed: int
) -> generate_command.Config:
    """Options of ``videoalign generate`` for one set of clips."""
    options = {
        name: getattr(config, name)
        for name in (
            "model",
            "vae",
            "text_encoder",
            "text_encoder_bits",
            "batch_size",
            "device",
            "distilled",
            "sampling",
        )
    }
    return generate_command.Config(
        prompts=prompts,
        output=folder,
        lora=[*config.lora, *([str(lora)] if lora else [])],
        clips_per_prompt=count,
        seed=seed,
        **options,
    )


def _score(config: Config, clips: Path, scores: Path) -> int:
    return score_command.run(
        score_command.Config(
            manifest=clips / CLIP_LIST,
            judge=[judge_or_reward(config.reward), *config.panel],
            output=scores,
            device=config.device,
        )
    )


def training_config(config: Config, clips: Path, pairs: Path, output: Path, lora: Path | None) -> FlowConfig:
    """Options of ``videoalign train`` for one round: the file's (the micro model has a preset), then what this run knows better.

    Raises:
        ConfigError: the file has unknown options or wrong values.
    """
    first = read_journal(clips / CLIP_LIST).records[0]
    known = known_to_training(config, pairs, output)
    known["data"] |= {name: first[name] for name in ("width", "height", "frames", "fps")}
    if config.method == "rvm":
        known["data"]["clips"] = [clips.parent / "scores.jsonl"]  # all of them, not the best and the worst alone
    if lora is not None:
        known["lora"]["start"] = lora
    return _over_file(config, known)


def known_to_training(config: Config, pairs: Path, output: Path) -> dict:
    """What this run knows of every round's training."""
    network, vae, text_encoder = model_files(config.model, config.vae, config.text_encoder)
    known: dict = {
        "output": output,
        "seed": config.seed,
        "model": {"transformer": network, "vae": vae, "text_encoder": text_encoder, "lora": config.lora},
        "data": {"train": [pairs]},
        "lora": {"name": Path(FINISHED_LORA).stem},
    }
    if config.model == MICRO:
        known["model"]["name"] = "videoalign-micro"
    if config.text_encoder_bits is not None:
        known["model"]["text_encoder_bits"] = config.text_encoder_bits
    if config.steps is not None:
        known["max_steps"] = config.steps
    if config.learning_rate is not None:
        known["optimizer"] = {"learning_rate": config.learning_rate}
    return known


def _check_watched(config: Config) -> None:
    """Raises a VideoAlignError where nothing could tell a gain from a hack."""
    if config.judge:
        return
    from ..measures.opencv import opencv

    try:
        opencv()
    except VideoAlignError as error:
        raise VideoAlignError(
            f"--stop-on-hacking needs something that watches, OpenCV or a --judge. {error}"
        ) from error


def _check_training_options(config: Config) -> None:
    """What is wrong with the file of training options is said before clips are generated for hours.

    Raises:
        ConfigError: it has unknown options or wrong values.
        VideoAlignError: it asks for a tracker that is not installed.
    """
    files = dict(
        zip(
            ("transformer", "vae", "text_encoder"),
            model_files(config.model, config.vae, config.text_encoder),
            strict=True,
        )
    )
    check_trackers(_over_file(config, {"model": files, "data": {"train": [config.prompts]}}).log_with)


def _over_file(config: Config, known: dict) -> FlowConfig:
    """The training options of the file (or the micro model's preset), with what is ``known`` over them."""
    values = read_toml(config.train) if config.train else {"preset": MICRO} if config.model == MICRO else {}
    for key, value in known.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    return validate(train_command(config.method).Config, values, str(config.train or "videoalign align"))


def _comparison_folder(config: Config, number: int) -> Path:
    return config.output / f"round_{number}" / "comparison"


def _comparison(config: Config, prompts: Path, lora: Path, number: int) -> int:
    """Compare the model with a round's LoRA with the model without; an earlier round's clips without serve again."""
    from ..evaluation import compare_command

    folder = _comparison_folder(config, number)
    made = (_comparison_folder(config, one) / "base" for one in range(1, number))
    base = next((clips for clips in made if (clips / CLIP_LIST).is_file()), folder / "base")
    both = base, folder / "aligned"
    for clips, adapter in zip(both, (None, lora), strict=True):
        name = f"comparison: clips of the {clips.name} model"
        status = _stage(
            name, lambda c=clips, a=adapter: _generate(config, prompts, c, a, config.compare_clips, config.seed)
        )
        if not _is_done(status, clips / CLIP_LIST):
            return status
    judges = list(dict.fromkeys([*config.panel, *config.judge]))
    options = {"model": config.reward, "judge": judges, "device": config.device, "seed": config.seed}
    compare = compare_command.Config(folders=list(both), output=folder, **options)
    return _stage("comparison", lambda: compare_command.run(compare))


def _with_begun_share(config: Config) -> Config:
    """A run that began with another default share of held-out prompts (0.1.0's: a fifth, however few) goes on with it."""
    file = config.output / SETTINGS
    begun = read_json(file).get("held_out") if config.held_out is None and file.exists() else None
    return config if begun is None else config.model_copy(update={"held_out": begun})


def _check_settings(config: Config) -> None:
    """A folder belongs to one set of options: half of a run with others would be worth nothing."""
    left_out = {"device", "batch_size", "rounds", "judge", "output", "stop_on_hacking", "dry_run"}
    settings = config.model_dump(mode="json", exclude=left_out)
    for section, added in (
        (settings, ("panel", "lora", "distilled")),
        (settings["pairs"], ("weight", "gate", "dominate", "least")),
    ):
        for name in added:
            if not section[name]:  # folders of 0.1.0 do not say, and mean the same
                del section[name]
    if config.method == "dpo":
        del settings["method"]
    settings["prompts"] = read_prompts(config.prompts)
    settings["train"] = read_text(config.train) if config.train and config.train.exists() else str(config.train)
    file = config.output / SETTINGS
    if not file.exists():
        write_json(file, settings)
        return
    earlier = read_json(file)
    changed = sorted(name for name in {*earlier, *settings} if earlier.get(name) != settings.get(name))
    if changed:
        raise VideoAlignError(
            f"{config.output} belongs to a run with other options ({', '.join(changed)}). Choose another --output, or delete it."
        )
