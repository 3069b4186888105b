import os

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
