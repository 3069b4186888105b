"""Prompts in ComfyUI's API form."""

from __future__ import annotations

MODEL = "tiny.safetensors"
CAPTION = "a grey square moves to the right"


def load_model(model: str = MODEL, **inputs) -> dict:
    return node("LoadVideoReward", model=model, **{"dtype": "auto", "device": "default", **inputs})


def make_clip(seed: int = 0, frames: int = 9, clips: int = 1, brightness: float = 1.0) -> dict:
    return node("TestClip", number=seed, frames=frames, clips=clips, brightness=brightness)


def score_video(
    clip: str, reward: str = "model", caption: str = CAPTION, clips: int = 1, output: int = 0, **inputs
) -> dict:
    return node(
        "ScoreVideo", reward=[reward, 0], clip=[clip, output], caption=caption, fps=8.0, clips_in_batch=clips, **inputs
    )


def pick_best(*scores: str, **inputs) -> dict:
    candidates = {f"candidates.candidate{place}": [name, 0] for place, name in enumerate(scores)}
    return node("PickBest", **candidates, **{"top_k": 1, "min_VQ": -10.0, "min_MQ": -10.0, "min_TA": -10.0, **inputs})


def load_judge(judge: str, model: str = "none", **inputs) -> dict:
    return node("LoadJudge", judge=judge, model=model, **{"precision": "auto", "device": "default", **inputs})


def panel(*judges: str) -> dict:
    return node("Panel", **{f"judges.judge{place}": [name, 0] for place, name in enumerate(judges)})


def rules(weights: str = "", gates: str = "", **inputs) -> dict:
    about = {"method": "weighted z-scores", "least_better": 2, "hacking_gate": 0.0, **inputs}
    return node("RankingRules", weights=weights, gates=gates, **about)


def weights(VQ: float, MQ: float, TA: float, preset: str = "custom (the sliders)") -> dict:  # noqa: N803 - as the node's inputs
    return node("RewardWeights", VQ=VQ, MQ=MQ, TA=TA, preset=preset)


def show(source: str, output: int) -> dict:
    return node("TestShow", value=[source, output])


def node(kind: str, **inputs) -> dict:
    return {"class_type": f"VideoAlign{kind}", "inputs": inputs}


def load_video(name: str) -> dict:
    return {"class_type": "LoadVideo", "inputs": {"file": name}}


def one_clip(caption: str = CAPTION, seed: int = 0, **clip) -> dict:
    """Load the model, make a clip, score it."""
    return {"model": load_model(), "clip": make_clip(seed, **clip), "score": score_video("clip", caption=caption)}
