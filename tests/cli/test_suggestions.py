import pytest

from videoalign.cli.suggestions import closest_option

OPTIONS = [
    "-h", "--help", "--batch-size", "--max-steps", "--optimizer.learning-rate", "--optimizer.head-lr", "--lora.rank",
    "--lora.start", "--data.train", "--output", "--no-resume", "--resume", "--preview.steps",
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("--lr", "--optimizer.learning-rate"),
        ("--learning_rate", "--optimizer.learning-rate"),
        ("--bs", "--batch-size"),
        ("--rank", "--lora.rank"),
        ("--lora_rank", "--lora.rank"),
        ("--steps", "--max-steps"),
        ("--step", "--preview.steps"),
        ("--batchsize", "--batch-size"),
        ("--train", "--data.train"),
        ("--optimizer.learning-rat", "--optimizer.learning-rate"),
        ("--qqqq", None),
        ("--x", None),
    ],
)
def test_an_option_is_found_by_its_last_part_its_initials_a_word_or_nearly(said, meant):
    assert closest_option(said, OPTIONS) == meant
