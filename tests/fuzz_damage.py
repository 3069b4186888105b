"""Damage to a file, drawn from a seed: what disks, transfers, editors and other programs do to files, and what an attacker would try."""

import random

SPECIAL = [
    b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"[" * 5000, b'{"a":' * 300, b"9" * 5000, b"\xe2\x80\xa8", b"\x0c", b"\x00", b"\xff\xfe",
    b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n\r\n", b"\\", b"\\ud800", b"\xed\xa0\x80", b"=1+1", b"\x1b[2J", b"-1", b"0",
    b"7.0", b"0x7", b"1_000", b"a" * 200_000, b"../../x", b"~nobody/x", b"{}", b"[]", b"{", b"}", b"]", b":", b"#",
]  # fmt: skip
TEXT_FORMS = ("flip", "cut", "zero", "swap", "special", "special", "special", "drop", "line", "double")
BINARY_FORMS = ("flip", "flip", "cut", "zero", "swap", "special", "drop", "double", "grow", "header")


def damaged(content: bytes, rng: random.Random, text: bool) -> bytes:
    """The content after one to three kinds of damage; never the same."""
    after = content
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        after = _once(bytearray(after), rng, rng.choice(TEXT_FORMS if text else BINARY_FORMS))
    return after if after != content else content[: rng.randrange(max(len(content), 1))]


def _once(content: bytearray, rng: random.Random, form: str) -> bytes:
    if len(content) < 4:
        return bytes(content) + b"\x00"
    at = rng.randrange(len(content))
    length = min(rng.choice((1, 4, 16, 200, 4096)), len(content) - at)
    if form == "flip":
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif form == "cut":
        del content[at:]
    elif form == "zero":
        content[at : at + length] = bytes(length)
    elif form == "swap":
        other = rng.randrange(len(content))
        first, second = sorted((at, other))
        part = min(length, second - first, len(content) - second)
        content[first : first + part], content[second : second + part] = content[second : second + part], content[first : first + part]
    elif form == "special":
        taken = rng.choice((0, 0, 1, 4))
        content[at : at + taken] = rng.choice(SPECIAL)
    elif form == "drop":
        del content[at : at + length]
    elif form == "double":
        content[at:at] = content[at : at + length]
    elif form == "grow":
        content += rng.randbytes(length)
    elif form == "header":  # where formats keep sizes and counts
        place = rng.randrange(min(len(content), 256))
        content[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), rng.randbytes(4)))
    elif form == "line":
        lines = content.split(b"\n")
        one = rng.randrange(len(lines))
        if rng.random() < 0.5:
            lines.insert(one, lines[rng.randrange(len(lines))])
        else:
            del lines[one]
        return b"\n".join(lines)
    return bytes(content)
