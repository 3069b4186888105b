"""Our scoring as a process that is asked to score, as ``official_worker`` is: to be compared with it."""

from __future__ import annotations

from official_worker import Score, answer_all


def serve(checkpoint: str) -> None:
    """Load the checkpoint and answer requests until there are no more."""
    answer_all(lambda: ours(checkpoint))


def ours(checkpoint: str) -> Score:
    """Clips through ``score_stream`` in float32 on the CPU: as ``videoalign score`` does, but for the threads that decode."""
    import torch

    from videoalign.reward.loading import load_video_reward
    from videoalign.reward.scoring_stream import Request, score_stream

    model = load_video_reward(checkpoint, dtype=torch.float32, device="cpu")

    def score(clips: list, captions: list) -> list:
        several = len(clips) == 1
        requests = [
            Request(clip, tuple(captions) if several else (captions[number],)) for number, clip in enumerate(clips)
        ]
        rows = []
        for _, result in score_stream(model, requests, batch_size=len(requests), decode_threads=0):
            if isinstance(result, Exception):
                raise result
            rows += [list(scores.raw.values()) for scores in result]
        return rows

    return score
