"""What the micro video model draws, by the world's own measurement, beside the clips that it learned from and what its VAE leaves of them.

    python benchmarks/micro_video_quality.py [--clips 150] [--guidance-scale 4] [--sheet SHEET.png]

Shares of clips with the right colour, shape, direction and count; mean qualities (0 best, -1 worst) and degrees of faults.
"""

import argparse
from pathlib import Path

from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_frames, as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.judging import contact_sheet, judge, judged_captions, sample_clips

SEED = 12345  # of clips that it was not trained on


def main() -> None:
    """Sample, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--guidance-scale", type=float, default=4.0)
    parser.add_argument("--sheet", type=Path, help="picture of the first clips")
    options = parser.parse_args()
    captions = judged_captions(options.clips)
    clips = sample_clips(MICRO_NETWORK, MICRO_VAE, captions, guidance_scale=options.guidance_scale)
    show("the model's clips", judge(clips, captions))
    if options.sheet:
        contact_sheet(options.sheet, clips[:12])
    drawn = [sample_video_clip(SEED, index) for index in range(options.clips)]
    faultless = [clip for clip in drawn if not clip.faults]
    texts, vae = [clip.caption for clip in faultless], load_vae(MICRO_VAE)
    show(f"{len(faultless)} drawn clips without faults", judge([clip.frames for clip in faultless], texts))
    again = [as_frames(vae.decode(vae.encode(as_video(clip.frames)[None]))[0]) for clip in faultless]
    show("the same through the VAE", judge(again, texts))


def show(name: str, row: dict[str, float]) -> None:
    print(f"{name}: " + ", ".join(f"{key} {value:.2f}" for key, value in row.items() if abs(value) >= 0.005))


if __name__ == "__main__":
    main()
