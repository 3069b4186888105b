"""Which clips a cache needs, at which size, and which rows cannot be had: all that is decided before anything is encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from ...clips.clip_fault import reading
from ...errors import ClipError, afterwards
from .buckets import Bucket, ClipShape, choose_bucket, linked
from .cache import CacheRow, clips_of, entry_key
from .clip_pixels import ClipFacts, KnownClips
from .first_frames import ComparedFrames, SourceImage
from .left_out import LeftOut

Progress = Callable[[str, int, int], None]
"""(what is being done, done, in all)."""


@dataclass(frozen=True)
class Planned:
    """A clip to encode, the row that asked for it, and what it is compared with, directly or through others."""

    clip: Path
    digest: str
    group: int
    bucket: Bucket
    fps: float | None
    key: str
    name: str


@dataclass(frozen=True)
class Plan:
    """Each clip once, with the bucket that it goes into together with all that it is linked to.

    Attributes:
        rows: those that can be had.
        images: of each group of clips, where images were asked for.
    """

    rows: list[CacheRow]
    clips: list[Planned] = field(default_factory=list)
    images: dict[int, SourceImage] = field(default_factory=dict)


def make_plan(
    folder: Path, rows: Sequence[CacheRow], buckets: Sequence[Bucket], vae_identity: str, left_out: LeftOut,
    report: Progress, *, images: bool, keep: bool,
) -> Plan:  # fmt: skip
    """Look at every clip and decide.

    Args:
        left_out: is told the rows that cannot be had.
        images: the clips of a row, and of rows that share a clip, must begin with one image.
        keep: write what was learnt of the clips into the folder.
    """
    facts = _look(folder, rows, left_out, report, keep)
    compared = ComparedFrames(folder / "first_frames.json")
    with afterwards(compared.save) if keep else nullcontext():
        while True:
            plan = _attempt(left_out.usable(rows), facts, buckets, vae_identity, left_out)
            if plan is not None and images:
                plan = _with_images(plan, compared, left_out)
            if plan is not None:
                return plan  # else rows were left out, and the others may go together otherwise


def _look(
    folder: Path, rows: Sequence[CacheRow], left_out: LeftOut, report: Progress, keep: bool
) -> dict[Path, ClipFacts]:
    """Digest and shape of every clip; the rows of those that cannot be read are left out."""
    known = KnownClips(folder / "clips.json")
    facts: dict[Path, ClipFacts] = {}
    broken: dict[Path, str] = {}
    with afterwards(known.save) if keep else nullcontext():
        for number, row in enumerate(rows):
            for clip in row.clips.values():
                if clip in facts or clip in broken:
                    continue
                try:
                    with reading(clip):
                        facts[clip] = known.facts(clip)
                except ClipError as error:
                    broken[clip] = str(error)
            report("looking at clips", number + 1, len(rows))
    left_out.add_clips(broken)
    return facts


def _attempt(
    rows: list[CacheRow], facts: dict[Path, ClipFacts], buckets: Sequence[Bucket], vae_identity: str, left_out: LeftOut
) -> Plan | None:
    """The plan for some rows; None where some of them are left out now."""
    shapes: dict[Path, ClipShape] = {}
    rates: dict[Path, float | None] = {}
    owners: dict[Path, CacheRow] = {}
    for row in rows:
        for clip in row.clips.values():
            shape = facts[clip].shape
            rates[clip] = row.fps
            shapes[clip] = ClipShape(shape.width, shape.height, shape.frames, row.fps or shape.fps)
            owners.setdefault(clip, row)
    members: dict[Path, list[Path]] = {}
    for clip, root in linked(clips_of(row) for row in rows if row.clips).items():
        members.setdefault(root, []).append(clip)
    planned, refused = [], False
    for group, clips in enumerate(members.values()):
        bucket = choose_bucket([shapes[clip] for clip in clips], buckets)
        if isinstance(bucket, str):
            _leave_out_unfit([row for row in rows if set(clips_of(row)) & set(clips)], shapes, buckets, left_out)
            refused = True
            continue
        for clip in clips:
            digest = facts[clip].digest
            key = entry_key(digest, bucket, rates[clip], vae_identity)
            planned.append(Planned(clip, digest, group, bucket, rates[clip], key, owners[clip].name))
    return None if refused else Plan(rows, planned)


def _leave_out_unfit(
    rows: list[CacheRow], shapes: dict[Path, ClipShape], buckets: Sequence[Bucket], left_out: LeftOut
) -> None:
    """Of linked rows that go into no bucket together: those with a clip that fits none, or with clips that cannot be made
    equal, or else all."""
    advice = f"Add a bucket that suits it (there are: {', '.join(map(str, buckets))}), or remove the row."
    unfit, unequal = {}, {}
    for row in rows:
        for clip in row.clips.values():
            if isinstance(why := choose_bucket([shapes[clip]], buckets), str):
                unfit[clip] = f"{clip} fits no bucket: {why}. {advice}"
        if isinstance(why := choose_bucket([shapes[clip] for clip in row.clips.values()], buckets), str):
            sizes = " and ".join(_described(shapes[clip]) for clip in row.clips.values())
            unequal[clips_of(row)] = f"its clips ({sizes}) cannot be made equal: for one of them {why}. {advice}"
    if unfit:
        left_out.add_clips(unfit)
        return
    for row in rows:
        if not unequal:
            left_out.add(row, f"it shares clips with other rows, and no bucket suits all of them. {advice}")
        elif clips_of(row) in unequal:
            left_out.add(row, unequal[clips_of(row)])


def _with_images(plan: Plan, compared: ComparedFrames, left_out: LeftOut) -> Plan | None:
    """The plan with the image of each group; None where rows are left out because their clips begin with several."""
    sources = {one.clip: SourceImage(one.clip, one.digest, one.bucket, one.name) for one in plan.clips}
    groups: dict[int, list[SourceImage]] = {}
    for one in plan.clips:
        groups.setdefault(one.group, []).append(sources[one.clip])
    before = len(left_out.causes)
    for group in groups.values():
        faults = compared.faults(group)
        if not faults:
            continue
        paths = {image.path for image in group}
        rows = [row for row in plan.rows if set(clips_of(row)) & paths]
        causes = [(row, compared.faults([sources[clip] for clip in clips_of(row)])) for row in rows]
        for row, own in causes:
            if own:
                left_out.add(row, next(iter(own.values())))
        if not any(own for _, own in causes):  # each row by itself is sound, but their frames drift apart
            left_out.add_clips(faults)
    if len(left_out.causes) > before:
        return None
    return Plan(plan.rows, plan.clips, {number: compared.common_image(group) for number, group in groups.items()})


def _described(shape: ClipShape) -> str:
    return f"{shape.width}x{shape.height}x{shape.frames}@{shape.fps:g}"
