"""``videoalign demo``: the whole idea in a minute, offline. Clips with known faults, their scores, and a page to look at."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ..cli.options import CommandConfig


class Config(CommandConfig):
    """Make a handful of small clips (good ones and ones spoilt in known ways), score and rank them, and write a page.

    Nothing is downloaded. For real clips: videoalign score CLIPS --prompt TEXT --model CHECKPOINT
    """

    output: Path = Field(Path("demo"), description="Folder for the clips and the page.")
    seed: int = Field(7, ge=0, description="Another seed makes other clips.")


def run(config: Config) -> int:
    """Run the demo; returns the exit status."""
    from ..micro_world import write_video
    from ..reward.loading import load_video_reward
    from ..reward.settings import EMBEDDED_FILE
    from .demo_clips import make_demo_clips
    from .demo_page import write_demo_page
    from .scoring.score_table import score_table

    config.output.mkdir(parents=True, exist_ok=True)
    model = load_video_reward(EMBEDDED_FILE, device="cpu")
    clips = make_demo_clips(config.seed)
    results = []
    for clip in clips:
        path = config.output / f"{clip.name}.mp4"
        write_video(path, clip.frames, clip.fps)
        scores = model.score([path], [clip.prompt])[0]
        results.append({"id": clip.name, "path": str(path), "prompt": clip.prompt, **scores.to_dict()})
    ranking = sorted(range(len(clips)), key=lambda index: -results[index]["Overall"])
    print(f"Prompt: {clips[0].prompt}\n")
    print(score_table([{**results[index], "prompt": None} for index in ranking]))
    ranked = [clips[index] for index in ranking], [results[index] for index in ranking]
    page = write_demo_page(config.output / "index.html", *ranked)
    print(f"\nThe clips are in {config.output}; open {page} to see them side by side.")
    return 0
