"""Facts that are remembered are those that were found out, or none."""

import random

from videoalign.files.remembered import RememberedFacts

FACTS = {"/clips/é.mp4": {"stamp": [1, 2], "digest": "ab", "fps": 23.976}, "lone \ud800": None, "x": [True, "0"]}


def remember(path):
    facts = RememberedFacts(path)
    for name, fact in FACTS.items():
        facts[name] = fact
    facts.save()


def test_what_was_saved_is_known_again_and_nothing_new_writes_nothing(tmp_path):
    path = tmp_path / "deep" / "facts.json"
    RememberedFacts(path).save()
    assert not path.exists()
    remember(path)
    again = RememberedFacts(path)
    assert all(name in again and again.get(name) == fact for name, fact in FACTS.items()) and again.get("y") is None
    before = path.stat().st_mtime_ns
    again.save()
    assert path.stat().st_mtime_ns == before


def test_a_flipped_bit_is_never_a_fact(tmp_path):
    path, generator, lost = tmp_path / "facts.json", random.Random(3), 0
    remember(path)
    content = path.read_bytes()
    for place in generator.sample(range(8 * len(content)), 400):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        facts = RememberedFacts(path)
        assert all(name not in facts or facts.get(name) == fact for name, fact in FACTS.items())
        lost += "x" not in facts
    assert lost > 300


def test_a_file_of_another_form_such_as_0_1_0s_tells_nothing(tmp_path):
    path = tmp_path / "facts.json"
    for content in (b"", b'{"x": 1}', b"[]", b'{"crc32": 1, "facts": []}', b"[" * 100_000, b"\xff"):
        path.write_bytes(content)
        assert "x" not in RememberedFacts(path)
