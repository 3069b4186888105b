"""Greedy answers of a Qwen-VL network to questions about pictures, several at once.

A loop of its own in the place of transformers' ``generate``: no folder can bring code into it, the positions are given and
not derived anew by each version, and it keeps the probabilities of a few tokens only. Tests hold it to ``generate``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from .network import VisionLanguageModel
from .positions import Grid, rope_positions


@dataclass(frozen=True)
class Question:
    """A chat up to the answer.

    Attributes:
        ids: its tokens; those of pictures stand where ``parts`` has a grid.
        parts: lengths of text and grids of pictures, in order; see ``rope_positions``.
        patches: float32 [n, C] of all its pictures, in order.
        grids: (t, h, w) in patches, one for each of its pictures.
        as_clip: the pictures are clips, not single frames.
    """

    ids: list[int]
    parts: list[int | Grid]
    patches: torch.Tensor
    grids: list[tuple[int, int, int]]
    as_clip: bool


@dataclass(frozen=True)
class Answer:
    """What the network said.

    Attributes:
        ids: its tokens, without the one that ends it.
        text: the same as text, without control tokens.
        ended: it came to an end before the limit.
        watched: float32 [steps, watched tokens]: scores of these tokens at each step, after the repetition penalty.
    """

    ids: list[int]
    text: str
    ended: bool
    watched: torch.Tensor


@torch.no_grad()
def answers(
    model: VisionLanguageModel, questions: Sequence[Question], limit: int, watched: Sequence[int] = ()
) -> list[Answer]:
    """The most likely next token, again and again, until each answer has ended.

    Args:
        limit: tokens of an answer, at most.
        watched: ids of tokens whose scores are kept.

    Returns:
        one answer for each question. In float32 it is the one that the question gets alone; in 16 bits another order of sums
        may tip a close choice between two tokens.
    """
    device = model.device
    first, mask = _padded(model, questions)
    places, following = zip(*(rope_positions(question.parts) for question in questions), strict=True)
    length = mask.shape[1]
    positions = torch.zeros(3, len(questions), length, dtype=torch.long)
    for row, place in enumerate(places):
        positions[:, row, length - place.shape[1] :] = place
    next_place = torch.tensor(following)
    said: list[list[int]] = [[] for _ in questions]
    scores: list[list[torch.Tensor]] = [[] for _ in questions]
    ended = [False] * len(questions)
    seen = [torch.tensor(sorted(set(question.ids)), device=device) for question in questions]
    call = _Call(model)
    logits = call.first(first, mask, positions, questions)
    for step in range(limit):
        for row, before in enumerate(seen):
            _penalise(logits[row], before, model.repetition_penalty)
        chosen = logits.argmax(-1)
        kept = logits[:, list(watched)].cpu()
        for row, token in enumerate(chosen.tolist()):
            if ended[row]:
                continue
            if token in model.text.ends:
                ended[row] = True
                continue
            said[row].append(token)
            scores[row].append(kept[row])
            seen[row] = torch.cat([seen[row], chosen[row : row + 1]])
        if all(ended) or step + 1 == limit:
            break
        logits = call.following(chosen, (next_place + step).expand(3, 1, -1).transpose(1, 2))
    return [
        Answer(
            ids,
            model.text.decode(ids),
            ended[row],
            torch.stack(scores[row]) if ids else torch.empty(0, len(watched)),
        )
        for row, ids in enumerate(said)
    ]


class _Call:
    """The network with its cache, under the names that this version of transformers has for its arguments."""

    def __init__(self, model: VisionLanguageModel) -> None:
        from transformers import DynamicCache

        known = model.arguments
        self.model = model
        # transformers 5.24 is one that calls it cache, and from 5.40 on would silently drop the older name.
        self._cache = {"cache" if "cache" in known else "past_key_values": DynamicCache()}
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._mask = torch.empty(0)

    def first(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, questions: Sequence[Question]
    ) -> torch.Tensor:
        """Scores [B, vocabulary] of the first token of each answer."""
        device = self.model.device
        pictures: dict[str, torch.Tensor] = {}
        for as_clip, pixels, grid in (
            (False, "pixel_values", "image_grid_thw"),
            (True, "pixel_values_videos", "video_grid_thw"),
        ):
            asked = [question for question in questions if question.as_clip == as_clip]
            if asked:
                patches = torch.cat([question.patches.to(device) for question in asked])
                pictures[pixels] = patches.to(self.model.dtype)
                pictures[grid] = torch.tensor([size for question in asked for size in question.grids], device=device)
        self._mask = mask.to(device)
        return self._scores(ids.to(device), positions.to(device), pictures)

    def following(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Scores of the token after ``tokens`` [B]."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        return self._scores(tokens[:, None], positions.to(tokens.device), {})

    def _scores(self, ids: torch.Tensor, positions: torch.Tensor, pictures: dict[str, torch.Tensor]) -> torch.Tensor:
        with self._last_only():
            output = self.model.network(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions,
                use_cache=True,
                **pictures,
                **self._cache,
                **self._last,
            )
        return output.logits[:, -1].float()

    @contextlib.contextmanager
    def _last_only(self) -> Iterator[None]:
        """Older versions would score every token of the question: 1.5 GB for 2500 tokens of a 150 000 word vocabulary."""
        if self._last:
            yield
            return
        cut = self.model.network.get_submodule("lm_head").register_forward_pre_hook(
            lambda head, states: (states[0][:, -1:],)
        )
        try:
            yield
        finally:
            cut.remove()


def _padded(model: VisionLanguageModel, questions: Sequence[Question]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask [B, L], filled up on the left, so that all answers begin at one place."""
    length = max(len(question.ids) for question in questions)
    rows = [[model.text.pad] * (length - len(question.ids)) + question.ids for question in questions]
    mask = [[0] * (length - len(question.ids)) + [1] * len(question.ids) for question in questions]
    return torch.tensor(rows), torch.tensor(mask)


def _penalise(scores: torch.Tensor, seen: torch.Tensor, penalty: float) -> None:
    """Make tokens that were seen before less likely, in place: CTRL's rule (arXiv 1909.05858, section 4.1)."""
    if penalty != 1.0:
        before = scores[seen]
        scores[seen] = torch.where(before < 0, before * penalty, before / penalty)
