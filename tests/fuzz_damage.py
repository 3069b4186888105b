"""Damage to a file, drawn from a seed: what disks, transfers, editors and other programs do to files, and what an attacker would try."""

import random
import re

SPECIAL = [
    b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"[" * 5000, b'{"a":' * 300, b"9" * 5000, b"\xe2\x80\xa8", b"\x0c", b"\x00", b"\xff\xfe",
    b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n\r\n", b"\\", b"\\ud800", b"\xed\xa0\x80", b"=1+1", b"\x1b[2J", b"-1", b"0",
    b"7.0", b"0x7", b"1_000", b"a" * 200_000, b"../../x", b"~nobody/x", b"{}", b"[]", b"{", b"}", b"]", b":", b"#",
]  # fmt: skip
VALUES = [
    b"NaN", b"Infinity", b"1e999", b"null", b"true", b"[]", b"{}", b'""', b'" "', b"-1", b"0", b"7.0", b"7.5", b"1e400", b"9" * 400, b"9" * 4000, b'"NaN"', b'"7"',
    b'"\\u0000"', b'"\\ud800"', b'"\\u001b[2J"', b'"=1+1"', b"[[1]]", b'{"a": {"b": null}}', b'"' + b"x" * 5000 + b'"', b'"C:\\\\a.mp4"', b'"../../a"', b'"~nobody/a"',
    b'"/"', b"[" * 150 + b"]" * 150, b'"A"', b'"same"', b"x", b"", b"1_0", b"0x1F", b"1,5", b"+7", b"-0", b"1e-320", b'["a", 1]', b"2147483648", b"18446744073709551616",
]  # fmt: skip
TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|(?<=[,\t\n])[A-Za-z][^,\t\n"]*')
TEXT_FORMS = ("flip", "cut", "zero", "swap", "special", "drop", "line", "double", "value", "value", "value", "value")
BINARY_FORMS = (
    "flip",
    "flip",
    "cut",
    "zero",
    "swap",
    "special",
    "drop",
    "double",
    "grow",
    "header",
    "fit",
    "fit",
    "float",
)


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
        content[first : first + part], content[second : second + part] = (
            content[second : second + part],
            content[first : first + part],
        )
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
    elif form in ("value", "fit"):  # another value where one stands; in a header of a fixed length, one as long
        tokens = list(TOKEN.finditer(bytes(content[:20_000])))
        if tokens:
            start, stop = rng.choice(tokens).span()
            new = rng.choice(VALUES)
            content[start:stop] = new[: stop - start].ljust(stop - start) if form == "fit" else new
    elif form == "float":  # a number that is none, in whatever width the weights have
        place = at - at % 4
        content[place : place + 4] = rng.choice(
            (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff", b"\xff\xff\x7f\x7f", b"\xc0\x7f\xc0\x7f")
        )
    elif form == "line":
        lines = content.split(b"\n")
        one = rng.randrange(len(lines))
        if rng.random() < 0.5:
            lines.insert(one, lines[rng.randrange(len(lines))])
        else:
            del lines[one]
        return b"\n".join(lines)
    return bytes(content)
