"""Clips from fixed prompts and seeds while training: MP4 files, and their scores where a reward is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...backbones.backbone import collate
from ...backbones.devices import autocast
from ...backbones.flow_path import seeded_noise
from ...backbones.sampling import guided_velocity, sample
from ...backbones.sampling_defaults import SamplingDefaults
from ...backbones.vae_loading import load_vae
from ...clips.pixels import as_frames
from ..loop.callback import Callback, Run, Say
from ..loop.log_file import append_log, read_log
from .task import FlowTask


class Previews(Callback):
    """Samples the preview prompts before the first step, every so many steps and after the last.

    Clip number n has the seed of the run plus n, at every time. Files: ``previews/step-00000100/0.mp4``; scores:
    ``previews/scores.jsonl``. Only the main process samples; others wait.

    Attributes:
        scores: step -> mean score by name, where a reward is given.
    """

    def __init__(self, task: FlowTask) -> None:
        self.task, self.options = task, task.config.preview
        self.folder = task.config.output / "previews"
        self.scores: dict[int, dict[str, float]] = {}
        self._broken: list[str] = []  # of the last previews

    def began(self, run: Run, say: Say) -> None:
        for line in read_log(self.folder / "scores.jsonl"):
            self.scores.setdefault(line["step"], {name: line[name] for name in line if name != "step"})
        if run.step == 0:
            self._make(0, say)  # a moving average begins at the same weights

    def stepped(self, run: Run, say: Say) -> None:
        if run.step % self.options.every == 0 or run.step == run.steps:
            if run.accelerator.is_main_process:
                with run.averaged():
                    self._make(run.step, say)
            run.accelerator.wait_for_everyone()

    def before_and_after(self) -> tuple[dict[str, float], dict[str, float]] | None:
        """Mean scores of the first and of the last previews, for the LoRA's metadata."""
        if len(self.scores) < 2:
            return None
        return self.scores[min(self.scores)], self.scores[max(self.scores)]

    def settings(self) -> SamplingDefaults:
        """How previews are sampled: the model's defaults, at the size of the training clips."""
        data, options = self.task.config.data, self.options
        values = {"width": data.width, "height": data.height, "frames": data.frames, "fps": data.fps}
        values |= {} if options.steps is None else {"steps": options.steps}
        values |= {} if options.guidance is None else {"guidance_scale": options.guidance}
        return self.task.backbone.sampling_as(options.distilled).changed(**values)

    def _make(self, step: int, say: Say) -> None:
        from ...clips.video_file import write_video

        target = self.folder / f"step-{step:08d}"
        target.mkdir(parents=True, exist_ok=True)
        files = []
        for number, video in enumerate(self._videos()):
            files.append(target / f"{number}.mp4")
            write_video(files[-1], video, self.task.config.data.fps)
        text = f"step {step}: previews in {target}"
        if self._broken:
            text += f" ({', '.join(self._broken)} not finite: NaN or infinite, shown black)"
        if self.options.reward is not None:
            self.scores[step] = self._score(files)
            append_log(self.folder / "scores.jsonl", {"step": step, **self.scores[step]})
            text += ": " + ", ".join(f"{name} {score:+.2f}" for name, score in self.scores[step].items())
        say(text)

    @torch.no_grad()
    def _videos(self) -> list[np.ndarray]:
        """[T, H, W, 3] uint8 of each prompt. The VAE is loaded for this and let go again."""
        module, settings, cache = self.task.module, self.settings(), self.task.train.cache
        training = module.training
        module.eval()
        device = next(module.parameters()).device
        levels = settings.schedule
        shape = self.task.backbone.latent_format.shape(settings.frames, settings.height, settings.width)
        latents = []
        for number, prompt in enumerate(self.options.prompts):
            image = cache.image(self.options.images[number]) if self.options.images else {}
            positive, negative = (
                {k: v.to(device) for k, v in collate([cache.conditioning(text) | image]).items()}
                for text in (prompt, "")
            )
            velocity = guided_velocity(module.velocity_of_all, positive, negative, settings.guidance_scale)
            noise = seeded_noise([self.task.config.seed + number], shape).to(device)
            with autocast(device, torch.bfloat16, self.task.config.precision == "bfloat16"):
                latents.append(sample(velocity, noise, levels).float())
        module.train(training)
        vae = load_vae(self.task.config.model.vae, device=device)
        videos = [vae.decode(clip)[0] for clip in latents]
        self._broken = [f"{number}.mp4" for number, video in enumerate(videos) if not video.isfinite().all()]
        return [as_frames(video) for video in videos]

    def _score(self, files: list[Path]) -> dict[str, float]:
        from ...judges import JudgeOptions, judge_or_reward, open_judge
        from ...reward.judge import all_dimensions
        from ...reward.scoring_stream import score_clips

        device = str(next(self.task.module.parameters()).device)
        judge = open_judge(judge_or_reward(self.options.reward), JudgeOptions(device=device))
        marks = [one.marks for one in score_clips(judge, files, self.options.prompts)]
        names = [dimension.name for dimension in all_dimensions(judge)]
        return {name: float(np.mean([one[name] for one in marks])) for name in names}
