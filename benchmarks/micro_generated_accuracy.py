"""How often the micro rewards agree with the world's measurement on clips of the micro video model: what they are used on.

    python benchmarks/micro_generated_accuracy.py FOLDER [--prompts 50] [--reward FILE] [--latent-reward FILE]

FOLDER gets the clips (two without and two with classifier-free guidance for each prompt) and keeps them. Every two clips of a
prompt make a pair; what is printed is the share of pairs that the reward ranks as the measurement does.
"""

from pathlib import Path

import numpy as np
import torch
from results_section import Section, benchmark_parser

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

HEADING = "The micro rewards on generated clips"
SEED = 910_002  # the held-out set of the latent reward's recipe
MARGINS, LATENT_MARGIN = (0.05, 0.25), 0.1
LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9)


def main() -> None:
    """Make the clips, judge them, print the section."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--reward", default="micro", help="VideoReward file")
    parser.add_argument("--latent-reward", type=Path, default=EMBEDDED_LATENT_FILE)
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "transformers", "av")) as section:
        compare(section, options.folder, options.prompts, options.reward, options.latent_reward)


def compare(section: Section, folder: Path, prompts: int, reward_file: str, latent_file: Path) -> None:
    """Both tables: what the VideoReward and what the latent reward ranks as the measurement does."""
    file = folder / "pairs.jsonl"
    if not file.exists():
        write_generated(folder, prompts, SEED)
    pairs = read_preferences(file)
    clips = {
        pairs.clip(index, side): pair.prompt
        for index, pair in enumerate(pairs.pairs)
        for side in ("chosen", "rejected")
    }
    reward = load_video_reward(reward_file, device="cpu")
    scored = reward.score(list(clips), list(clips.values()))
    scores = {clip: [getattr(one, name) for name in DIMENSIONS] for clip, one in zip(clips, scored, strict=True)}
    section.paragraph(f"VideoReward, share of pairs ranked as measured (pairs), {len(clips)} clips:")
    section.table("", *(f"measured difference above {margin:g}" for margin in MARGINS))
    for column, name in enumerate(DIMENSIONS):
        shares = [agreement(pairs, scores, column, margin) for margin in MARGINS]
        section.row(name, *(f"{share:.3f} ({count})" for share, count in shares))
    section.paragraph(f"Latent reward, the same for measured differences above {LATENT_MARGIN:g}, by sigma:")
    by_level = latent_scores(latent_file, clips)
    section.table("", *map(str, LEVELS), "mean")
    for column, name in enumerate(DIMENSIONS):
        shares = [agreement(pairs, by_level[sigma], column, LATENT_MARGIN)[0] for sigma in LEVELS]
        section.row(name, *(f"{share:.3f}" for share in shares), f"{np.mean(shares):.3f}")


def agreement(pairs: Preferences, scores: dict[Path, list[float]], column: int, margin: float) -> tuple[float, int]:
    """Share of the pairs whose measured difference is above the margin that the scores rank alike, and their number."""
    right = []
    for index, pair in enumerate(pairs.pairs):
        name = DIMENSIONS[column]
        truth = pair.scores_chosen[name] - pair.scores_rejected[name]
        if abs(truth) > margin:
            chosen, rejected = (scores[pairs.clip(index, side)][column] for side in ("chosen", "rejected"))
            right.append((chosen - rejected) * truth > 0)
    return float(np.mean(right)) if right else float("nan"), len(right)


@torch.no_grad()
def latent_scores(file: Path, clips: dict[Path, str]) -> dict[float, dict[Path, list[float]]]:
    """VQ, MQ, TA of each clip's noisy latent at each level; the clips of a prompt share their noise."""
    vae, encoder, reward = load_vae(MICRO_VAE), MicroTextEncoder(), load_latent_reward(file)
    scores: dict[float, dict[Path, list[float]]] = {sigma: {} for sigma in LEVELS}
    noise = {prompt: seed for seed, prompt in enumerate(dict.fromkeys(clips.values()))}
    for clip, prompt in clips.items():
        clean = vae.encode(as_video(read_video(clip)[0][None]))
        drawn = torch.randn(clean.shape, generator=torch.Generator().manual_seed(noise[prompt]))
        conditioning = collate(encoder.encode([prompt]))
        for sigma in LEVELS:
            rewards = reward.rewards(add_noise(clean, drawn, sigma), torch.tensor([sigma]), conditioning)
            scores[sigma][clip] = rewards[0].tolist()
    return scores


if __name__ == "__main__":
    main()
