"""Rows from files, folders, globs and manifests: nothing is dropped, cut short or guessed in silence."""

import csv
import json
import os

import pytest
from PIL import Image

from videoalign.errors import VideoAlignError
from videoalign.evaluation.scoring.score_rows import rows_from_inputs, rows_from_manifest

AWKWARD = [
    'a cat, a "dog", and\na bird',
    "curly {text_prompt} <|im_end|> 100%",
    "line\r\nbreak\ttab",
    "separators \u2028 \u0085 \x0b of lines",
    " leading and trailing ",
    "猫と犬 🎈",
    "'; DROP TABLE clips; --",
]


@pytest.fixture
def folder(tmp_path):
    for name in ("b.mp4", "a.MP4", "deep/c.webm", "deep/notes.txt", "._a.mp4", ".trash/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def names(rows, folder):
    return [row.path.relative_to(folder).as_posix() for row in rows]


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def refused(manifest):
    with pytest.raises(VideoAlignError) as caught:
        rows_from_manifest(manifest)
    assert manifest.name in str(caught.value)
    return str(caught.value)


def test_a_folder_gives_its_videos_at_any_depth_but_no_hidden_files(folder):
    assert names(rows_from_inputs([str(folder)], []), folder) == ["a.MP4", "b.mp4", "deep/c.webm"]


@pytest.mark.parametrize(
    "ending",
    [".mts", ".M2TS", ".ogv", ".apng", ".3gp", ".mxf", ".vob", ".asf", ".f4v", ".y4m", ".wmv", ".mpg", ".h264"],
)
def test_films_of_every_ending_are_found(tmp_path, ending):
    (tmp_path / f"a{ending}").write_bytes(b"")
    assert names(rows_from_inputs([str(tmp_path)], []), tmp_path) == [f"a{ending}"]


def test_animated_webp_is_a_film_and_a_picture_is_not_and_what_is_left_out_is_counted(tmp_path, capsys):
    first, second = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moving.webp", save_all=True, append_images=[second], duration=100)
    first.save(tmp_path / "still.webp")
    for name in ("moving.txt", "notes.txt", "b.png", "LICENSE", "clips.jsonl"):
        (tmp_path / name).write_text("x")
    assert names(rows_from_inputs([str(tmp_path)], []), tmp_path) == ["moving.webp"]
    said = capsys.readouterr().err
    assert "1 clips; left out are 4 files that are none" in said
    assert all(kind in said for kind in ("1 .webp", "1 .txt", "1 .png", "1 no ending"))


def test_a_folder_with_the_name_of_a_film_is_searched_and_is_none(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    (tmp_path / "x.mp4" / "a.mp4").write_bytes(b"")
    assert names(rows_from_inputs([str(tmp_path)], []), tmp_path) == ["x.mp4/a.mp4"]


def test_linked_folders_are_followed_once_and_never_in_circles(tmp_path):
    scored, other = tmp_path / "scored", tmp_path / "other"
    for file in (scored / "real" / "a.mp4", other / "b.mp4"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
    (scored / "again").symlink_to(
        scored / "real"
    )  # before "real" in the alphabet; the file keeps its own name all the same
    (scored / "linked").symlink_to(other)
    (scored / "twice").symlink_to(other)
    (other / "up").symlink_to(scored)
    (scored / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")  # a row that will say that it is not there
    assert names(rows_from_inputs([str(scored)], []), scored) == ["gone.mp4", "linked/b.mp4", "real/a.mp4"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_a_folder_is_left_alone_and_standard_input_is_refused(folder):
    os.mkfifo(folder / "pipe.mp4")
    assert "pipe.mp4" not in names(rows_from_inputs([str(folder)], []), folder)
    with pytest.raises(VideoAlignError, match="standard input is not read"):
        rows_from_inputs(["-"], [])


def test_a_glob_is_expanded_in_order_and_a_clip_named_twice_is_scored_once(folder):
    rows = rows_from_inputs([str(folder / "b.mp4"), str(folder / "**" / "*.webm"), str(folder)], [])
    assert names(rows, folder) == ["b.mp4", "deep/c.webm", "a.MP4"]


def test_a_glob_may_begin_at_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert names(rows_from_inputs(["~/deep/*.webm"], []), folder) == ["deep/c.webm"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    (folder / "take [1].mp4").write_bytes(b"")
    assert names(rows_from_inputs([str(folder / "take [1].mp4")], []), folder) == ["take [1].mp4"]


def test_a_missing_file_stays_a_row_so_that_the_others_are_scored(folder):
    assert names(rows_from_inputs([str(folder / "no.mp4"), str(folder / "b.mp4")], []), folder) == ["no.mp4", "b.mp4"]


def test_a_caption_given_where_a_clip_belongs_becomes_a_row_that_will_fail(folder):
    caption = "A cat runs along the beach. " * 40
    assert [row.id for row in rows_from_inputs([caption], [])] == [caption]


@pytest.mark.parametrize(("given", "named"), [("*.avi", r"No file matches .*\*\.avi"), ("empty", "holds no video")])
def test_a_pattern_or_folder_without_a_video_is_an_error(folder, given, named):
    (folder / "empty").mkdir()
    with pytest.raises(VideoAlignError, match=named):
        rows_from_inputs([str(folder / given)], [])


def test_several_prompts_give_each_clip_a_numbered_row_for_each(folder):
    clip = str(folder / "b.mp4")
    assert [(row.id, row.prompt) for row in rows_from_inputs([clip], ["x", "y"])] == [
        (f"{clip}#1", "x"),
        (f"{clip}#2", "y"),
    ]
    assert [(row.id, row.prompt) for row in rows_from_inputs([clip], ["x"])] == [(clip, "x")]
    assert [(row.id, row.prompt) for row in rows_from_inputs([clip], [])] == [(clip, None)]


def test_captions_come_from_the_text_file_beside_each_clip(folder):
    write(folder / "b.txt", "\ufeffa bird\n")
    assert rows_from_inputs([str(folder / "b.mp4")], [], sidecars=True)[0].prompt == "a bird"


def test_a_missing_or_unreadable_caption_file_is_named(folder):
    with pytest.raises(VideoAlignError, match=r"b\.mp4 has no caption file b\.txt beside it"):
        rows_from_inputs([str(folder / "b.mp4")], [], sidecars=True)
    (folder / "b.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(VideoAlignError, match=r"caption file .*b\.txt cannot be read"):
        rows_from_inputs([str(folder / "b.mp4")], [], sidecars=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_manifest_needs_only_a_path_and_other_columns_are_ignored(tmp_path, encoding):
    text = "seed,path,fps,prompt,id\n7,clips/a.mp4,12.5,a bird,first\n8,b.mp4,,a cat,\n"
    first, second = rows_from_manifest(write(tmp_path / "rows.csv", text, encoding))
    assert (first.id, first.path, first.prompt, first.fps) == ("first", tmp_path / "clips" / "a.mp4", "a bird", 12.5)
    assert (second.id, second.path, second.prompt, second.fps) == ("b.mp4", tmp_path / "b.mp4", "a cat", None)
    (bare,) = rows_from_manifest(write(tmp_path / "bare.csv", "path\na.mp4\n", encoding))
    assert (bare.id, bare.prompt, bare.fps) == ("a.mp4", None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_jsonl_manifest_may_have_blank_lines_numbers_as_ids_and_any_line_ending(tmp_path, encoding):
    lines = ['{"id": 0, "path": "a.mp4", "prompt": "x", "fps": 8, "seed": 3}', "", '{"id": 1, "path": "a.mp4"}', ""]
    rows = rows_from_manifest(write(tmp_path / "rows.jsonl", "\r\n".join(lines), encoding))
    assert [(row.id, row.prompt, row.fps) for row in rows] == [("0", "x", 8.0), ("1", None, None)]


def test_absolute_paths_stay_and_relative_ones_begin_at_the_manifest(tmp_path):
    elsewhere = tmp_path / "elsewhere" / "a.mp4"
    rows = rows_from_manifest(write(tmp_path / "rows.csv", f"path\n{elsewhere}\nsub/b.mp4\n"))
    assert [row.path for row in rows] == [elsewhere, tmp_path / "sub" / "b.mp4"]


def test_awkward_prompts_come_through_csv_and_jsonl_unchanged(tmp_path):
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([["path", "prompt"], *(["a.mp4", prompt] for prompt in AWKWARD)])
    write(
        tmp_path / "raw.jsonl",
        "".join(json.dumps({"path": "a.mp4", "prompt": p}, ensure_ascii=False) + "\n" for p in AWKWARD),
    )
    write(tmp_path / "escaped.jsonl", "".join(json.dumps({"path": "a.mp4", "prompt": p}) + "\n" for p in AWKWARD))
    for name in ("rows.csv", "raw.jsonl", "escaped.jsonl"):
        assert [row.prompt for row in rows_from_manifest(tmp_path / name)] == AWKWARD, name


def test_a_space_after_a_comma_is_not_part_of_a_cell(tmp_path):
    (row,) = rows_from_manifest(write(tmp_path / "rows.csv", 'path, prompt\na.mp4, "a cat, running"\n'))
    assert row.prompt == "a cat, running"


def test_rows_without_an_id_that_repeat_a_path_are_numbered(tmp_path):
    rows = rows_from_manifest(write(tmp_path / "rows.csv", "path,prompt\na.mp4,x\nb.mp4,x\na.mp4,y\n"))
    assert [row.id for row in rows] == ["a.mp4#1", "b.mp4", "a.mp4#3"]


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("rows.csv", "id,path\nx,a.mp4\nx,b.mp4\n", "uses the id 'x' more than once"),
        ("rows.csv", "file,prompt\na.mp4,x\n", "column 'path' missing; found file, prompt"),
        ("rows.csv", "", "the file is empty"),
        ("rows.csv", "path,prompt\n", "has no rows"),
        (
            "rows.csv",
            "path,prompt\na.mp4,x\nb.mp4,a cat, running\n",
            "row 2 (line 3): 3 cells under 2 columns (path, prompt)",
        ),
        ("rows.csv", "path,prompt\na.mp4,x\nb.mp4\n", "row 2 (line 3): 1 cells under 2 columns (path, prompt)"),
        ("rows.csv", 'path,prompt\na.mp4,"x\nb.mp4,y\n', "not valid CSV"),
        ("rows.csv", "path,prompt\na.mp4,x\n  ,y\n", "row 2 (line 3), column 'path': found '  '; expected text"),
        ("rows.csv", "path,fps\na.mp4,fast\n", "row 1 (line 2), column 'fps': found 'fast'"),
        ("rows.jsonl", '{"path": "a.mp4"}\n{"path": \n', "line 2: not valid JSON"),
        ("rows.jsonl", '{"path": "a.mp4"}\n["a.mp4"]\n', "row 2 (line 2): found list; expected a JSON object"),
        ("rows.jsonl", '{"prompt": "x"}\n', "column 'path' missing; found prompt"),
        ("rows.jsonl", '{"path": "a.mp4", "prompt": 3}\n', "row 1 (line 1), column 'prompt': found 3"),
        ("rows.jsonl", '{"path": "a.mp4", "fps": true}\n', "row 1 (line 1), column 'fps': found True"),
        ("rows.jsonl", '{"path": "a.mp4", "id": ["x"]}\n', "row 1 (line 1), column 'id': found ['x']"),
        ("rows.jsonl", "\n\n", "has no rows"),
    ],
)
def test_a_malformed_manifest_is_refused_and_the_row_is_named(tmp_path, name, text, named):
    assert named in refused(write(tmp_path / name, text))


def test_a_missing_or_wrongly_encoded_manifest_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "none.csv")
    assert "cannot be read" in refused(write(tmp_path / "rows.csv", "path,prompt\na.mp4,ä\n", "utf-16"))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_rate_that_is_not_a_number_is_left_to_the_row_that_has_it(tmp_path, name):
    text = {
        "rows.csv": "path,fps\na.mp4,nan\nb.mp4,\n",
        "rows.jsonl": '{"path": "a.mp4", "fps": NaN}\n{"path": "b.mp4"}\n',
    }
    first, second = rows_from_manifest(write(tmp_path / name, text[name]))
    assert first.fps != first.fps and second.fps is None


def test_columns_in_another_case_semicolons_and_lists_are_read(tmp_path):
    for name, text in (
        ("a.csv", "Path;PROMPT;Fps\na.mp4;x;8\n"),
        ("b.json", '[{"path": "a.mp4", "prompt": "x", "fps": 8}]'),
        ("c.txt", "path,prompt,fps\na.mp4,x,8\n"),
    ):
        (row,) = rows_from_manifest(write(tmp_path / name, text))
        assert (row.path, row.prompt, row.fps) == (tmp_path / "a.mp4", "x", 8.0), name
