"""Journals keep every line that was acknowledged, and never take a damaged one for a value."""

import json
import os
import random
import subprocess
import sys

import pytest

from videoalign.errors import FileError
from videoalign.files.file_lock import locked
from videoalign.files.journal import append_records, keep_records, read_journal, rewrite_records

RECORDS = [{"id": index, "prompt": f"猫 \u2028 {index} lone \ud800", "score": 0.1 * index} for index in range(6)]


@pytest.mark.parametrize("checksum", [False, True])
def test_what_was_appended_is_read_back(tmp_path, checksum):
    path = tmp_path / "deep" / "a.jsonl"
    assert read_journal(path).records == []
    append_records(path, RECORDS[:2], checksum)
    append_records(path, RECORDS[2:], checksum)
    assert read_journal(path).records == RECORDS and read_journal(path).damaged == []
    plain = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert [{key: row[key] for key in RECORDS[0]} for row in plain] == RECORDS  # JSON lines for anybody
    rewrite_records(path, RECORDS[:1], checksum)
    assert read_journal(path).records == RECORDS[:1]


@pytest.mark.parametrize("checksum", [False, True])
def test_half_a_line_is_cut_off_wherever_the_writer_died(tmp_path, checksum):
    path = tmp_path / "a.jsonl"
    append_records(path, RECORDS[:3], checksum)
    content = path.read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    for cut in range(start + 1, len(content) - 1):
        path.write_bytes(content[:cut])
        whole = [*RECORDS[:2], *read_journal(path).records[2:]]
        assert read_journal(path).records == whole and read_journal(path).damaged == []
        append_records(path, RECORDS[3:4], checksum)
        assert read_journal(path).records == [*whole, RECORDS[3]]


def test_a_line_longer_than_a_block_is_cut_off_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    append_records(path, RECORDS[:1])
    with path.open("ab") as file:
        file.write(b'{"long": "' + b"x" * 200_000)
    append_records(path, RECORDS[1:2])
    assert read_journal(path).records == RECORDS[:2]


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    append_records(path, [{"a": 2}])
    assert read_journal(path).records == [{"a": 1}, {"a": 2}]


def test_damaged_lines_in_the_middle_are_left_out_and_counted(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\x00\x00\n\xff\xfe\n17\n\n{"a": 2}\n' + b"[" * 100_000 + b'\n{"a": 3}\n')
    content = read_journal(path)
    assert content.records == [{"a": 1}, {"a": 2}, {"a": 3}] and content.damaged == [2, 3, 4, 7]
    content.report(path)
    assert f"{path}: 4 damaged lines are left out (the first is line 2)" in capsys.readouterr().err


def test_no_flipped_bit_is_taken_for_a_value_in_a_journal_with_checksums(tmp_path):
    path = tmp_path / "a.jsonl"
    append_records(path, RECORDS, checksum=True)
    content = path.read_bytes()
    later = content.index(b"\n")  # a line before the first with a checksum may be of an earlier version
    draw = random.Random(0)
    for _ in range(2000):
        position = draw.randrange(later, len(content))
        damaged = bytearray(content)
        damaged[position] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        found = read_journal(path)
        assert all(record in RECORDS for record in found.records)
        assert len(found.records) < len(RECORDS) or damaged[position : position + 1].isspace()


def test_a_journal_of_an_earlier_version_goes_on_with_checksums(tmp_path):
    path = tmp_path / "a.jsonl"
    append_records(path, RECORDS[:2])
    append_records(path, RECORDS[2:4], checksum=True)
    assert read_journal(path).records == RECORDS[:4]
    with path.open("a", encoding="utf-8") as file:  # behind a line with one, a line without is damage
        file.write('{"id": 9}\n')
    assert read_journal(path).damaged == [5]


def test_kept_lines_stay_to_the_letter(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step":1, "x": 1.50}\n{"step": 2}\nrubbish\n{"step": 1e0}\n{"st', encoding="utf-8")
    keep_records(path, lambda record: record["step"] < 2)
    assert path.read_text(encoding="utf-8") == '{"step":1, "x": 1.50}\n{"step": 1e0}\n'


APPENDING = """
import sys
from videoalign.files.journal import append_records, read_journal, rewrite_records
from videoalign.files.file_lock import locked
path, name = sys.argv[1:]
for number in range(40):
    if number % 8 == 7:
        with locked(path):
            rewrite_records(path, read_journal(path).records)
    append_records(path, [{"id": f"{name}{number}"}])
"""


def test_processes_that_append_and_rewrite_at_once_lose_no_line(tmp_path):
    path = tmp_path / "a.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", APPENDING, str(path), name]) for name in "abc"]
    assert [process.wait() for process in running] == [0, 0, 0]
    found = [record["id"] for record in read_journal(path).records]
    assert sorted(found) == sorted(f"{name}{number}" for name in "abc" for number in range(40))


def test_a_lock_may_be_taken_again_by_its_holder_and_is_told_to_others(tmp_path):
    code = "import sys; from videoalign.files.file_lock import locked\nwith locked(sys.argv[1], 0): pass"
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "InUseError" in done.stderr and "is in use by another program" in done.stderr
    assert subprocess.run(command).returncode == 0
    with pytest.raises(FileError, match="could not be written"), locked("/proc/none/a"):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_is_a_clear_error(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    with pytest.raises(FileError, match=r"a\.jsonl could not be written .*No space left.*Free some space"):
        append_records(tmp_path / "a.jsonl", RECORDS)


@pytest.mark.parametrize("damage", [(b'"crc32": "', b'"crc32": "%'), (b'"}', b'%"}'), (b'", "crc32"', b'", "crc32" ')])
def test_a_line_whose_checksum_is_damaged_is_not_taken_for_one_without(tmp_path, damage):
    append_records(tmp_path / "j.jsonl", [{"a": "x"}], checksum=True)
    content = (tmp_path / "j.jsonl").read_bytes()
    (tmp_path / "j.jsonl").write_bytes(content.replace(*damage).replace(b'"x"', b'"y"'))
    found = read_journal(tmp_path / "j.jsonl")
    assert found.records == [] and found.damaged == [1]
