"""Scripts of web/ as they lie inside a page."""

import json
import shutil
import subprocess

import pytest

from videoalign.pages import scripts


def test_a_script_lies_in_a_page_with_all_that_it_takes_from_others():
    text = str(scripts.inline_script("compare_view.js"))
    for name in ("element", "synced_clips", "compare_player", "compare_view"):
        assert text.count(f"const module_{name}_js = ") == 1
    assert (
        text.index("module_element_js = ")
        < text.index("module_synced_clips_js = ")
        < text.index("module_compare_player_js = ")
    )
    assert "</script" not in text and "\nimport " not in text and "\nexport " not in text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_modules_keep_their_private_names_apart(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text(
        "const own = 1;\nexport function one() {\n  return own;\n}\nexport const three = 3;\n"
    )
    (tmp_path / "b.js").write_text(
        'import { one, three } from "./a.js";\nconst own = 10;\nexport function all() {\n  return [own, one(), three];\n}\n'
    )
    monkeypatch.setattr(scripts, "WEB", tmp_path)
    script = f"{scripts.inline_script('b.js')}\nconsole.log(JSON.stringify(all()));"
    ran = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [10, 1, 3]


@pytest.mark.parametrize(
    "text", ["export default 1;\n", 'import x from "./a.js";\n', 'export const a = "</script>";\n']
)
def test_what_cannot_lie_in_a_page_is_refused(text, tmp_path, monkeypatch):
    (tmp_path / "c.js").write_text(text)
    monkeypatch.setattr(scripts, "WEB", tmp_path)
    with pytest.raises(ValueError, match=r"c\.js"):
        scripts.inline_script("c.js")
