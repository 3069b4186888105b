"""What each shortcut of scoring saves, against the plain way, in turn in one process.

- Sparse decoding: ten frames of a clip of H.264 with B-frames, with and without decoding those that nothing builds on.
- Patch embedding: 2,000 patches at Qwen2-VL-2B's width as a product, and as the convolution that the checkpoint stores.
- Compiling: two blocks of each part at the 2B model's widths, compiled (``--compile``) and not.
- Attention: captions of a clip filled up on the right, causal alone and with a padding mask, at the 2B model's heads.

Each pair is compared for equality first.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from measure_speed import moving_texture
from results_section import Section, benchmark_parser
from synthetic_checkpoint import Sizes, random_video_reward
from timing import COLUMNS, interleaved

from videoalign.clips import video_decoding
from videoalign.clips.video_decoding import decode_frames
from videoalign.clips.video_file import write_video
from videoalign.reward.clip import PreparedClip

HEADING = "Shortcuts of scoring"
PATCHES, HEADS, HEAD_DIM, CLIP_TOKENS = 2_000, 12, 128, 600


def main() -> None:
    """The table."""
    parser = benchmark_parser(__doc__, repeats=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    with Section(HEADING, options, libraries=("torch", "av")) as section, tempfile.TemporaryDirectory() as folder:
        section.table("", *COLUMNS, "of the plain way", "largest difference")
        for name, ours, plain in (
            decoding(Path(folder)),
            embedding(torch.float32),
            embedding(torch.bfloat16),
            attention(),
            compiled(),
        ):
            difference = np.abs(_numbers(ours()) - _numbers(plain())).max()
            times = interleaved(options.repeats, {"ours": ours, "plain": plain}, warm_up=1)
            section.row(f"{name}: plain", *times["plain"].cells(3), "1", "")
            ratio = times["ours"].ratio(times["plain"])[0]
            section.row(f"{name}: ours", *times["ours"].cells(3), f"{ratio:.2f}", f"{difference:.2g}")


def decoding(folder: Path) -> tuple:
    """Ten frames of four seconds at 480p."""
    file = folder / "clip.mp4"
    write_video(file, moving_texture(96), 24)
    known = video_decoding._DISPOSABLE_KNOWN

    def plain() -> np.ndarray:
        video_decoding._DISPOSABLE_KNOWN = frozenset()
        try:
            return ours()
        finally:
            video_decoding._DISPOSABLE_KNOWN = known

    def ours() -> np.ndarray:
        return decode_frames(file, lambda total, fps: list(range(0, total, total // 10))[:10]).frames

    return "sparse decoding", ours, plain


def embedding(dtype: torch.dtype) -> tuple:
    """The vision tower's first layer."""
    layer = torch.nn.Conv3d(3, 1280, (2, 14, 14), stride=(2, 14, 14), bias=False).to(dtype).requires_grad_(False)
    patches = torch.randn(PATCHES, 1176, dtype=dtype)

    def ours() -> torch.Tensor:
        return F.linear(patches, layer.weight.flatten(1))

    def plain() -> torch.Tensor:
        return layer(patches.view(-1, 3, 2, 14, 14)).flatten(1)

    return f"patch embedding, {str(dtype).removeprefix('torch.')}", ours, plain


def attention() -> tuple:
    """Four texts of one clip, of which three are filled up."""
    q, k, v = (torch.randn(4, HEADS, CLIP_TOKENS, HEAD_DIM) for _ in range(3))
    lengths = torch.tensor([CLIP_TOKENS, CLIP_TOKENS - 40, CLIP_TOKENS - 80, CLIP_TOKENS - 120])
    inside = torch.arange(CLIP_TOKENS) < lengths[:, None]
    causal = torch.ones(CLIP_TOKENS, CLIP_TOKENS, dtype=torch.bool).tril()
    mask = causal & inside[:, None, None, :]

    def ours() -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True) * inside[:, None, :, None]

    def plain() -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask) * inside[:, None, :, None]

    return "attention without a padding mask", ours, plain


def compiled() -> tuple:
    """A clip's pass; what compiling itself takes is left out."""
    plain, ours = (
        random_video_reward(torch.float32, sizes=Sizes(layers=2, depth=2, vocabulary=4096)) for _ in range(2)
    )
    ours.network.compile_blocks()
    grid = (2, 22, 42)
    clip = PreparedClip(torch.randn(2 * 22 * 42, 1176), grid, list(range(4)), (308, 588), 4, 2.0)

    def passed(model) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat(model.read(clip, ["A red fox runs across a field of snow at dawn."]))

    return "compiled blocks, float32", lambda: passed(ours), lambda: passed(plain)


def _numbers(values: np.ndarray | torch.Tensor) -> np.ndarray:
    return np.asarray(values.float() if isinstance(values, torch.Tensor) else values, dtype=np.float64)


if __name__ == "__main__":
    main()
