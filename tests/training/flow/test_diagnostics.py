"""Sentences: each state of a run is called by its name, and chance is not mistaken for learning."""

import pytest

from videoalign.training.flow.diagnostics import diagnose


def history(*accuracies, winner=0.0, push=0.4, drift=0.001, **details):
    return [
        {"accuracy": accuracy, "winner_error": winner, "reference_error": 1.0, "push": push, "drift": drift, **details}
        for accuracy in accuracies
    ]


@pytest.mark.parametrize(
    ("entries", "state", "said"),
    [
        (history(0.5, 0.58, 0.66), "learning", "learning: held-out accuracy 0.66"),
        (history(0.5, 0.51, 0.52), "not learning", "raise the learning rate"),
        (
            history(0.5, 0.52, 0.7, winner=0.03),
            "winner error rising",
            "lower the learning rate or end earlier",
        ),
        (history(0.6, winner=0.4), "diverged", "10 times lower"),
        (history(0.6, winner=float("nan")), "diverged", "10 times lower"),
        (history(0.7, 0.7, drift=0.3), "far", "learning rate is too high"),
        (history(0.35, 0.3), "wrong way", "swapped"),
        (history(0.5, 0.8, 0.6), "overfitting", "by heart"),
        (history(0.9, 0.95, push=0.001), "won", "won already"),
    ],
)
def test_a_run_is_called_what_it_is(entries, state, said):
    found = diagnose(entries, pairs=100)
    assert found.state == state
    assert said in found.sentence


def test_with_few_pairs_the_same_accuracy_is_chance():
    assert diagnose(history(0.5, 0.6), pairs=100) is None or diagnose(history(0.5, 0.6), pairs=100).state != "learning"
    assert diagnose(history(0.5, 0.61), pairs=400).state == "learning"
    assert diagnose(history(0.5, 0.61), pairs=20) is None


@pytest.mark.parametrize(("accuracy", "pairs"), [(1.0, 1), (0.0, 1), (1.0, 4), (0.0, 4), (0.5, 4)])
def test_pairs_that_chance_alone_wins_are_too_few_to_tell_whatever_they_say(accuracy, pairs):
    found = diagnose(history(0.5, 1.0, accuracy), pairs)
    assert found.state == "too few" and "chance" not in found.sentence and "data.eval" in found.sentence
    assert f"accuracy {accuracy:.2f} of {pairs} pair{'s' if pairs > 1 else ''}, too few to tell" in found.sentence


def test_that_the_clips_are_destroyed_is_seen_on_one_pair_too():
    assert diagnose(history(1.0, winner=0.4), pairs=1).state == "diverged"
    assert "of 1 pair, too few to tell" in diagnose(history(1.0, drift=0.3), pairs=1).sentence


def test_within_chance_of_few_pairs_it_is_not_said_that_nothing_is_learnt():
    found = diagnose(history(0.5, 0.6, 0.7), pairs=16)
    assert found.state == "too few" and "cannot be told" in found.sentence and "not learning" not in found.sentence
    assert diagnose(history(0.5, 0.51, 0.52), pairs=26).state == "not learning"


def test_a_winner_error_that_falls_again_is_not_called_rising():
    entries = history(0.7, winner=0.05) + history(0.7, winner=0.02)
    assert diagnose(entries, pairs=100).state == "learning"


def test_it_says_at_which_noise_it_learns():
    entries = history(0.6, 0.7, **{"accuracy/0-0.2": 0.9, "accuracy/0.8-1": 0.5})
    assert "most at noise 0-0.2 (0.90), least at 0.8-1 (0.50)" in diagnose(entries, pairs=100).sentence


def test_without_held_out_numbers_nothing_is_said():
    assert diagnose([], pairs=10) is None
    assert diagnose([{"loss": 1.0}], pairs=10) is None
