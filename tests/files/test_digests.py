import hashlib
import os

from videoalign.files import digests
from videoalign.files.digests import content_fingerprint


def test_the_same_content_elsewhere_has_the_same_fingerprint(tmp_path):
    (tmp_path / "a").write_bytes(b"weights")
    (tmp_path / "b").write_bytes(b"weights")
    assert content_fingerprint(tmp_path / "a") == content_fingerprint(tmp_path / "b")


def test_other_content_of_the_same_length_has_another_fingerprint(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    before = content_fingerprint(path)
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(1, 1))
    assert content_fingerprint(path) != before


def test_an_untouched_file_is_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"weights")
    before = content_fingerprint(path)
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(AssertionError("read again")))
    assert content_fingerprint(path) == before


def test_a_folders_fingerprint_is_of_names_and_contents(tmp_path):
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / "model.pth").write_bytes(b"weights")
    before = content_fingerprint(tmp_path)
    (tmp_path / "checkpoint-1").rename(tmp_path / "checkpoint-2")
    assert content_fingerprint(tmp_path) != before


def test_a_sampled_digest_notices_a_change_at_either_end_of_a_large_file_and_its_length(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_WHOLE_BYTES", 1 << 10)
    path = tmp_path / "a"
    content = bytes(200_000)
    seen = set()
    for changed in (content, b"x" + content[1:], content[:-1] + b"x", content[:-1]):
        path.write_bytes(changed)
        seen.add(digests.sampled_digest([path]))
    assert len(seen) == 4 and all(len(name) == 16 for name in seen)


def test_a_digest_of_values_does_not_depend_on_the_order_of_keys():
    assert digests.json_digest([{"a": 1, "b": [0.1]}]) == digests.json_digest([{"b": [0.1], "a": 1}])
    assert digests.json_digest([1, 2]) != digests.json_digest([2, 1])
    text = b'[{"a": 1, "b": [0.1]}]'  # as it is in the checkpoints of version 0.1.0
    assert digests.json_digest([{"b": [0.1], "a": 1}]) == hashlib.sha256(text).hexdigest()[:16]
