"""What the micro video model draws, by the world's own measurement, beside the clips that it learned from and what its VAE leaves of them.

    python benchmarks/micro_video_quality.py [--clips 150] [--guidance-scale 4] [--sheet SHEET.png]

Shares of clips with the right colour, shape, direction and count; mean qualities (0 best, -1 worst) and degrees of faults.
"""

from pathlib import Path

from results_section import Section, benchmark_parser

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
    parser.add_argument("--guidance-scale", type=float, default=4.0)
    parser.add_argument("--sheet", type=Path, help="picture of the first clips")
    options = parser.parse_args()
    with Section(HEADING, options) as section:
        compare(section, options.clips, options.guidance_scale, options.sheet)


def compare(section: Section, count: int, guidance_scale: float, sheet: Path | None) -> None:
    """The table: a row for the model's clips, the drawn ones, and these through the VAE."""
    section.paragraph(
        f"{count} clips, classifier-free guidance {guidance_scale:g}, by the world's own measurement: mean qualities (0 best, -1 worst), "
        "shares of clips with a shape and with each attribute right, degrees of faults (0 none, 1 most)."
    )
    captions = judged_captions(count)
    clips = sample_clips(MICRO_NETWORK, MICRO_VAE, captions, guidance_scale=guidance_scale)
    measured = judge(clips, captions)
    section.table("", *("a shape" if name == "found" else name for name in measured))
    section.row("its clips", *measured.values())
    if sheet:
        contact_sheet(sheet, clips[:12])
    drawn = [sample_video_clip(SEED, index) for index in range(count)]
    faultless = [clip for clip in drawn if not clip.faults]
    texts, vae = [clip.caption for clip in faultless], load_vae(MICRO_VAE)
    section.row(
        f"{len(faultless)} drawn clips without faults", *judge([clip.frames for clip in faultless], texts).values()
    )
    again = [as_frames(vae.decode(vae.encode(as_video(clip.frames)[None]))[0]) for clip in faultless]
    section.row("the same through its VAE", *judge(again, texts).values())
    section.note("A fifth of the drawn clips contradict their caption on purpose.")


if __name__ == "__main__":
    main()
