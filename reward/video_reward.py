"""VideoReward: a clip and a caption in, visual quality, motion quality and text alignment out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import cast

import torch

from ..backbones.devices import check_compiler
from ..clips.frames import SampledFrames, View
from ..errors import CaptionError, ClipError
from .clip import PreparedClip, Reader, prepare_clip, prepare_frames, view_of
from .dimensions import VIDEO_REWARD_DETAILS, VIDEO_REWARD_DIMENSIONS, VIDEO_REWARD_OVERALL
from .judge import Judge
from .qwen2vl_layers import KeyValueCache
from .qwen2vl_network import Qwen2VLRewardNetwork
from .reward_tokenizer import RewardTokenizer
from .scores import ClipScores, clip_scores
from .scoring_stream import score_clips
from .settings import RewardSettings

# Captions of one clip that share a forward pass after the part that no caption changes.
CAPTION_BATCH = 16


class VideoReward(Judge):
    """A loaded reward model. Make one with ``load_video_reward``.

    Under causal attention VQ and MQ cannot depend on the caption, which comes after them; so a clip is read once, up to
    the MQ token, before any caption is, and then each caption goes on from there.

    Attributes:
        compiled: whether ``compile`` was called; its scores are kept apart from the others.
        remark: what to say of a clip and caption that the model does not know, or None; set by who knows what it was made for.
    """

    name = "videoreward"
    title = "VideoReward"
    dimensions = VIDEO_REWARD_DIMENSIONS
    overall = VIDEO_REWARD_OVERALL
    details = VIDEO_REWARD_DETAILS
    licence = "that of the checkpoint; the released one's stands in its model card (KlingTeam/VideoReward)"

    def __init__(self, network: Qwen2VLRewardNetwork, tokenizer: RewardTokenizer, settings: RewardSettings) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.settings = settings
        self.remark: Callable[[PreparedClip, str | None], str | None] | None = None
        self.compiled = False

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.rm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights and of the arithmetic; rewards themselves are float32."""
        return self.network.rm_head.weight.dtype

    def compile(self) -> None:
        """Compile the network's blocks; see ``Qwen2VLRewardNetwork.compile_blocks``.

        Raises:
            VideoAlignError: this computer cannot.
        """
        check_compiler(self.device)
        self.network.compile_blocks()
        self.compiled = True

    def score(
        self, clips: Sequence[object], captions: Sequence[str | None], fps: float | None = None
    ) -> list[ClipScores]:
        """Score clips against one caption each.

        Args:
            clips: paths, binary file objects, PyAV containers, ``Frames`` or ``PreparedClip``.
            captions: one for each clip; None scores VQ and MQ only.
            fps: overrides the clips' own frame rate, in frames per second.

        Raises:
            ClipError, CaptionError: an input cannot be scored; nothing is returned for the others either (use
                ``score_stream`` to go on after a failure).
        """
        return cast("list[ClipScores]", score_clips(self, clips, captions, fps))

    def score_captions(self, clip: object, captions: Sequence[str], fps: float | None = None) -> list[ClipScores]:
        """Score one clip against many captions; the clip is read once. Arguments and errors as in ``score``."""
        return self.score_prepared([self.prepare(clip, fps)], [tuple(captions)])[0]

    def check_caption(self, caption: str | None) -> None:
        """Refuse a caption that cannot be judged.

        Raises:
            CaptionError: it is empty or not a string, or this model needs one and there is none.
        """
        if caption is None:
            if self.settings.reward_token != "special" or not self.tokenizer.template.rates_before_caption:
                raise CaptionError("This reward model reads all its scores after the caption; give one.")
        elif not isinstance(caption, str):
            raise CaptionError(f"A caption must be text; got {type(caption).__name__}.")
        elif not caption.strip():
            raise CaptionError(
                "The caption is empty; TA of an empty caption means nothing. Leave it out to get VQ and MQ only."
            )

    @property
    def view(self) -> View:
        """As the checkpoint samples; see ``Judge``."""
        return view_of(self.settings.sampling)

    def prepare_frames(self, frames: SampledFrames) -> PreparedClip:
        """Cut into patches, on the accelerator where there is one; see ``Judge``."""
        return prepare_frames(frames, self._reader)

    def prepare(self, source: object, fps: float | None = None) -> PreparedClip:
        """See ``Judge``; a ``PreparedClip`` is returned as it is."""
        return prepare_clip(source, self.settings.sampling, fps, self._reader)

    @property
    def _reader(self) -> Reader | None:
        weight = self.network.language_model.embed_tokens.weight  # the head may be of another type
        return None if weight.device.type in ("cpu", "meta") else (weight.device, weight.dtype)

    @torch.no_grad()
    def score_prepared(
        self, clips: Sequence[PreparedClip], captions: Sequence[Sequence[str | None]], check: bool = True
    ) -> list[list[ClipScores]]:
        """Score prepared clips, each against its own captions.

        Each clip is read by itself, in passes whose shapes come from that clip and its captions alone. On one machine and
        with one number of threads this holds bit for bit, in every number type:

        - no score depends on the other clips of the call;
        - VQ and MQ do not depend on the captions: whether there is none, one or many (unless the checkpoint's template
          asks for them after the caption; ``check_caption`` then refuses None).

        TA of a caption that shares a call with other captions of its clip may differ from TA alone by the rounding of sums
        in another order: 2e-5 of a raw score in float32; at most 0.25, 0.07 in the mean, in bfloat16, and an eighth of that
        in float16. So may all scores from those of another processor, or of ``raw_rewards``.

        Args:
            captions: for each clip, its captions.
            check: refuse empty captions; the official code scores them.
        """
        for caption in (caption for texts in captions for caption in texts) if check else ():
            self.check_caption(caption)
        # An accelerator is asked for no number before it has the work of all clips.
        rewards = [self.read(clip, texts) for clip, texts in zip(clips, captions, strict=True)]
        return [
            [self._result(row.tolist(), caption, clip) for row, caption in zip(rows, texts, strict=True)]
            for rows, clip, texts in zip(rewards, clips, captions, strict=True)
        ]

    def identity(self) -> dict:
        """See ``Judge``; the fingerprint is of weights that every training changes."""
        digest = hashlib.sha256(_bytes(self.network.rm_head.weight))
        digest.update(_bytes(self.network.language_model.embed_tokens.weight[self.tokenizer.reward_token_ids]))
        digest.update(_bytes(self.network.visual.patch_embed.proj.weight))
        return {
            "model": digest.hexdigest()[:16],
            "dtype": str(self.dtype).removeprefix("torch."),
            "sampling": asdict(self.settings.sampling),
            "normalisation": asdict(self.settings.normalisation),
            "template": self.settings.template,
            **({"compiled": True} if self.compiled else {}),
        }

    def batch_length(self, clip: PreparedClip) -> int:
        """Tokens of the clip; the caption and the template are the smaller half."""
        return clip.video_tokens

    def working_memory(self, clip: PreparedClip) -> int:
        """See ``Judge``: a block's widest activations, a few of them at once."""
        visual, text = self.network.visual.shape, self.network.language_model.shape
        patches = 4 * clip.video_tokens * visual.embed_dim * visual.mlp_ratio
        tokens = 2 * clip.video_tokens * text.intermediate_size
        return int(4 * 4 * max(patches, tokens))

    def described(self, clip: PreparedClip) -> str:
        """See ``Judge``."""
        return f"{len(clip.indices)} frames of {clip.size[1]}x{clip.size[0]} pixels"

    @property
    def modules(self) -> tuple[torch.nn.Module, ...]:
        """The network."""
        return (self.network,)

    def raw_rewards(self, clips: Sequence[PreparedClip], captions: Sequence[str | None]) -> list[torch.Tensor]:
        """Raw rewards of clips and captions, one (right-padded) forward pass, differentiable with respect to the clips' frames.

        For training: the rewards are those of ``score_prepared`` up to rounding, its tolerances.

        Returns:
            for each clip a float32 tensor [3] (VQ, MQ, TA), or [2] where the caption is None.
        """
        ids = [self._ids(clip, caption) for clip, caption in zip(clips, captions, strict=True)]
        features = self.network.embed_clips([clip.patches for clip in clips], [clip.grid for clip in clips])
        embeddings = [self._embed(*row) for row in zip(ids, clips, features, strict=True)]
        longest = max(len(row) for row in ids)
        padding = self._pad_embedding()
        batch = torch.stack([torch.cat([row, padding.expand(longest - len(row), -1)]) for row in embeddings])
        hidden = self.network.read(batch)
        return [self._head(hidden[index][self._reward_positions(row)]) for index, row in enumerate(ids)]

    def read(self, clip: PreparedClip, captions: Sequence[str | None]) -> list[torch.Tensor]:
        """Raw rewards of one clip for each caption, float32 [3] or, where the caption is None, [2].

        Read in turn: what comes before any caption, what the captions have in common, and the rest of each caption. What
        ``score_prepared`` does of a clip, without its checks.
        """
        if not captions:
            return []
        ids = [self._ids(clip, caption) for caption in captions]
        caption_free = self._caption_free(ids[0], clip)
        cache = KeyValueCache()  # always: with and without one, kernels may differ
        features = self.network.embed_clips([clip.patches], [clip.grid])[0]
        hidden = self.network.read(self._embed(ids[0][:caption_free], clip, features)[None], cache=cache)[0]
        before = self._rewards_within(hidden, ids[0], 0, caption_free)
        rows = [[before] for _ in ids]
        members = [index for index, row in enumerate(ids) if len(row) > caption_free]
        shared = caption_free
        if len(members) > 1:
            shared = _common_prefix([ids[index] for index in members])
            if shared > caption_free:
                tokens = torch.tensor([ids[members[0]][caption_free:shared]], device=self.device)
                self.network.read(self.network.embed_tokens(tokens), cache)
        for start in range(0, len(members), CAPTION_BATCH):
            group = members[start : start + CAPTION_BATCH]
            # The forward pass appends to the cache, so every group gets its own.
            suffixes = self._go_on([ids[index] for index in group], shared, cache.repeated(len(group)))
            for index, suffix in zip(group, suffixes, strict=True):
                rows[index].append(self._rewards_within(suffix, ids[index], shared, len(ids[index])))
        return [torch.cat(parts) for parts in rows]

    def _go_on(self, ids: list[list[int]], shared: int, cache: KeyValueCache) -> torch.Tensor:
        """Hidden states [B, L, hidden] of what follows the first ``shared`` tokens, which each row of the cache holds, right-padded."""
        group = [row[shared:] for row in ids]
        longest = max(map(len, group))
        padded = [row + [self.tokenizer.pad_token_id] * (longest - len(row)) for row in group]
        return self.network.read(self.network.embed_tokens(torch.tensor(padded, device=self.device)), cache)

    def _caption_free(self, ids: list[int], clip: PreparedClip) -> int:
        """Tokens at the beginning that are the same for every caption: up to the MQ token, or to the clip's last token."""
        if self.settings.reward_token == "special" and self.tokenizer.template.rates_before_caption:
            return ids.index(self.tokenizer.reward_token_ids[1]) + 1
        return ids.index(self.tokenizer.video_token_id) + clip.video_tokens

    def _rewards_within(self, hidden: torch.Tensor, ids: list[int], start: int, end: int) -> torch.Tensor:
        """Raw rewards whose tokens stand at ``start`` to ``end`` of the text, from the hidden states there."""
        positions = self._reward_positions(ids)
        inside = [position - start for position in positions if start <= position < end]
        if not inside:
            return torch.empty(0, device=hidden.device)
        first = sum(position < start for position in positions)
        return self._head(hidden[inside], first)

    def _ids(self, clip: PreparedClip, caption: str | None) -> list[int]:
        ids = self.tokenizer.encode(caption or "", clip.video_tokens)
        if caption is None:  # nothing after the motion token can reach VQ and MQ
            ids = ids[: ids.index(self.tokenizer.reward_token_ids[1]) + 1]
        if len(ids) > self.network.max_positions:
            if clip.video_tokens > self.network.max_positions // 2:
                raise ClipError(
                    f"The clip takes {clip.video_tokens} tokens ({len(clip.indices)} frames of {clip.size[1]}x{clip.size[0]}); the "
                    f"model reads {self.network.max_positions}. Sample fewer frames (fps) or smaller ones (max_pixels)."
                )
            raise CaptionError(
                f"Clip and caption take {len(ids)} tokens; the model reads {self.network.max_positions}. Shorten the caption."
            )
        return ids

    def _embed(self, ids: list[int], clip: PreparedClip, features: torch.Tensor) -> torch.Tensor:
        tokens = self.network.embed_tokens(torch.tensor(ids, device=self.device))
        start = ids.index(self.tokenizer.video_token_id)
        return torch.cat([tokens[:start], features.to(tokens.dtype), tokens[start + clip.video_tokens :]])

    def _pad_embedding(self) -> torch.Tensor:
        return self.network.embed_tokens(torch.tensor([self.tokenizer.pad_token_id], device=self.device))

    def _reward_positions(self, ids: list[int]) -> list[int]:
        if self.settings.reward_token == "last":
            return [len(ids) - 1]
        return [ids.index(token) for token in self.tokenizer.reward_token_ids if token in ids]

    def _head(self, hidden: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Rewards [n] from hidden states [n, hidden] at the reward tokens, the first of which is number ``first``."""
        rewards = self.network.rewards(hidden)
        if self.settings.reward_token == "last":
            return rewards[0]
        # A shared output, or one for each dimension; of these a reward token gives its dimension alone.
        return rewards[:, 0] if rewards.shape[1] == 1 else rewards.diagonal(first)

    def _result(self, raw: list[float], caption: str | None, clip: PreparedClip) -> ClipScores:
        if not all(map(torch.isfinite, torch.tensor(raw))):
            raise ClipError(f"The model's scores are not finite in {self.dtype}; load it in bfloat16 or float32.")
        scores = clip_scores(raw, self.settings.normalisation, caption, clip)
        remark = None if self.remark is None else self.remark(clip, caption)
        return scores if remark is None else replace(scores, notes=(*scores.notes, remark))


def _bytes(weight: torch.Tensor) -> bytes:
    return weight.detach().float().cpu().numpy().tobytes()


def _common_prefix(rows: list[list[int]]) -> int:
    """Tokens that all rows begin with, at least one short of the shortest row."""
    first, last = min(rows), max(rows)
    limit = min(map(len, rows)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)
