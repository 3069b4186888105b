"""VideoReward the plain way: what a straightforward port does, with the same weights and the same scores.

One clip at a time, every frame of it decoded, every caption a full pass, and transformers' own vision tower. (Before
transformers 4.53 or so that tower attends over the whole clip under a mask, at quadratic cost; newer ones attend pair of
frames by pair of frames.)
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import torch
from transformers_halves import vision_tower

from videoalign.reward.clip import Frames, PreparedClip, prepare_clip
from videoalign.reward.video_reward import VideoReward


def decode_whole(path: Path) -> Frames:
    """All frames of a clip."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return Frames(np.stack(frames), float(stream.average_rate), path.name)


@torch.no_grad()
def score_plainly(model: VideoReward, path: Path, caption: str) -> list[float]:
    """Raw VQ, MQ and TA of one clip and one caption."""
    clip = prepare_clip(decode_whole(path), model.settings.sampling)
    network, tokenizer = model.network, model.tokenizer
    ids = tokenizer.encode(caption, clip.video_tokens)
    embeddings = network.embed_tokens(torch.tensor(ids, device=model.device))
    start = ids.index(tokenizer.video_token_id)
    embeddings[start : start + clip.video_tokens] = vision_features(model, clip)
    hidden = network.read(embeddings[None])[0]
    positions = [ids.index(token) for token in tokenizer.reward_token_ids]
    return network.rewards(hidden[positions])[:, 0].tolist()


def vision_features(model: VideoReward, clip: PreparedClip) -> torch.Tensor:
    """Features of one clip by transformers' tower."""
    grid = torch.tensor([clip.grid], device=model.device)
    features = _theirs(model.network)(clip.patches.to(model.device, model.dtype), grid_thw=grid)
    # transformers 5 returns an object; its last_hidden_state is from before the merger.
    return getattr(features, "pooler_output", features)


@lru_cache(maxsize=1)
def _theirs(network: torch.nn.Module) -> torch.nn.Module:
    return vision_tower(network)
