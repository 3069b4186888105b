"""``videoalign choose``, ``choose merge`` and ``choose export``."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from videoalign.preferences.choices.session import ChoiceSession
from videoalign.preferences.choose_command import ended
from videoalign.preferences.reading import read_preferences


@pytest.fixture
def chosen(clips, manifest, tmp_path):
    """The clips of one prompt, and two people's files in their folder."""
    manifest(*((f"{name}.mp4", "a square moves") for name in "abcd"), name="clips.jsonl")
    for name, answer in (("Anna", "A"), ("Ben", "B")):
        session = ChoiceSession(clips, name, previews=tmp_path / "previews")
        for number, pair in enumerate(session.pairs()):
            session.choose(pair, {"VQ": "both_bad", "MQ": "A", "Overall": answer if number else "same"})
    return clips


def test_a_served_page_keeps_the_choice_even_when_it_is_killed_at_once(clips, manifest):
    manifest(*((f"{name}.mp4", "a square moves") for name in "abcd"), name="clips.jsonl")
    command = [
        sys.executable,
        "-m",
        "videoalign.cli.main",
        "choose",
        str(clips),
        "--no-browser",
        "--chooser",
        "Anna",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        url = process.stdout.readline().strip()

        def ask(action, values):
            request = urllib.request.Request(url + action, json.dumps(values).encode())
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        state = ask("state", {})
        assert (state["total"], state["done"]) == (6, 0)
        while state["waiting"]:
            pair = state["waiting"][0]["pair"]
            state = ask("choose", {"pair": pair, "answers": {"VQ": "B", "MQ": "same", "TA": "A", "Overall": "A"}})
        os.kill(process.pid, signal.SIGKILL)
    kept = read_preferences(clips / "choices_Anna.jsonl")
    assert len(kept) == 6
    assert {pair.in_source_order().labels["TA"] for pair in kept} == {"A"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_sigterm_ends_it_and_says_where_the_choices_are(clips, manifest, tmp_path, number):
    manifest(*((f"{name}.mp4", "a square moves") for name in "ab"), name="clips.jsonl")
    command = [sys.executable, "-m", "videoalign.cli.main", "choose", str(clips), "--no-browser"]
    # A test run in the background has Ctrl-C switched off, and hands that on.
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        process.stdout.readline()
        process.send_signal(number)
        assert "None of 1 pair is chosen" in process.communicate(timeout=60)[1]
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("done", "sentence"),
    [
        (1, "1 of 3 pairs is chosen; it is in choices.jsonl."),
        (2, "2 of 3 pairs are chosen; they are in choices.jsonl."),
        (3, "All 3 pairs are chosen; they are in choices.jsonl."),
    ],
)
def test_the_last_line_counts_in_english_and_names_the_file_and_the_next_command(done, sentence):
    line = ended(done, 3, Path("choices.jsonl"))
    assert line.startswith(sentence) and "videoalign train dpo --data.train choices.jsonl" in line
    assert ended(1, 1, Path("c.jsonl")).startswith("1 pair is chosen; it is in c.jsonl.")


@pytest.mark.skipif(os.name != "posix", reason="a shell script stands for the browser")
def test_the_browser_is_not_told_the_secret_word_on_its_command_line_which_others_can_read(clips, manifest, tmp_path):
    manifest(*((f"{name}.mp4", "a square moves") for name in "ab"), name="clips.jsonl")
    browser = tmp_path / "browser"
    browser.write_text(f"""#!/bin/sh
echo "$1" > {tmp_path}/address.part
cp "${{1#file://}}" {tmp_path}/opened.html
ls -l "${{1#file://}}" > {tmp_path}/rights
mv {tmp_path}/address.part {tmp_path}/address
""")
    browser.chmod(0o755)
    command = [sys.executable, "-m", "videoalign.cli.main", "choose", str(clips)]
    environment = {**os.environ, "BROWSER": f"{browser} %s"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        url = process.stdout.readline().strip()
        word = url.rstrip("/").rpartition("/")[2]
        until = time.monotonic() + 60
        while not (tmp_path / "address").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
    address = (tmp_path / "address").read_text()
    assert address.startswith("file://") and word not in address
    assert url in (tmp_path / "opened.html").read_text()
    assert (tmp_path / "rights").read_text().startswith("-rw-------")


def test_a_port_that_is_taken_is_named(videoalign, clips):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = videoalign("choose", clips, "--prompt", "p", "--no-browser", "--port", port)
    assert outcome.status == 1 and f"Port {port}" in outcome.err and "--port" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give the folder of the clips"),
        (("nowhere",), "no folder nowhere"),
        (("{clips}",), "prompts have to be known"),
        (("{clips}", "--prompt", "p", "--output", "a.csv"), "must end in .jsonl"),
    ],
)
def test_what_cannot_be_chosen_from_is_said_at_once(videoalign, clips, arguments, message):
    outcome = videoalign("choose", *(text.format(clips=clips) for text in arguments), "--no-browser")
    assert outcome.status == 1
    assert message in outcome.err


def test_two_files_merge_and_the_agreement_is_printed(videoalign, chosen, tmp_path):
    files = [chosen / f"choices_{name}.jsonl" for name in ("Anna", "Ben")]
    outcome = videoalign("choose", "merge", *files, "--output", tmp_path / "merged.jsonl")
    assert outcome.status == 0, outcome.err
    merged = read_preferences(tmp_path / "merged.jsonl")
    merged.check_clips()
    assert len(merged) == 6
    assert {pair.labels["VQ"] for pair in merged} == {"same"}
    assert "Anna and Ben  VQ             6  100 %       -" in outcome.out
    assert "6 pairs in" in outcome.out
    again = videoalign("choose", "merge", *files, "--output", tmp_path / "merged.jsonl")
    assert again.status == 1 and "allow --overwrite" in again.err


def test_the_csv_has_the_clips_as_they_were_seen_and_reads_back_the_same(videoalign, chosen, tmp_path):
    file = chosen / "choices_Anna.jsonl"
    assert videoalign("choose", "export", file, "--output", tmp_path / "pairs.csv").status == 0
    with open(tmp_path / "pairs.csv", newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert {row["Overall"] for row in rows} == {"A", "same"}
    assert {row["MQ"] for row in rows} == {"A"} and {row["VQ"] for row in rows} == {"same"}
    assert {row["both_bad"] for row in rows} == {"VQ"}
    for row, pair in zip(rows, read_preferences(file), strict=True):
        seen = pair.in_source_order()
        assert (tmp_path / row["path_A"]).resolve() == (chosen / seen.chosen).resolve()
    for ours, theirs in zip(read_preferences(tmp_path / "pairs.csv"), read_preferences(file), strict=True):
        assert ours.labels == theirs.labels and ours.prompt == theirs.prompt
