"""The three trainers see the same pairs of the same files, and hold out the same prompts."""

import json

import pytest

from videoalign.errors import VideoAlignError
from videoalign.preferences.splits import split_pairs
from videoalign.training.latent_reward.config import Config as LatentConfig
from videoalign.training.latent_reward.pairs import load_pairs as latent_pairs
from videoalign.training.train_flow_command import train_command
from videoalign.training.video_reward.config import Config as VideoConfig
from videoalign.training.video_reward.task import load_pairs as video_pairs

MODELS = {
    "dpo": {"transformer": "t", "vae": "v", "text_encoder": "micro"},
    "latent-reward": {"trunk": "t", "vae": "v", "text_encoder": "micro"},
    "video-reward": {"base": "b"},
}


def load(trainer, **data):
    """Training and held-out pairs of one trainer."""
    config_class, read = {
        "dpo": (train_command("dpo").Config, lambda config: split_pairs(config.data, config.seed)),
        "latent-reward": (LatentConfig, latent_pairs),
        "video-reward": (VideoConfig, video_pairs),
    }[trainer]
    return read(config_class.model_validate({"data": data, "model": MODELS[trainer]}))


@pytest.fixture
def write_scores(tmp_path):
    """Write a score file of so many prompts with three clips each, two of which are equal in everything."""

    def write(prompts):
        rows = []
        for number in range(prompts):
            for name, score in (("a", 1.0), ("b", 1.0), ("c", 2.0)):
                (tmp_path / f"{number}{name}.mp4").touch()
                scores = dict.fromkeys(("VQ", "MQ", "TA"), score)
                rows.append({"path": f"{number}{name}.mp4", "prompt": f"prompt {number}", **scores})
        path = tmp_path / "scores.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def names(pairs):
    return [(pair.chosen.name, pair.rejected.name, pair.pair.labels) for pair in pairs]


def test_every_trainer_reads_every_pair_of_a_score_file_ties_among_them(write_scores):
    path = write_scores(1)
    read = {trainer: load(trainer, train=[path], eval_share=0)[0] for trainer in MODELS}
    assert len(read["video-reward"]) == 3
    assert [pair.pair.labels["MQ"] for pair in read["video-reward"]].count("same") == 1
    assert names(read["video-reward"]) == names(read["latent-reward"]) == names(read["dpo"])


@pytest.mark.parametrize("share", [0.01, 0.6, 0.99])
def test_every_trainer_holds_out_the_same_prompts_one_at_least_and_not_all(write_scores, share):
    path = write_scores(2)
    split = {trainer: load(trainer, train=[path], eval_share=share) for trainer in MODELS}
    for train, held_out in split.values():
        assert len({pair.prompt for pair in train}) == len({pair.prompt for pair in held_out}) == 1
    first, *others = [[names(part) for part in parts] for parts in split.values()]
    assert all(other == first for other in others)


@pytest.mark.parametrize("trainer", MODELS)
def test_every_trainer_says_that_a_single_prompt_cannot_be_split(write_scores, trainer):
    with pytest.raises(VideoAlignError, match=r"one prompt, so that none can be held out"):
        load(trainer, train=[write_scores(1)])
