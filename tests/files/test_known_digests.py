import hashlib
import os

import pytest

from videoalign.files.known_digests import KnownDigests


def test_a_digest_is_remembered_until_the_file_changes(tmp_path):
    file, kept = tmp_path / "clip.mp4", tmp_path / "digests.json"
    file.write_bytes(b"one")
    known = KnownDigests(kept)
    assert known.digest(file) == hashlib.sha256(b"one").hexdigest()
    known.save()
    stamp = file.stat().st_mtime_ns
    file.write_bytes(b"two")
    os.utime(file, ns=(stamp, stamp))  # same size and time: taken for unchanged, hence not read
    assert KnownDigests(kept).digest(file) == hashlib.sha256(b"one").hexdigest()
    os.utime(file, ns=(stamp + 1, stamp + 1))
    assert KnownDigests(kept).digest(file) == hashlib.sha256(b"two").hexdigest()


def test_a_damaged_memory_is_no_memory_and_a_missing_file_is_an_error(tmp_path):
    file, kept = tmp_path / "clip.mp4", tmp_path / "digests.json"
    file.write_bytes(b"one")
    kept.write_text("{")
    assert KnownDigests(kept).digest(file) == hashlib.sha256(b"one").hexdigest()
    with pytest.raises(OSError):
        KnownDigests(kept).digest(tmp_path / "gone.mp4")
