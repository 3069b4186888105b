"""A ranking as the frontend draws it."""

from __future__ import annotations

from .node_pictures import shown_clip
from .ranking import Ranking, choice_of

_WITH_ALL_PICTURES = 24  # candidates; of the others one picture is shown


def shown_ranking(ranking: Ranking) -> dict:
    """JSON-ready, for ``web/ranking_view.js``."""
    chosen = {row.index for row in ranking.chosen}
    rows = [
        {
            **shown_clip(row.clip, pictures=None if place < _WITH_ALL_PICTURES else 1),
            "rank": row.rank,
            "index": row.index,
            "title": row.title(len(ranking.order)),
            "total": row.total,
            **({"z": dict(row.z)} if ranking.by_z else {}),
            "why": row.why,
            "use_this": choice_of(row),
            "chosen": row.index in chosen,
            "picked": row is ranking.picked,
            "gate_failures": list(row.gate_failures),
        }
        for place, row in enumerate(ranking.order)
    ]
    notes = list(ranking.notes) if ranking.chosen else [ranking.why_none(), *ranking.notes]
    shown = {"clips": rows, "count": len(rows), "weights": ranking.weights, "top_k": ranking.top_k, "notes": notes}
    return {**shown, "by_z": True} if ranking.by_z else shown
