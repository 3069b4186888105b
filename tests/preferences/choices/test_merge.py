import pytest

from videoalign.errors import VideoAlignError
from videoalign.preferences.choices.merge import cohens_kappa, majority, merge_choices
from videoalign.preferences.preference_file import Preferences
from videoalign.preferences.reading import read_preferences


def by_clip(session, pair: str, better: str) -> str:
    """The answer of somebody who prefers the clip whose name ends in ``better``, wherever it is shown."""
    return "A" if session.pairs()[pair].a.path.stem.endswith(better) else "B"


@pytest.fixture
def people(session_of, folder):
    """Choices of people as (name, Preferences); each judges all three pairs as told: one, two or an answer."""

    def judge(**opinions) -> list[tuple[str, Preferences]]:
        for name, answers in opinions.items():
            session = session_of(name)
            for pair, answer in zip(sorted(session.pairs()), answers, strict=True):
                given = by_clip(session, pair, answer) if answer in ("one", "two") else answer
                session.choose(pair, {"VQ": given, "Overall": given})
        return [(name, read_preferences(folder / f"choices_{name}.jsonl")) for name in opinions]

    return judge


def winners(merged) -> dict[str, str]:
    return {
        pair.chosen[:3]: pair.chosen[4:7] if pair.labels["Overall"] == "A" else pair.labels["Overall"]
        for pair in merged.pairs
    }


def test_people_who_mean_the_same_clip_agree_whichever_side_they_saw_it_on(people, folder):
    files = people(Anna=["one"] * 3, Ben=["one"] * 3, Cleo=["one"] * 3, Dora=["one"] * 3)
    sides = {pair.source.a for _, choices in files for pair in choices}
    assert sides == {"chosen", "rejected"}  # the clip was on either side
    merged = merge_choices(files, folder)
    assert set(winners(merged).values()) == {"one"}
    assert merged.conflicts == 0
    assert {row.share for row in merged.agreements if row.dimension == "Overall"} == {1.0}


def test_the_majority_decides_and_an_even_split_is_the_same(people, folder):
    merged = merge_choices(people(Anna=["one", "one", "same"], Ben=["one", "two", "two"]), folder)
    assert sorted(winners(merged).values()) == ["one", "same", "same"]
    assert merged.conflicts == 4  # two pairs, VQ and Overall
    files = people(Anna=["one", "one", "same"], Ben=["one", "two", "two"], Cleo=["two", "two", "two"])
    assert sorted(winners(merge_choices(files, folder)).values()) == ["one", "two", "two"]


def test_both_bad_by_most_is_remembered(people, folder):
    merged = merge_choices(people(Anna=["both_bad", "both_bad", "one"], Ben=["both_bad", "same", "one"]), folder)
    assert [pair.source.both_bad for pair in merged.pairs].count(True) == 1
    assert [pair.labels["VQ"] for pair in merged.pairs].count("same") == 2


def test_seeds_and_models_stay_with_their_clips(people, folder):
    for pair in merge_choices(people(Anna=["one"] * 3, Ben=["two"] * 3), folder).pairs:
        seen = pair.in_source_order()
        assert pair.source.columns["A_model"] == f"micro-{seen.chosen[4:7]}"
        assert pair.source.columns["B_model"] == f"micro-{seen.rejected[4:7]}"
        assert pair.source.columns["choosers"] == "Anna, Ben"


def test_pairs_that_one_person_alone_judged_are_kept(session_of, folder):
    pairs = list(session_of().pairs())
    session_of("Anna").choose(pairs[0], {"VQ": "A"})
    session_of("Ben").choose(pairs[1], {"VQ": "A"})
    files = [(name, read_preferences(folder / f"choices_{name}.jsonl")) for name in ("Anna", "Ben")]
    merged = merge_choices(files, folder)
    assert len(merged.pairs) == 2
    assert {(row.pairs, row.share, row.kappa) for row in merged.agreements} == {(0, None, None)}


def test_paths_start_from_the_new_folder(people, folder):
    merged = merge_choices(people(Anna=["one"] * 3, Ben=["one"] * 3), folder.parent)
    assert all(pair.chosen.startswith("clips/") for pair in merged.pairs)
    Preferences(merged.pairs, folder.parent).check_clips()


def test_a_habit_of_choosing_the_left_clip_shows(people, folder):
    merged = merge_choices(people(Anna=["A", "A", "A"], Ben=["A", "B", "same"]), folder)
    assert merged.left == {"Anna": (1.0, 3), "Ben": (0.5, 2)}


def test_kappa_is_that_of_a_worked_example():
    # 20 times both A, 5 A/B, 10 B/A, 15 both B: equal 0.7, by chance 0.5*0.6 + 0.5*0.4 = 0.5, kappa 0.4.
    answers = [("A", "A")] * 20 + [("A", "B")] * 5 + [("B", "A")] * 10 + [("B", "B")] * 15
    assert cohens_kappa(answers) == pytest.approx(0.4, abs=1e-12)
    assert cohens_kappa([("A", "A")] * 5) is None
    assert cohens_kappa([("A", "B"), ("B", "A")]) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        (["A"], "A"),
        (["A", "B"], "same"),
        (["A", "same"], "same"),
        (["A", "A", "B"], "A"),
        (["A", "A", "B", "B", "same"], "same"),
    ],
)
def test_the_majority_of_answers(answers, result):
    assert majority(answers) == result


def test_one_file_or_two_of_one_person_cannot_be_merged(people, folder):
    files = people(Anna=["one"] * 3)
    for given in (files, files * 2):
        with pytest.raises(VideoAlignError, match="two or more files of different people"):
            merge_choices(given, folder)
