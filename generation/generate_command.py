"""``videoalign generate``: several clips of each prompt from a video model, with LoRAs, reward guidance or particles."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ..cli.options import CommandConfig, positional
from ..errors import ClipError, VideoAlignError, listed
from .clip_folder import ClipFolder, Wanted, wanted_clips
from .images import check_images, image_settings, images_of
from .making import made_or_failed, unreadable_images
from .particles import Resampling
from .prompt_sets import read_prompt_set
from .sampling_options import Sampling, distilled_field, settings_for
from .vbench_layout import check_case, how_to_evaluate, prompt_files, vbench_clips

if TYPE_CHECKING:
    from ..backbones.sampling import Fault, GeneratedClip
    from ..backbones.sampling_defaults import SamplingDefaults
    from .particles import ParticleSampler
    from .pipeline import Pipeline
    from .prompts import PromptRow

FIRST_FAILURES = 3
"""So many clips that fail before one was made end the run."""
MOST_TOLD = 10
CLIPS_PER_PROMPT = 4


class Guidance(CommandConfig):
    """Reward guidance (Flow-NRG) while sampling."""

    latent_reward: str | None = Field(None, description='Latent reward file, or "micro"; unset: no guidance.')
    VQ: float = Field(0.1, ge=0, description="Weight of visual quality.")
    MQ: float = Field(0.1, ge=0, description="Weight of motion quality.")
    TA: float = Field(0.8, ge=0, description="Weight of text alignment.")
    strength: float = Field(0.3, ge=0, description="Unit-free: 0.1 to 1 is usual; raw: the paper's w (100 there).")
    mode: Literal["unit-free", "raw"] = Field("unit-free", description="What strength means.")
    cap: float = Field(0.5, ge=0, description="Most that the shift may be, as a share of the velocity; 0: no limit.")


class Config(CommandConfig):
    """Generate clips from a file of prompts.

    Every prompt gets the same seeds, so that two runs (a model and its LoRA, say) can be compared clip by clip. A run that
    was stopped goes on where it was. The output folder holds videos/, clips.jsonl (the list, with prompt and seed of
    each clip; videoalign score and videoalign compare read it) and generate.json (the settings). An image-to-video model
    (Wan) needs an image for each prompt: a column "image" with the path of a picture, relative to the file of prompts.
    For VBench: videoalign generate vbench --layout vbench --output clips.
    A clip that fails is told, the others are made, and the exit status is 1.
    """

    prompts: Path | None = positional(
        default=None,
        description="Text file with one prompt a line (a line that begins with # is a remark; \\# is a prompt with #), or CSV, TSV, JSON or JSONL with "
        "a prompt column and, for image-to-video, an image column; or a public set: ta-hard, videogen-eval, vbench, vbench-long.",
    )
    output: Path = Field(description="Folder for the clips.")
    model: str = Field("micro", description='Network: ComfyUI file or diffusers folder, or "micro", the embedded one.')
    vae: str | None = Field(None, description="VAE file or folder; found by itself in a diffusers folder.")
    text_encoder: str | None = Field(None, description="Text encoder file or folder; likewise.")
    image_encoder: str | None = Field(
        None, description="CLIP vision file or folder of a Wan 2.1 image-to-video model; likewise."
    )
    lora: list[str] = Field([], description="LoRA to merge, file.safetensors or file.safetensors:strength; repeatable.")
    clips_per_prompt: int | None = Field(
        None,
        ge=1,
        description="Clips of each prompt, with seeds --seed and following; 4 by default, for VBench 5, and 25 of prompts of temporal flickering.",
    )
    seed: int = Field(0, ge=0, description="First seed of each prompt.")
    negative_prompt: str = Field("", description="What to steer away from.")
    batch_size: int = Field(1, ge=1, description="Clips sampled together; clips do not depend on it, up to rounding.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Of the network; auto: that of its weights, but float32 on a CPU without bfloat16 instructions.",
    )
    device: str | None = Field(
        None, description="Such as cuda:1, xpu, mps or cpu; the accelerator by default where there is one."
    )
    layout: Literal["plain", "vbench"] = Field(
        "plain",
        description="vbench: FOLDER/SHORT PROMPT-INDEX.mp4 in the place of videos/, as VBench looks for them, a folder for each of its lists of prompts.",
    )
    dimension: list[str] = Field(
        [], description="With the layout vbench: only prompts for this dimension of VBench, such as color; repeatable."
    )
    download: bool = Field(
        False, description="Permit fetching a public set of prompts, which is then checked by its digest."
    )
    distilled: str | None = distilled_field()
    dry_run: bool = Field(False, description="Only tell what the run will take, as videoalign plan generate does.")
    sampling: Sampling = Sampling()
    guidance: Guidance = Guidance()
    resampling: Resampling = Resampling()

    @model_validator(mode="after")
    def _has_prompts(self) -> Config:
        if self.prompts is None:
            raise ValueError("name the file of prompts")
        if self.dimension and self.layout != "vbench":
            raise ValueError("--dimension is VBench's; give --layout vbench too")
        return self


def run(config: Config) -> int:
    """Generate what is missing; returns 0, 1 when some clips could not be made, or 130 when interrupted.

    Raises:
        VideoAlignError: prompts, model or output cannot be used.
    """
    if config.dry_run:
        return tell(config)
    from ..files.atomic_file import write_json
    from ..files.output_folder import held
    from ..micro_world.domain import unknown_captions_note
    from .pipeline import MICRO

    rows, wanted, left_out = rows_and_clips(config)
    unreadable = unreadable_images(wanted)
    failed = {clip.id: unreadable[clip.image] for clip in wanted if clip.image in unreadable}
    if len(failed) == len(wanted):
        raise ClipError(next(iter(failed.values())))
    rows = [row for row in rows if row.image not in unreadable]
    settings = settings_of(config) | image_settings(config.model, config.image_encoder, rows)
    with held(config.output, "generate"):
        if config.layout == "vbench":
            check_case(wanted, config.output)
        folder = ClipFolder(config.output, settings)
        missing = [clip for clip in folder.missing(wanted) if clip.id not in failed]
        if config.model == MICRO and (note := unknown_captions_note(clip.prompt for clip in missing)):
            print(f"note: {note}", file=sys.stderr)
        if missing:
            try:
                failed |= generate_into(folder, missing, config)
            except KeyboardInterrupt:
                print("videoalign generate: interrupted. Run the same command again to go on.", file=sys.stderr)
                return 130
        made = [clip for clip in wanted if clip.id not in failed]
        folder.close(made, others=config.layout == "vbench")  # a run a dimension is usual there
        for name, prompts in prompt_files(made).items() if config.layout == "vbench" else ():
            write_json(config.output / name, prompts)
    print(f"{len(made)} clips of {len({clip.prompt for clip in made})} prompts in {config.output}.")
    if config.layout == "vbench":
        print(how_to_evaluate(config.output, made, left_out))
    if failed:
        print(f"videoalign generate: {len(failed)} of {len(wanted)} clips could not be made:", file=sys.stderr)
        for name, why in list(failed.items())[:MOST_TOLD]:
            print(f"  {name}: {why}", file=sys.stderr)
        if len(failed) > MOST_TOLD:
            print(f"  and {len(failed) - MOST_TOLD} more", file=sys.stderr)
    return 1 if failed else 0


def rows_and_clips(config: Config) -> tuple[list[PromptRow], list[Wanted], list[str]]:
    """The prompts, the clips to make of them, and the prompts that VBench's layout leaves out.

    Raises:
        VideoAlignError: the prompts cannot be read, or the model takes an image and they have none (or the other way round).
    """
    from .model_files import model_files

    rows = read_prompt_set(config.prompts, config.download)
    check_images(model_files(config.model, config.vae, config.text_encoder)[0], rows)
    if config.layout == "vbench":
        return rows, *vbench_clips(rows, config.seed, config.clips_per_prompt, config.dimension)
    return rows, wanted_clips(rows, config.clips_per_prompt or CLIPS_PER_PROMPT, config.seed), []


def tell(config: Config) -> int:
    """Print what generating the clips will take; returns 0."""
    from ..planning.report import plan_text
    from .plan import plan_generate

    print(plan_text(plan_generate(config, rows_and_clips(config)[1])))
    return 0


def settings_of(config: Config) -> dict:
    """What the clips depend on, with the content of the files that are named."""
    from ..lora.merging import lora_and_strength
    from .identity import file_key
    from .model_files import model_files

    network, vae, text_encoder = model_files(config.model, config.vae, config.text_encoder)
    loras = [lora_and_strength(entry) for entry in config.lora]
    guidance = config.guidance.model_dump() if config.guidance.latent_reward else None
    resampling = config.resampling.identity()
    return {
        "model": config.model,
        "network": file_key(Path(network)),
        "vae": file_key(Path(vae)),
        "text_encoder": text_encoder if text_encoder == "micro" else file_key(Path(text_encoder)),
        "lora": [[file.name, file_key(file), strength] for file, strength in loras],
        "negative_prompt": config.negative_prompt,
        "sampling": config.sampling.model_dump(exclude_none=True),
        "guidance": guidance,
        **({} if config.distilled is None else {"distilled": config.distilled}),
        **({} if resampling is None else {"resampling": resampling}),
        **({} if config.layout == "plain" else {"layout": config.layout}),
        **_half_on_a_cpu(config, network),
    }


def _half_on_a_cpu(config: Config, network: str) -> dict:
    """Folders of earlier versions do not name a type: on a CPU it was float32, so only another one is told of."""
    import torch

    from ..backbones.devices import chosen_device
    from .pipeline import network_dtype

    device = chosen_device(config.device)
    if device.type != "cpu":
        return {}
    dtype = network_dtype(network, device) if config.dtype == "auto" else getattr(torch, config.dtype)
    return {} if dtype == torch.float32 else {"dtype": str(dtype).removeprefix("torch.")}


def generate_into(folder: ClipFolder, missing: list[Wanted], config: Config) -> dict[str, str]:
    """Sample the missing clips and write each as it is finished; returns the names of those that failed, and why.

    Of a clip with values that are not finite nothing is written. One that has one colour throughout is written, and told of on
    standard error.

    Raises:
        VideoAlignError: the first clips all fail, and the folder has none: then it is hardly they that are wrong.
    """
    from tqdm import tqdm

    from ..backbones.sampling import euler, generate
    from ..clips.pixels import as_frames

    pipeline, sampling, guidance = prepare(config)
    particles = particle_sampler(config, pipeline)
    folder.begin()  # the settings can be met: from here on the folder belongs to them

    def sampler(clips: list[Wanted]) -> Iterator[GeneratedClip]:
        return generate(
            pipeline.backbone,
            pipeline.vae,
            pipeline.text_encoder,
            [clip.prompt for clip in clips],
            [clip.seed for clip in clips],
            sampling,
            negative_prompt=config.negative_prompt,
            batch_size=config.batch_size,
            image=images_of(clips, pipeline, sampling),
            guidance=guidance,
            sampler=particles or euler,
        )

    failed: dict[str, VideoAlignError] = {}
    uniform: list[str] = []
    hopeless = min(FIRST_FAILURES, len(missing))
    with tqdm(total=len(missing), unit="clip", disable=None) as bar:
        outcomes = made_or_failed(sampler, missing, config.batch_size, lambda fault: _cause(fault, config, pipeline))
        for number, (wanted, made) in enumerate(outcomes, 1):
            if isinstance(made, VideoAlignError):
                failed[wanted.id] = made
                if len(failed) == hopeless and folder.is_empty:
                    raise next(iter(failed.values()))
            else:
                frames = as_frames(made.video)
                folder.add(wanted, frames, made.fps, described(config, pipeline))
                if frames.min() == frames.max():
                    uniform.append(wanted.id)
            bar.update()
            if bar.disable and (number % 50 == 0 or number == len(missing)):
                print(f"{number} of {len(missing)} clips", file=sys.stderr)
    if particles is not None and particles.clips:
        print(f"A clip cost {particles.cost():.2f} runs of the network on average, its particles counted together.")
    if uniform:
        print(
            f"{len(uniform)} of {len(missing)} clips have one colour throughout ({listed(uniform)}). Look at them: the network, "
            "a LoRA or the VAE is probably another model's, or the guidance is too strong.",
            file=sys.stderr,
        )
    return {name: str(error) for name, error in failed.items()}


def _cause(fault: Fault, config: Config, pipeline: Pipeline) -> str:
    """What is likely to have made a clip's values not finite, and what to do."""
    if fault == "conditioning":
        what = f"what the text encoder ({config.text_encoder or config.model}) made of its prompt, or the image encoder of its image"
        return f"{what}, is not finite (NaN or infinite). Use another file of that encoder."
    if fault == "vae":
        what = f"the latent that was sampled is finite, but not the picture that the VAE ({config.vae or config.model}) made of it"
        return f"{what}. Use another file of the VAE, or the VAE of this model."
    remedies = []
    if config.lora:
        remedies.append(f"leave out the LoRA ({', '.join(config.lora)}) or lower its strength")
    if config.guidance.latent_reward:
        remedies.append(f"lower the guidance's strength ({config.guidance.strength:g})")
    used = str(pipeline.backbone.dtype).removeprefix("torch.")
    remedies.append(
        "choose --dtype float32 or bfloat16" if used == "float16" else f"use another file of {config.model}"
    )
    return (
        f"what the network ({config.model}, {used}) sampled is not finite (NaN or infinite); {', or '.join(remedies)}."
    )


