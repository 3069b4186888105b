"""What the micro video model draws, by the world's own measurement, beside the clips that it learned from and what its VAE leaves of them.

    python benchmarks/micro_video_quality.py [--clips 150] [--guidance-scale 2.5 ...] [--other NETWORK VAE] [--sheet SHEET.png]

Shares of clips with the right colour, shape, direction and count; mean qualities (0 best, -1 worst) and degrees of faults. Another network
with its VAE stands side by side.
"""

import argparse
from pathlib import Path

from results_section import Section, benchmark_parser

from videoalign.backbones.loading import load_backbone
from videoalign.backbones.micro_files import MICRO_NETWORK, MICRO_VAE
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_frames, as_video
from videoalign.micro.video.clips import sample_video_clip
from videoalign.micro.video.judging import contact_sheet, judge, judged_captions, sample_clips

HEADING = "The micro video model"
SEED = 12345  # of clips that it was not trained on


def main() -> None:
    """Sample, measure, print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument(
        "--guidance-scale", type=float, nargs="+", help="of classifier-free guidance; each model's own by default"
    )
    parser.add_argument("--steps", type=int, help="Euler steps; each model's own number by default")
    parser.add_argument(
        "--other", type=Path, nargs=2, metavar=("NETWORK", "VAE"), help="files of another micro video model"
    )
    parser.add_argument("--sheet", type=Path, help="picture of the first clips; of the other model where there is one")
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        compare(section, options)


def compare(section: Section, options: argparse.Namespace) -> None:
    """The table: rows for each model's clips, the drawn ones, and these through each VAE."""
    section.paragraph(
        f"{options.clips} clips, by the world's own measurement: mean qualities (0 best, -1 worst), shares of clips with a shape and with each "
        "attribute right, degrees of faults (0 none, 1 most)."
    )
    models = {"the shipped one": (MICRO_NETWORK, MICRO_VAE)}
    if options.other:
        models["the other"] = options.other
    captions = judged_captions(options.clips)
    rows = {}
    for name, (network, vae) in models.items():
        own = load_backbone(network).sampling
        for scale in options.guidance_scale or [own.guidance_scale]:
            steps = options.steps or own.steps
            clips = sample_clips(network, vae, captions, guidance_scale=scale, steps=steps)
            rows[name, f"{scale:g}", str(steps)] = judge(clips, captions)
    if options.sheet:
        contact_sheet(options.sheet, clips[:12])
    drawn = [sample_video_clip(SEED, index) for index in range(options.clips)]
    faultless = [clip for clip in drawn if not clip.faults]
    texts = [clip.caption for clip in faultless]
    rows[f"{len(faultless)} drawn clips without faults", "", ""] = judge([clip.frames for clip in faultless], texts)
    for name, (_, file) in models.items():
        vae = load_vae(file)
        again = [as_frames(vae.decode(vae.encode(as_video(clip.frames)[None]))[0]) for clip in faultless]
        rows[f"the same through the VAE of {name}", "", ""] = judge(again, texts)
    section.table("", "guidance", "steps", *next(iter(rows.values())))
    for title, measured in rows.items():
        section.row(*title, *measured.values())
    section.note("One of twenty drawn clips contradicts its caption on purpose.")


if __name__ == "__main__":
    main()
