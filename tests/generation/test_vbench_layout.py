"""Where VBench looks for clips: folders by suites, names by short prompts; and names that no file can have."""

import os

import pytest

from videoalign.errors import VideoAlignError
from videoalign.files.output_folder import held
from videoalign.generation.prompts import PromptRow, read_prompt_rows
from videoalign.generation.vbench_layout import (
    SUITES,
    alike_but_for_case,
    check_case,
    prompt_files,
    renamed,
    tells_case,
    vbench_clips,
    vbench_name,
    with_suite_of,
)  # fmt: skip

# VBench's evaluate.sh: each dimension and the folder of the clips that it is evaluated on.
FOLDERS = {
    "subject_consistency": "subject_consistency", "background_consistency": "scene", "aesthetic_quality": "overall_consistency",
    "imaging_quality": "overall_consistency", "object_class": "object_class", "multiple_objects": "multiple_objects", "color": "color",
    "spatial_relationship": "spatial_relationship", "scene": "scene", "temporal_style": "temporal_style",
    "overall_consistency": "overall_consistency", "human_action": "human_action", "temporal_flickering": "temporal_flickering",
    "motion_smoothness": "subject_consistency", "dynamic_degree": "subject_consistency", "appearance_style": "appearance_style",
}  # fmt: skip


def row(prompt, *dimensions, short=None):
    return PromptRow(prompt, None, short, dimensions)


def files(rows, **options):
    return [clip.file for clip in vbench_clips(rows, 0, **options)[0]]


def test_every_dimension_is_evaluated_on_the_folder_that_vbench_says():
    assert {dimension: suite for suite, dimensions in SUITES.items() for dimension in dimensions} == FOLDERS


def test_five_clips_a_prompt_and_25_of_temporal_flickering_with_seeds_in_order():
    rows = [
        row("a red car", "color"),
        row("In a still frame, a stop sign", "temporal_flickering"),
        row("a person", "aesthetic_quality"),
    ]
    clips, left_out = vbench_clips(rows, seed=7)
    assert [clip.file for clip in clips[:5]] == [f"color/a red car-{index}.mp4" for index in range(5)]
    assert [clip.seed for clip in clips[:5]] == [7, 8, 9, 10, 11]
    assert clips[29].file == "temporal_flickering/In a still frame, a stop sign-24.mp4"
    assert clips[30].file == "overall_consistency/a person-0.mp4" and len(clips) == 35 and not left_out
    assert len({clip.id for clip in clips}) == 35
    assert len(files(rows, per_prompt=2)) == 6


def test_the_long_prompt_is_sampled_and_the_short_one_names_the_file():
    (clip,), _ = vbench_clips([row("a long description of a car", "color", short="a car")], 0, per_prompt=1)
    assert (clip.prompt, clip.short, clip.file) == ("a long description of a car", "a car", "color/a car-0.mp4")


def test_only_the_prompts_for_a_dimension_and_their_ids_stay():
    rows = [row("a", "color"), row("b", "scene", "background_consistency"), row("c", "color")]
    clips, _ = vbench_clips(rows, 0, 1, ["background_consistency"])
    assert [(clip.id, clip.file) for clip in clips] == [("00001_0", "scene/b-0.mp4")]
    with pytest.raises(VideoAlignError, match="None of the 1 prompts is for color"):
        vbench_clips([row("a")], 0, 1, ["color"])
    with pytest.raises(VideoAlignError, match="VBench has no dimension 'colour'"):
        vbench_clips(rows, 0, 1, ["colour"])


def test_of_prompts_that_vbench_calls_alike_the_first_is_made_unless_their_folders_differ():
    clips, left_out = vbench_clips([row("long one", short="s"), row("long two", short="s")], 0, 1)
    assert [clip.prompt for clip in clips] == ["long one"] and left_out == ["long two"]
    assert files([row("s", "appearance_style"), row("s", "overall_consistency")], per_prompt=1) == [
        "appearance_style/s-0.mp4", "overall_consistency/s-0.mp4",
    ]  # fmt: skip


def test_a_prompt_is_the_name_to_the_letter_where_a_file_can_have_it():
    for prompt in (
        "A 3D model of a 1800s victorian house.",
        "Iron Man flies in the sky, 8k: 'wow'?",
        "ü" * 60,
        "x" * 248,
    ):
        assert vbench_name(prompt, 3) == prompt


@pytest.mark.parametrize("prompt", ["a red/blue car", "x" * 249, "ü" * 125, "..", ".hidden", "a\0b"])
def test_other_prompts_get_a_name_that_every_system_takes_and_a_list_of_prompts_for_vbench(prompt):
    clips, _ = vbench_clips([row("a red car", "color"), row(prompt, "color")], 0, 1)
    name = clips[1].file.removeprefix("color/")
    assert "/" not in name and len(name.encode()) <= 255 and name.endswith("_00001-0.mp4")
    assert renamed(clips) == {clips[1].file: prompt}
    assert prompt_files(clips) == {"prompts_color.json": {"a red car-0.mp4": "a red car", name: prompt}}
    assert prompt_files(clips[:1]) == {}


@pytest.mark.skipif(os.name == "nt", reason="VBench's own names are all allowed there; this tries others")
def test_on_windows_its_forbidden_characters_count_too(monkeypatch):
    from videoalign.generation import vbench_layout

    monkeypatch.setattr(vbench_layout, "_WINDOWS", True)
    assert vbench_name("what is this?", 4) == "what is this__00004"
    assert vbench_name("A house.", 4) == "A house."  # the index follows


def test_names_that_differ_in_case_alone_are_refused_where_they_would_replace_each_other(tmp_path, monkeypatch):
    clips, _ = vbench_clips(
        [row("a fantasy landscape", "scene"), row("A fantasy landscape", "scene"), row("b", "scene")], 0, 1
    )
    assert alike_but_for_case(clips) == ["scene/a fantasy landscape-0.mp4", "scene/A fantasy landscape-0.mp4"]
    with held(tmp_path, "generate"):
        assert tells_case(tmp_path) == (
            (tmp_path / ".videoalign.lock").exists() and not (tmp_path / ".VIDEOALIGN.LOCK").exists()
        )
        (tmp_path / ".VIDEOALIGN.LOCK").touch()  # as a disk that does not tell them apart would answer
        with pytest.raises(VideoAlignError, match="would replace each other: scene/a fantasy"):
            check_case(clips, tmp_path)
        check_case(clips[1:], tmp_path)


def test_dimensions_are_read_from_vbenchs_own_files(tmp_path):
    info = tmp_path / "VBench_full_info.json"
    info.write_text(
        '[{"prompt_en": "a car", "dimension": ["scene", "background_consistency"]}, {"prompt_en": "b", "dimension": "color"}]'
    )
    assert read_prompt_rows(info) == [row("a car", "scene", "background_consistency"), row("b", "color")]
    table = tmp_path / "long.csv"
    table.write_text("prompt,prompt_shorter,prompt_zh\na long car,a car,x\n")
    assert read_prompt_rows(table) == [row("a long car", short="a car")]
    assert with_suite_of([row("a")], tmp_path / "color.txt") == [row("a", "color")]
    assert with_suite_of([row("a")], tmp_path / "mine.txt") == [row("a")]
