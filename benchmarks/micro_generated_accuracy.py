"""How often the micro rewards agree with the world's measurement on clips of the micro video model: what they are used on.

    python benchmarks/micro_generated_accuracy.py FOLDER [--prompts 50] [--reward FILE] [--latent-reward FILE]

FOLDER gets the clips (two without and two with classifier-free guidance for each prompt) and keeps them. Every two clips of a
prompt make a pair; what is printed is the share of pairs that the reward ranks as the measurement does.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from videoalign.backbones.conditioning import collate
from videoalign.backbones.flow_path import add_noise
from videoalign.backbones.micro_files import MICRO_VAE
from videoalign.backbones.micro_text import MicroTextEncoder
from videoalign.backbones.vae_loading import load_vae
from videoalign.clips.pixels import as_video
from videoalign.micro.video.generated_pairs import write_generated
from videoalign.micro_world import read_video
from videoalign.preferences.preference_file import Preferences
from videoalign.preferences.reading import read_preferences
from videoalign.reward.dimensions import DIMENSIONS
from videoalign.reward.latent.reward_file import load_latent_reward
from videoalign.reward.loading import load_video_reward
from videoalign.reward.settings import EMBEDDED_LATENT_FILE

SEED = 910_002  # the held-out set of the latent reward's recipe
LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)


def main() -> None:
    """Make the clips, judge them, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--reward", default="micro", help="VideoReward file")
    parser.add_argument("--latent-reward", type=Path, default=EMBEDDED_LATENT_FILE)
    options = parser.parse_args()
    file = options.folder / "pairs.jsonl"
    if not file.exists():
        write_generated(options.folder, options.prompts, SEED)
    pairs = read_preferences(file)
    clips = {
        pairs.clip(index, side): pair.prompt
        for index, pair in enumerate(pairs.pairs)
        for side in ("chosen", "rejected")
    }
    reward = load_video_reward(options.reward, device="cpu")
    scored = reward.score(list(clips), list(clips.values()))
    found = {clip: [getattr(own, name) for name in DIMENSIONS] for clip, own in zip(clips, scored, strict=True)}
    print("VideoReward: measured difference above 0.05, above 0.25 (pairs)")
    for place, name in enumerate(DIMENSIONS):
        print(f"{name}  " + "  ".join(agreement(pairs, found, place, margin) for margin in (0.05, 0.25)))
    print("\nlatent reward, measured difference above 0.1, by sigma: " + ", ".join(map(str, LEVELS)))
    by_level = latent_scores(options.latent_reward, clips)
    for place, name in enumerate(DIMENSIONS):
        print(f"{name}  " + "  ".join(agreement(pairs, by_level[sigma], place, 0.1).split()[0] for sigma in LEVELS))


def agreement(pairs: Preferences, scores: dict[Path, list[float]], place: int, margin: float) -> str:
    """Share of the pairs whose measured difference is above the margin that the scores rank alike, and their number."""
    right = []
    for index, pair in enumerate(pairs.pairs):
        name = DIMENSIONS[place]
        truth = pair.scores_chosen[name] - pair.scores_rejected[name]
        if abs(truth) > margin:
            chosen, rejected = (scores[pairs.clip(index, side)][place] for side in ("chosen", "rejected"))
            right.append((chosen - rejected) * truth > 0)
    return f"{np.mean(right):.3f} ({len(right)})"


@torch.no_grad()
def latent_scores(file: Path, clips: dict[Path, str]) -> dict[float, dict[Path, list[float]]]:
    """VQ, MQ, TA of each clip's noisy latent at each level; the clips of a prompt share their noise."""
    vae, encoder, reward = load_vae(MICRO_VAE), MicroTextEncoder(), load_latent_reward(file)
    found: dict[float, dict[Path, list[float]]] = {sigma: {} for sigma in LEVELS}
    noise = {prompt: seed for seed, prompt in enumerate(dict.fromkeys(clips.values()))}
    for clip, prompt in clips.items():
        clean = vae.encode(as_video(read_video(clip)[0][None]))
        drawn = torch.randn(clean.shape, generator=torch.Generator().manual_seed(noise[prompt]))
        conditioning = collate(encoder.encode([prompt]))
        for sigma in LEVELS:
            rewards = reward.rewards(add_noise(clean, drawn, sigma), torch.tensor([sigma]), conditioning)
            found[sigma][clip] = rewards[0].tolist()
    return found


if __name__ == "__main__":
    main()
