"""The demo's page: one self-contained HTML file with moving clips, frame strips and score bars, the best first."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files.atomic_file import write_text
from ..reward.dimensions import DIMENSIONS, MEANING
from .demo_clips import DemoClip

STRIP_FRAMES = 6
BAR_LIMIT = 3.0  # standard deviations at the ends of a bar

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1020px;padding:0 1rem;background:#f6f7f9;color:#1c2330}
h1{font-size:1.6rem;margin:0 0 .3rem}p.lead{margin:.2rem 0 1.4rem;color:#4a5568}
.card{display:grid;grid-template-columns:3.2rem 150px 1fr 330px;gap:1rem;align-items:center;background:#fff;border:1px solid #dde2ea;
border-radius:10px;padding:.8rem 1rem;margin:.6rem 0}
.card.best{border:2px solid #1f9d55}.card.worst{border:2px solid #cc3d3d}
.rank{font-size:1.7rem;font-weight:700;text-align:center;color:#8792a5}.best .rank{color:#1f9d55}.worst .rank{color:#cc3d3d}
img{image-rendering:pixelated;border-radius:6px;display:block}.strip{width:100%;max-width:370px;margin-top:.4rem}
.name{font-weight:600}.tag{font-size:.75rem;font-weight:600;color:#fff;border-radius:4px;padding:.05rem .4rem;margin-left:.4rem}
.best .tag{background:#1f9d55}.worst .tag{background:#cc3d3d}.note{color:#4a5568;font-size:.9rem}
.row{display:grid;grid-template-columns:118px 1fr 48px;gap:.5rem;align-items:center;font-size:.85rem;margin:.18rem 0}
.track{position:relative;height:12px;background:#eceff4;border-radius:6px}.track:after{content:"";position:absolute;left:50%;top:-2px;
bottom:-2px;width:1px;background:#9aa5b5}.fill{position:absolute;top:0;bottom:0;border-radius:6px}.up{background:#1f9d55}.down{background:#cc3d3d}
.num{text-align:right;font-variant-numeric:tabular-nums}.overall{font-weight:700;border-top:1px solid #e5e9f0;padding-top:.25rem}
footer{color:#68758a;font-size:.85rem;margin-top:1.4rem}
@media(max-width:860px){.card{grid-template-columns:2.4rem 1fr}.bars,.text{grid-column:1/-1}}
"""


def write_page(path: Path, clips: Sequence[DemoClip], results: Sequence[dict]) -> Path:
    """Write the page; clips and results in the order of the ranking.

    Args:
        results: objects of ``videoalign score --json`` with VQ, MQ, TA and Overall.
    """
    cards = [
        _card(place, len(clips), clip, result)
        for place, (clip, result) in enumerate(zip(clips, results, strict=True), 1)
    ]
    content = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>VideoAlign demo</title><style>{_STYLE}</style><h1>Which clip is best, and why?</h1>"
        f'<p class="lead">All clips were asked for with the same words: <b>{html.escape(clips[0].prompt)}</b>. '
        "A small reward model watched each and gave three scores. The best comes first.</p>"
        + "".join(cards)
        + "<footer>Green is better, red is worse, the unit is one standard deviation of the reward's training set; 0 is its "
        "average. The clips are the micro world's: what works here on a laptop works on real clips with the released "
        "VideoReward.</footer></html>"
    )
    write_text(path, content)
    return path


def _card(place: int, count: int, clip: DemoClip, result: dict) -> str:
    kind, tag = {1: ("best", "best"), count: ("worst", "worst")}.get(place, ("", ""))
    badge = f'<span class="tag">{tag}</span>' if tag else ""
    bars = "".join(_bar(MEANING[name].capitalize(), result[name], BAR_LIMIT) for name in DIMENSIONS)
    overall = _bar("Overall (sum)", result["Overall"], BAR_LIMIT * len(DIMENSIONS), "overall")
    return (
        f'<div class="card {kind}"><div class="rank">{place}</div><img width="150" height="150" alt="{html.escape(clip.name)}" '
        f'src="{_moving(clip)}"><div class="text"><div class="name">{html.escape(clip.name)}{badge}</div>'
        f'<div class="note">{html.escape(clip.note)}</div><img class="strip" alt="frames" src="{_strip(clip)}"></div>'
        f'<div class="bars">{bars}{overall}</div></div>'
    )


def _bar(label: str, value: float, limit: float, kind: str = "") -> str:
    width = min(abs(value) / limit, 1) * 50
    side = f"left:50%;width:{width:.1f}%" if value >= 0 else f"right:50%;width:{width:.1f}%"
    fill = f'<div class="fill {"up" if value >= 0 else "down"}" style="{side}"></div>'
    return f'<div class="row {kind}"><span>{label}</span><div class="track">{fill}</div><span class="num">{value:+.2f}</span></div>'


def _moving(clip: DemoClip) -> str:
    from PIL import Image

    frames = [Image.fromarray(frame) for frame in clip.frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=round(1000 / clip.fps), loop=0, lossless=True
    )
    return _data_address("webp", buffer)


def _strip(clip: DemoClip) -> str:
    from PIL import Image

    chosen = np.linspace(0, len(clip.frames) - 1, STRIP_FRAMES).round().astype(int)
    gap = np.full((clip.frames.shape[1], 3, 3), 255, np.uint8)
    parts = [part for index in chosen for part in (clip.frames[index], gap)][:-1]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(buffer, "PNG")
    return _data_address("png", buffer)


def _data_address(kind: str, buffer: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