def prepare(config: Config) -> tuple[Pipeline, SamplingDefaults, object]:
    """The loaded model, the sampling settings, and what makes the guidance hook (None without guidance)."""
    import torch

    from ..backbones.devices import chosen_device
    from ..guidance.settings import GuidanceSettings
    from .pipeline import load_pipeline, reward_guidance

    device = str(chosen_device(config.device))
    dtype = None if config.dtype == "auto" else getattr(torch, config.dtype)
    pipeline = load_pipeline(
        config.model, config.vae, config.text_encoder, config.lora, dtype, device, config.image_encoder
    )
    sampling = settings_for(pipeline.backbone, config.sampling, config.distilled)
    guidance = None
    if config.guidance.latent_reward:
        options = config.guidance
        settings = GuidanceSettings(
            {"VQ": options.VQ, "MQ": options.MQ, "TA": options.TA},
            options.strength,
            options.mode,
            cap=options.cap or None,
        )
        guidance = reward_guidance(options.latent_reward, settings, device, pipeline.backbone)
    return pipeline, sampling, guidance


def particle_sampler(config: Config, pipeline: Pipeline) -> ParticleSampler | None:
    """What samples with particles; None where the plain sampler does."""
    from ..backbones.devices import chosen_device
    from .particles import ParticleSampler

    chosen = config.resampling
    if chosen.latent_reward is None:
        return None
    return ParticleSampler(
        chosen.latent_reward, chosen.settings(), str(chosen_device(config.device)), pipeline.backbone
    )


def described(config: Config, pipeline: Pipeline) -> str:
    """The model in words, for the list of clips: name, LoRAs, guidance, particles."""
    parts = [pipeline.name, *(Path(entry).name for entry in config.lora)]
    if config.guidance.latent_reward:
        options = config.guidance
        parts.append(
            f"guided VQ {options.VQ:g} MQ {options.MQ:g} TA {options.TA:g} {options.mode} {options.strength:g}"
        )
    if config.resampling.latent_reward:
        parts.append(config.resampling.described())
    return " + ".join(parts)
