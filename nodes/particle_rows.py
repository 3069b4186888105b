"""Where particles of some rows of a batch stand in whole batches. Nothing here imports ComfyUI."""

from __future__ import annotations

from collections.abc import Sequence


def whole_batches(rows: Sequence[int], batch: int) -> tuple[list[int], list[int]]:
    """How latents of these rows are laid out in whole batches, row after row, and where each of them then is.

    A place for which there is no latent gets the first one.

    Returns:
        (which latent stands at each place, the place of each latent).
    """
    seen: dict[int, int] = {}
    places = []
    for row in rows:
        places.append(seen.get(row, 0) * batch + row)
        seen[row] = seen.get(row, 0) + 1
    source = [0] * (max(seen.values()) * batch)
    for index, place in enumerate(places):
        source[place] = index
    return source, places
