"""Public sets of prompts by name: known by their digest, fetched only on request. A local server stands for the public one."""

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from videoalign.errors import VideoAlignError
from videoalign.generation import prompt_sets
from videoalign.generation.prompt_sets import SETS, prompt_set_file, read_prompt_set
from videoalign.generation.prompts import PromptRow

CONTENT = {
    "ta-hard": b"prompt,prompt_zh\na cat bakes,x\n",
    "vbench": b'[{"prompt_en": "a car", "dimension": ["color"]}, {"prompt_en": "sea", "dimension": ["appearance_style"]}, '
    b'{"prompt_en": "sea", "dimension": ["overall_consistency"]}]',
    "vbench-long": b"prompt,prompt_shorter\na long car,a car\nlong sea,sea\nlonger sea,sea\n",
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server with small files in the place of the sets', whose digests are the known ones; the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, content in CONTENT.items():
            file = SETS[name].file
            (folder / file).write_bytes(content)
            address = f"http://127.0.0.1:{server.server_port}/{file}"
            digest = hashlib.sha256(content).hexdigest()
            monkeypatch.setitem(SETS, name, replace(SETS[name], address=address, size=len(content), sha256=digest))
        monkeypatch.setenv(prompt_sets.FOLDER_VARIABLE, str(tmp_path / "kept"))
        yield folder
        server.shutdown()


def test_a_set_is_fetched_once_where_that_is_allowed_and_then_read_where_it_lies(served):
    with pytest.raises(
        VideoAlignError, match=r"ta-hard \(TA-Hard: 72 prompts.*MIT\) are not in(.|\n)*--download(.|\n)*TA_hard.csv"
    ):
        read_prompt_set(Path("ta-hard"))
    assert read_prompt_set(Path("ta-hard"), download=True) == [PromptRow("a cat bakes")]
    (served / "TA_hard.csv").unlink()
    assert read_prompt_set(Path("TA-Hard")) == [PromptRow("a cat bakes")]


def test_another_content_is_refused_before_it_is_kept_and_after(served, tmp_path):
    (served / "TA_hard.csv").write_bytes(b"prompt\nsomething else\n")
    with pytest.raises(VideoAlignError, match=r"is not the known file of ta-hard.*Nothing is kept"):
        prompt_set_file("ta-hard", download=True)
    assert not (tmp_path / "kept").exists()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "TA_hard.csv").write_bytes(b"prompt\nsomething else\n")
    with pytest.raises(VideoAlignError, match="is not the known file of ta-hard"):
        prompt_set_file("ta-hard", download=True)


def test_a_server_without_the_file_or_no_server_is_said(served, monkeypatch):
    (served / "TA_hard.csv").unlink()
    with pytest.raises(VideoAlignError, match=r"could not be fetched from http.*404"):
        prompt_set_file("ta-hard", download=True)
    monkeypatch.setitem(SETS, "ta-hard", replace(SETS["ta-hard"], address="http://127.0.0.1:9/x"))
    with pytest.raises(VideoAlignError, match="Check the connection"):
        prompt_set_file("ta-hard", download=True)


def test_long_prompts_take_the_dimensions_of_their_short_ones(served):
    assert read_prompt_set(Path("vbench-long"), download=True) == [
        PromptRow("a long car", None, "a car", ("color",)),
        PromptRow("long sea", None, "sea", ("appearance_style",)),
        PromptRow("longer sea", None, "sea", ("overall_consistency",)),
    ]


def test_a_file_of_that_name_wins(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("vbench").write_text("my prompt\n")
    assert read_prompt_set(Path("vbench")) == [PromptRow("my prompt")]


def test_every_set_names_a_commit_a_digest_and_a_licence():
    for one in SETS.values():
        commit = one.address.split("/")[5]
        assert (
            len(commit) == 40
            and len(one.sha256) == 64
            and one.licence in ("MIT", "Apache-2.0")
            and one.address.endswith(one.file)
        )
