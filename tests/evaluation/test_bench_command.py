"""``videoalign bench`` on micro clips and the shipped tiny checkpoint, and on scores that are known."""

import contextlib
import csv
import io
import json
import math
import random
import shutil
from types import SimpleNamespace

import pytest
import torch

from videoalign.cli.main import COMMANDS, main
from videoalign.evaluation.scoring.score_journal import ScoreJournal
from videoalign.micro_world import write_prompt_groups
from videoalign.reward.official_agreement import official_accuracy_with_ties, official_accuracy_without_ties
from videoalign.reward.qwen2vl_network import Qwen2VLRewardNetwork

CODES = {"A": 1.0, "B": -1.0, "same": 0.0}
DIMENSIONS = ("VQ", "MQ", "TA", "Overall")


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A RewardBench-shaped CSV of 9 pairs: three micro clips for each of three prompts, two made-up models."""
    folder = tmp_path_factory.mktemp("world")
    write_prompt_groups(folder, 3, 3, seed=2)
    rows = read_csv(folder / "pairs.csv")
    for row in rows:
        row["A_model"] = "first"
        row["B_model"] = "first" if row["path_B"].endswith("_1.mp4") else "second"
    write_csv(folder / "pairs.csv", rows)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # another number changes the last digits
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model_options(checkpoint):
    return ["--model", str(checkpoint), "--dtype", "float32", "--device", "cpu", "--resamples", "20"]


@pytest.fixture
def bench(videoalign, model_options):
    """Call ``videoalign bench`` with the tiny checkpoint, or with ``--scores``."""

    def call(*arguments):
        options = ["--resamples", 20] if "--scores" in arguments else model_options
        return videoalign("bench", *arguments, *options)

    return call


@pytest.fixture(scope="module")
def measured(world, model_options, tmp_path_factory):
    """One whole run: its folder, what it printed, and how many clips the network saw."""
    folder, seen, out = tmp_path_factory.mktemp("measured") / "out", [], io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        count_clips(patch, seen)
        status = main(["bench", str(world / "pairs.csv"), "--output", str(folder), *model_options])
    return SimpleNamespace(folder=folder, status=status, out=out.getvalue(), clips=sum(seen))


def count_clips(patch, seen):
    """Note in ``seen`` how many clips each forward pass of the vision tower takes."""
    embed = Qwen2VLRewardNetwork.embed_clips

    def counted(self, patches, grids):
        seen.append(len(patches))
        return embed(self, patches, grids)

    patch.setattr(Qwen2VLRewardNetwork, "embed_clips", counted)


def test_each_clip_is_scored_once_although_it_stands_in_several_pairs(measured):
    assert measured.status == 0
    assert measured.clips == 9  # 9 pairs have 18 sides
    assert len(read_csv(measured.folder / "out_single.csv")) == 9


def test_out_single_has_the_official_columns_and_order(measured):
    rows = read_csv(measured.folder / "out_single.csv")
    expected = ["path", "model", "prompt", "fps", "num_frames", *(f"reward_{name}" for name in DIMENSIONS)]
    assert list(rows[0]) == expected
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    assert (rows[0]["fps"], rows[0]["num_frames"]) == ("8.0", "17.0")


def test_out_pair_is_the_benchmarks_csv_with_the_scores_of_both_sides(measured, world):
    rows, own = read_csv(measured.folder / "out_pair.csv"), read_csv(world / "pairs.csv")
    columns = [f"reward_{name}_{side}" for name in DIMENSIONS for side in "AB"]
    assert set(rows[0]) == {*own[0], *columns}
    assert list(rows[0])[-8:] == columns
    single = {row["path"]: row for row in read_csv(measured.folder / "out_single.csv")}
    for row, original in zip(rows, own, strict=True):
        assert {name: row[name] for name in original} == original
        for name in DIMENSIONS:
            for side in "AB":
                assert row[f"reward_{name}_{side}"] == single[row[f"path_{side}"]][f"reward_{name}"]


def test_the_scores_are_those_of_videoalign_score(measured, world, score):
    rows = {row["path"]: row for row in read_csv(measured.folder / "out_single.csv")}
    path = next(iter(rows))
    (expected,) = score(world / path, "--prompt", rows[path]["prompt"], "--json").rows
    for name in DIMENSIONS:
        assert float(rows[path][f"reward_{name}"]) == pytest.approx(expected[name], abs=1e-5)


def test_accuracy_json_holds_the_official_functions_numbers(measured):
    rows, found = read_csv(measured.folder / "out_pair.csv"), read_json(measured.folder / "accuracy.json")
    assert list(found) == [f"{name} Accuracy" for name in DIMENSIONS]
    for name in DIMENSIONS:
        labels = [CODES[row[name]] for row in rows]
        differences = [float(row[f"reward_{name}_A"]) - float(row[f"reward_{name}_B"]) for row in rows]
        assert found[f"{name} Accuracy"] == {
            "with_ties": official_accuracy_with_ties(labels, differences),
            "without_ties": official_accuracy_without_ties(labels, differences),
        }


def test_agreement_json_holds_everything(measured):
    found = read_json(measured.folder / "agreement.json")
    assert (found["pairs_measured"], found["pairs_left_out"], found["prompts"], found["clips"]) == (9, 0, 3, 9)
    assert found["model"]["sampling"]["fps"] == 2.0
    assert found["benchmark"] == "videogen-rewardbench"
    vq = found["dimensions"]["VQ"]
    assert {"without_ties", "without_ties_interval", "with_ties", "with_ties_held_out"} < set(vq)
    assert found["grouped_by"] == "model"
    assert found["groups"]["second"]["VQ"]["pairs"] == 6


def test_the_table_says_what_each_column_means(measured):
    text = " ".join(measured.out.split())
    assert "9 pairs of 3 prompts" in text
    for said in ("without ties:", "held out:", "best:", "official script:", "intervals resample prompts", "By model"):
        assert said in text
    for name in DIMENSIONS:
        agreement = read_json(measured.folder / "agreement.json")["dimensions"][name]
        assert f"{name} {agreement['pairs']} {agreement['ties']} {100 * agreement['without_ties']:.1f} (" in text
    assert max(map(len, measured.out.splitlines())) <= 120


@pytest.mark.parametrize("name", ["scores.jsonl", "out_single.csv"])
def test_known_scores_measure_the_same_as_the_model(measured, world, bench, tmp_path, name):
    result = bench(world / "pairs.csv", "--scores", measured.folder / name, "--output", tmp_path / "again")
    assert result.status == 0
    assert read_json(tmp_path / "again" / "accuracy.json") == read_json(measured.folder / "accuracy.json")
    keys = ("dimensions", "groups")
    first, again = (read_json(folder / "agreement.json") for folder in (measured.folder, tmp_path / "again"))
    assert [first[key] for key in keys] == [again[key] for key in keys]


def test_a_clip_with_several_prompts_is_read_once(world, bench, tmp_path, monkeypatch):
    rows = read_csv(world / "pairs.csv")[:1]
    other = {**rows[0], "prompt": "a green star moves up over a plain white ground"}
    seen = []
    count_clips(monkeypatch, seen)
    file = write_csv(tmp_path / "two.csv", [*rows, other])
    result = bench(file, "--videos", world, "--output", tmp_path / "out")
    assert (result.status, sum(seen)) == (0, 2)
    single = read_csv(tmp_path / "out" / "out_single.csv")
    assert len(single) == 4
    by_path = [[row for row in single if row["path"] == path] for path in dict.fromkeys(row["path"] for row in single)]
    for first, second in by_path:
        assert float(first["reward_VQ"]) == pytest.approx(float(second["reward_VQ"]), abs=1e-5)
        assert first["reward_TA"] != second["reward_TA"]


def test_a_stopped_run_goes_on_and_ends_with_the_same_files(measured, world, bench, tmp_path, monkeypatch):
    out, add, added = tmp_path / "out", ScoreJournal.add, []

    def stopping(self, row, result):
        if len(added) == 4:
            raise KeyboardInterrupt
        added.append(row.id)
        add(self, row, result)

    with monkeypatch.context() as patch:
        patch.setattr(ScoreJournal, "add", stopping)
        result = bench(world / "pairs.csv", "--output", out)
        assert (result.status, len(added)) == (130, 4)
        assert "again to go on" in result.err
    seen = []
    count_clips(monkeypatch, seen)
    assert bench(world / "pairs.csv", "--output", out).status == 0
    assert sum(seen) == 5
    for name in ("out_single.csv", "out_pair.csv", "accuracy.json", "agreement.json"):
        assert (out / name).read_bytes() == (measured.folder / name).read_bytes()
    seen.clear()
    assert bench(world / "pairs.csv", "--output", out).out == measured.out
    assert seen == []


def test_a_clip_that_one_process_has_scored_is_not_scored_by_the_next(measured, world, bench, tmp_path, monkeypatch):
    out, seen, outcomes = tmp_path / "out", [], []
    count_clips(monkeypatch, seen)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        outcomes.append(bench(world / "pairs.csv", "--output", out))
    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert sum(seen) == 9
    assert [outcome.out for outcome in outcomes] == [measured.out] * 2  # nobody else was at work when either left
    assert (out / "out_pair.csv").read_bytes() == (measured.folder / "out_pair.csv").read_bytes()


def test_clips_that_fail_are_reported_and_their_pairs_left_out(world, bench, tmp_path, measured):
    shutil.copytree(world, tmp_path / "world")
    videos = tmp_path / "world" / "videos"
    clip = videos / "000000_1.mp4"
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))  # a codec that nothing decodes
    (videos / "000001_0.mp4").unlink()
    result = bench(tmp_path / "world" / "pairs.csv", "--output", tmp_path / "out")
    assert result.status == 1
    assert "2 clips have no scores; 4 of 9 pairs are left out" in result.err
    assert "row 1, B (and 1 more place): videos/000000_1.mp4:" in result.err and "cannot decode" in result.err
    assert "row 4, A" in result.err and "does not exist" in result.err
    assert "4 pairs left out" in result.out
    found = read_json(tmp_path / "out" / "agreement.json")
    assert (found["pairs_measured"], found["pairs_left_out"]) == (5, 4)
    assert [failure["at"] for failure in found["failed_clips"]] == [["row 1, B", "row 3, A"], ["row 4, A", "row 5, A"]]
    rows = read_csv(tmp_path / "out" / "out_pair.csv")
    assert (rows[0]["reward_VQ_B"], rows[3]["reward_VQ_A"]) == ("", "")
    kept = [row for row in rows if row["reward_VQ_A"] and row["reward_VQ_B"]]
    labels = [CODES[row["MQ"]] for row in kept]
    differences = [float(row["reward_MQ_A"]) - float(row["reward_MQ_B"]) for row in kept]
    accuracy = read_json(tmp_path / "out" / "accuracy.json")["MQ Accuracy"]
    assert accuracy["with_ties"] == official_accuracy_with_ties(labels, differences)


def test_genai_bench_measures_its_vote_against_text_alignment_on_small_frames(world, bench, tmp_path):
    votes = {"A": "leftvote", "B": "rightvote", "same": "bothbad_vote"}
    own = read_csv(world / "pairs.csv")[:3]
    rows = [
        {"prompt": r["prompt"], "left_video": r["path_A"], "right_video": r["path_B"], "vote_type": votes[r["Overall"]]}
        for r in own
    ]
    file = write_csv(tmp_path / "genai.csv", rows)
    result = bench(file, "--videos", world, "--output", tmp_path / "out")
    assert result.status == 0
    assert "GenAI-Bench rules" in result.out and "Overall by TA" in result.out
    found = read_json(tmp_path / "out" / "agreement.json")
    assert list(found["dimensions"]) == ["Overall"]
    assert found["model"]["sampling"]["max_pixels"] == 256 * 256
    scores = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert all(math.prod(row["size"]) <= 256 * 256 for row in scores)
    pairs = read_csv(tmp_path / "out" / "out_pair.csv")
    labels = [CODES[row["Overall"]] for row in own]
    differences = [float(row["reward_TA_A"]) - float(row["reward_TA_B"]) for row in pairs]
    accuracy = read_json(tmp_path / "out" / "accuracy.json")["Overall Accuracy"]
    assert accuracy["with_ties"] == official_accuracy_with_ties(labels, differences)


def test_a_native_file_measures_the_same_as_the_csv(measured, world, bench):
    result = bench(world / "pairs.jsonl", "--scores", measured.folder / "scores.jsonl", "--group-by", "none")
    from_csv = bench(world / "pairs.csv", "--scores", measured.folder / "scores.jsonl", "--group-by", "none")
    assert result.status == 0

    def exact(text):  # the official figures depend on which clip is called A only through the order of equal rows
        return [line.split()[:5] for line in text.splitlines() if line.startswith(DIMENSIONS)]

    assert exact(result.out) == exact(from_csv.out)


def test_the_fixtures_official_numbers_come_out_of_a_file_of_scores(bench, checkpoint, tmp_path):
    cases = read_json(checkpoint.parents[1] / "results" / "accuracy.json")["calc_accuracy"]
    tested = 0
    for case in cases:
        h, m = case["h"], [float(value) for value in case["m"]]
        if not m or not all(map(math.isfinite, m)):
            continue  # no pairs, or a clip without a score: not a file of scores
        names = {1: "A", -1: "B", 0: "same"}
        pairs = [
            {"path_A": f"{i}a", "path_B": f"{i}b", "prompt": str(i), "MQ": names.get(label, "invalid")}
            for i, label in enumerate(h)
        ]
        scores = [{"path": f"{i}a", "prompt": str(i), "MQ": value} for i, value in enumerate(m)]
        scores += [{"path": f"{i}b", "prompt": str(i), "MQ": 0.0} for i in range(len(m))]
        folder = tmp_path / case["name"]
        folder.mkdir()
        files = write_csv(folder / "pairs.csv", pairs), write_csv(folder / "scores.csv", scores)
        assert bench(files[0], "--scores", files[1], "--output", folder / "out").status == 0
        without = case["without_ties"]
        assert read_json(folder / "out" / "accuracy.json")["MQ Accuracy"] == {
            "with_ties": case["with_ties"],
            "without_ties": None if isinstance(without, dict) else without,  # the official function divides by zero
        }, case["name"]
        tested += 1
    assert tested == 20


def test_a_reward_that_knows_the_truth_is_always_right_and_a_coin_is_not(world, bench, tmp_path):
    rng, truth, coin = random.Random(1), [], []
    for line in (world / "pairs.jsonl").read_text().splitlines():
        pair = json.loads(line)
        for side in ("chosen", "rejected"):
            truth.append({"path": pair[side], "prompt": pair["prompt"], **pair[f"scores_{side}"]})
    for row in {row["path"]: row for row in truth}.values():
        coin.append({**row, **{name: rng.random() for name in DIMENSIONS}})
    for rows, low, high in ((truth, 1, 1), (coin, 0.1, 0.9)):
        file = write_csv(tmp_path / "scores.csv", rows)
        out = tmp_path / f"out{low}"
        assert bench(world / "pairs.csv", "--scores", file, "--output", out).status == 0
        for own in read_json(out / "agreement.json")["dimensions"].values():
            assert low <= own["without_ties"] <= high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row.pop("prompt") for row in rows], "'prompt' is missing"),
        (lambda rows: rows[2].update(VQ="a"), "row 3 (line 4), column 'VQ': found 'a'"),
        (lambda rows: rows[1].update(path_B=""), "row 2 (line 3), column 'path_B'"),
        (lambda rows: [row.update(path_A="x", path_B="y") for row in rows], "None of the 2 clips is there"),
        (lambda rows: [row.pop("TA") for row in rows], "column 'TA' missing"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_row(world, bench, tmp_path, change, message):
    rows = read_csv(world / "pairs.csv")
    change(rows)
    for row in rows[1:]:
        assert set(row) == set(rows[0])
    file = write_csv(tmp_path / "pairs.csv", rows)
    result = bench(file, "--videos", world, "--output", tmp_path / "out", "--protocol", "videogen-rewardbench")
    assert result.status == 1
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_results_of_another_run_are_not_overwritten_unasked(measured, world, bench, tmp_path):
    arguments = (world / "pairs.csv", "--scores", measured.folder / "scores.jsonl", "--output", tmp_path / "out")
    assert bench(*arguments).status == 0
    result = bench(*arguments)
    assert result.status == 1 and "--overwrite" in result.err
    assert bench(*arguments, "--overwrite").status == 0


def test_another_model_or_sampling_does_not_mix_with_a_runs_scores(measured, world, bench):
    result = bench(world / "pairs.csv", "--output", measured.folder, "--sampling.fps", 1)
    assert result.status == 1 and "another sampling" in result.err


def test_model_and_scores_exclude_each_other_and_a_model_needs_an_output(videoalign, world):
    assert "either --model or --scores" in videoalign("bench", world / "pairs.csv").err
    assert "--model needs --output" in videoalign("bench", world / "pairs.csv", "--model", "m").err
    assert "pairs: field required" in videoalign("bench", "--scores", "s.csv").err


def test_help_lists_the_command_its_options_and_its_files(videoalign):
    assert "bench" in COMMANDS
    text = videoalign("bench", "--help").out
    for said in ("--model", "--scores", "--videos", "--protocol", "--group-by", "out_pair.csv", "agreement.json"):
        assert said in text


def test_any_judge_is_measured_and_its_files_name_its_marks(world, tmp_path, videoalign):
    """The world's own measurement made the labels' qualities from frames before encoding; it agrees with nearly all."""
    output = tmp_path / "out"
    assert videoalign("bench", world / "pairs.csv", "--judge", "micro-world", "--output", output).status == 0
    record = read_json(output / "agreement.json")
    assert record["model"] == {"source": "micro-world", "judge": "micro-world", "measurement": 1}
    assert record["dimensions"]["TA"]["without_ties"] == 1
    assert all("reward_TA" in row for row in read_csv(output / "out_single.csv"))
