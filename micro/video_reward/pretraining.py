"""Teach the micro base model to say what a clip shows, as a vision-language model can before it becomes a reward.

Next-token prediction of truthful descriptions (content, ground, visible faults) of micro clips, after the vision tower
has learnt to see (``vision_pretraining``). Without it a reward would have to learn reading and judging from preferences
alone, which takes many times as many clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
import torch.nn.functional as F  # noqa: N812

from ...micro_world import Clip, caption, iterate_clips
from ...reward.clip import Frames, PreparedClip, prepare_clip
from ...reward.qwen2vl_network import Qwen2VLRewardNetwork
from ...reward.reward_tokenizer import RewardTokenizer
from ...reward.settings import FrameSampling
from ...reward.template import PromptTemplate

DEGREE_WORDS = ((0.33, "weak"), (0.66, "medium"), (1.01, "strong"))
DESCRIPTION = PromptTemplate.from_text("{text_prompt}")


def describe(clip: Clip) -> str:
    """The caption of what is really shown, then each fault with its degree in words."""
    faults = [
        f"{next(word for limit, word in DEGREE_WORDS if fault.degree < limit)} {fault.kind}"
        for fault in sorted(clip.faults, key=lambda fault: fault.kind)
        if fault.degree > 0
    ]
    return f" {caption(clip.scene.attributes)}: {', '.join(faults) or 'no fault'}"


def pretrain(
    network: Qwen2VLRewardNetwork,
    tokenizer: RewardTokenizer,
    sampling: FrameSampling,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
) -> Iterator[dict[str, float]]:
    """Train all of the network but its head; yields the loss of each step in nats per token, as {"text": ...}.

    Args:
        tokenizer: bound to ``DESCRIPTION``.
        rate: highest learning rate, after a linear warm-up and before a cosine decay.
    """
    parameters = [p for name, p in network.named_parameters() if not name.startswith("rm_head")]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    clips = iterate_clips(seed)

    def load() -> list[tuple[PreparedClip, str]]:
        return [(prepare_clip(Frames(c.frames, c.fps), sampling), describe(c)) for c in islice(clips, batch_size)]

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(load)
        for step in range(steps):
            batch = waiting.result()
            if step + 1 < steps:
                waiting = pool.submit(load)
            loss = _loss(network, tokenizer, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            yield {"text": loss.item()}


def _loss(
    network: Qwen2VLRewardNetwork, tokenizer: RewardTokenizer, batch: list[tuple[PreparedClip, str]]
) -> torch.Tensor:
    """Cross-entropy of the description's tokens given the clip and the tokens before."""
    clips = [clip for clip, _ in batch]
    ids = [tokenizer.encode(text, clip.video_tokens) for clip, text in batch]
    longest = max(map(len, ids))
    padded = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids])
    features = torch.cat(network.embed_clips([clip.patches for clip in clips], [clip.grid for clip in clips]))
    embeddings = network.embed_tokens(padded)
    is_video = padded == tokenizer.video_token_id
    embeddings = embeddings.masked_scatter(is_video[..., None], features)
    # Right padding needs no mask: nothing before it can see it, and it is not scored.
    hidden = network.read(embeddings)
    logits = hidden[:, :-1] @ network.language_model.embed_tokens.weight.T
    end_of_video = is_video.int().cumsum(1).argmax(1)
    positions = torch.arange(longest - 1)
    scored = (positions > end_of_video[:, None]) & (padded[:, 1:] != tokenizer.pad_token_id)
    return F.cross_entropy(logits[scored], padded[:, 1:][scored])
