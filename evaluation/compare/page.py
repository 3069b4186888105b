"""The comparison as a page: win rates with their intervals, what the judges disagree about, clips side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...clips.preview import write_playable
from ...files.atomic_file import write_text
from ...reward.dimensions import MEANING
from ...reward.judge import Dimension
from .judges import Judged
from .matching import MadeClip
from .win_rates import WinRate

_STYLE = """
body{font:16px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1060px;padding:0 1rem;background:#f6f7f9;color:#1c2330}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem}p.lead{margin:.2rem 0 1rem;color:#4a5568}
table{border-collapse:collapse;width:100%;background:#fff;border:1px solid #dde2ea;border-radius:10px}td,th{padding:.4rem .7rem;text-align:left}
th{font-size:.85rem;color:#4a5568}td.num{font-variant-numeric:tabular-nums;white-space:nowrap}
.track{position:relative;height:16px;background:#eceff4;border-radius:8px;min-width:300px}.track:after{content:"";position:absolute;left:50%;
top:-3px;bottom:-3px;width:1px;background:#596579}.span{position:absolute;top:5px;height:6px;border-radius:3px;background:#9aa5b5}
.dot{position:absolute;top:1px;width:14px;height:14px;margin-left:-7px;border-radius:7px;background:#8792a5}
.better .dot{background:#1f9d55}.better .span{background:#9bd8b5}.worse .dot{background:#cc3d3d}.worse .span{background:#eeb1b1}
.hack{background:#fdecc8;border:1px solid #d9a441;border-radius:8px;padding:.6rem .9rem;margin:.8rem 0}
.pair{background:#fff;border:1px solid #dde2ea;border-radius:10px;padding:.7rem .9rem;margin:.7rem 0}.prompt{font-weight:600;margin-bottom:.4rem}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:1rem}video{width:100%;max-height:340px;object-fit:contain;background:#11151c;border-radius:6px;
image-rendering:pixelated}.side b{display:block;margin:.2rem 0}.side table{border:0;font-size:.85rem}.side td{padding:.05rem .5rem .05rem 0}
.won{color:#1f9d55;font-weight:600}button{font:inherit;padding:.3rem .9rem;border-radius:6px;border:1px solid #9aa5b5;background:#fff;cursor:pointer}
footer{color:#68758a;font-size:.85rem;margin-top:1.4rem}@media(max-width:700px){.track{min-width:120px}}
"""

# Both clips of all pairs start together: only then can motion be compared.
_SCRIPT = """
const all=[...document.querySelectorAll('video')];
function restart(){all.forEach(v=>{v.currentTime=0;v.play().catch(()=>{})})}
document.querySelector('#again').onclick=restart;addEventListener('load',restart);
"""


@dataclass(frozen=True)
class Example:
    """One pair of clips to show, with each judge's scores of both."""

    base: MadeClip
    candidate: MadeClip


def write_page(
    folder: Path,
    names: tuple[str, str],
    tables: dict[str, dict[str, WinRate]],
    judged: dict[str, Judged],
    examples: Sequence[Example],
    pairs: int,
) -> Path:
    """Write index.html and the clips that it shows into a folder.

    Args:
        names: of the base and of the candidate.
        tables: judge -> dimension -> win rate of the candidate.
        judged: judge -> its marks of the base's and of the candidate's clips.
        examples: pairs to show.
        pairs: how many pairs were compared in all.
    """
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    base, candidate = (html.escape(name) for name in names)
    body = [
        f"<h1>{candidate} against {base}</h1>",
        f'<p class="lead">{pairs} pairs of clips, each of one prompt and one seed. The dot is the share that {candidate} wins '
        "(a tie counts half), the bar its 95 % interval; right of the middle is better.</p>",
    ]
    for judge, table in tables.items():
        rows = "".join(_row(dimension, table[dimension.name]) for dimension in judged[judge].dimensions)
        head = "<tr><th></th><th></th><th>win rate</th><th>wins / ties / losses</th><th>mean lead</th></tr>"
        body.append(f"<h2>Judged by {html.escape(judge)}</h2><table>{head}{rows}</table>")
    body += [f'<p class="hack">{html.escape(text)}</p>' for text in disagreements(tables)]
    body.append('<h2>Side by side <button id="again">play again</button></h2>')
    body += [_pair(clips, example, names, judged) for example in examples]
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{candidate} against {base}</title><style>{_STYLE}</style>{''.join(body)}"
        "<footer>The examples were picked by lot, not by score.</footer>"
        f"<script>{_SCRIPT}</script></html>"
    )
    path = folder / "index.html"
    write_text(path, text)
    return path


def disagreements(tables: dict[str, dict[str, WinRate]]) -> list[str]:
    """A sentence for each dimension in which one judge sees a clear gain and another a clear loss or no gain at all."""
    texts = []
    judges = list(tables)
    for name in dict.fromkeys(name for table in tables.values() for name in table):
        rating = [judge for judge in judges if name in tables[judge]]
        for judge in rating:
            for other in rating:
                first, second = tables[judge][name], tables[other][name]
                if first.verdict == 1 and second.verdict < 1 and second.rate <= 0.5:
                    what = "a loss" if second.verdict < 0 else "no gain"
                    texts.append(
                        f"{MEANING.get(name, name).capitalize()}: {judge} sees a gain ({first.rate:.0%}), {other} {what} ({second.rate:.0%}). "
                        "The clips may have learnt to please the first judge: look at them."
                    )
    return texts


def _row(dimension: Dimension, found: WinRate) -> str:
    kind = {1: "better", -1: "worse", 0: ""}[found.verdict]
    track = (
        f'<div class="track"><div class="span" style="left:{found.low:.1%};width:{found.high - found.low:.1%}"></div>'
        f'<div class="dot" style="left:{found.rate:.1%}"></div></div>'
    )
    return (
        f'<tr class="{kind}"><td>{html.escape(dimension.meaning.capitalize())}</td><td>{track}</td>'
        f'<td class="num">{found.rate:.1%} [{found.low:.1%}, {found.high:.1%}]</td>'
        f'<td class="num">{found.wins} / {found.ties} / {found.losses}</td>'
        f'<td class="num">{found.lead:+.3f} [{found.lead_low:+.3f}, {found.lead_high:+.3f}]</td></tr>'
    )


def _pair(folder: Path, example: Example, names: tuple[str, str], judged: dict[str, Judged]) -> str:
    sides = []
    for side, clip in enumerate((example.base, example.candidate)):
        file = write_playable(clip.path, folder / f"{'base' if side == 0 else 'candidate'}_{clip.id}.mp4")
        rows = "".join(_scores(one, example, side) for one in judged.values())
        sides.append(
            f'<div class="side"><video src="clips/{html.escape(file.name)}" muted loop playsinline controls></video>'
            f"<b>{html.escape(names[side])}</b><table>{rows}</table></div>"
        )
    prompt = f'<div class="prompt">{html.escape(example.base.prompt)} <small>seed {example.base.seed}</small></div>'
    return f'<div class="pair">{prompt}<div class="sides">{"".join(sides)}</div></div>'


def _scores(judged: Judged, example: Example, side: int) -> str:
    both = (judged.base, judged.candidate)
    own = both[side][(example.base, example.candidate)[side].id]
    other = both[1 - side][(example.candidate, example.base)[side].id]
    cells = "".join(
        f'<td class="num{" won" if one.merit(own[one.name]) > one.merit(other[one.name]) else ""}">'
        f"{html.escape(one.name)} {own[one.name]:+.2f}</td>"
        for one in judged.dimensions
    )
    return f"<tr><td>{html.escape(judged.title)}</td>{cells}</tr>"
