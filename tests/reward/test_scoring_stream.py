"""Many clips: results in order, errors beside scores, mixed lengths, bounded read-ahead."""

import errno
import threading
from types import SimpleNamespace

import av
import pytest
import torch

from videoalign.backbones import devices
from videoalign.errors import CaptionError, ClipError, FileError
from videoalign.reward.scoring_stream import Request, _alike, score_stream, threads_for

NAMES = ["s05_10fps_3f_96x64", "s04_10fps_2f_64x64", "s06_10fps_4f_96x64", "s07_10fps_5f_96x64", "s19_10fps_20f_20x20"]


@pytest.fixture(scope="module")
def model(official):
    return official.model("full.fp32")


@pytest.fixture(scope="module")
def paths(clips):
    return [clips / f"{name}.mp4" for name in NAMES]


@pytest.mark.parametrize(("batch_size", "threads"), [(1, 0), (2, 1), (4, 2), (100, 3)])
def test_results_come_in_order_and_do_not_depend_on_batches_or_threads(model, paths, batch_size, threads):
    requests = [Request(path, ("cat", "dog") if index % 2 else ("cat",), key=index) for index, path in enumerate(paths)]
    results = list(score_stream(model, iter(requests), batch_size, threads))
    assert [request.key for request, _ in results] == list(range(len(paths)))
    for request, scores in results:
        assert [score.caption for score in scores] == list(request.captions)
        [alone] = model.score([request.clip], ["cat"])
        assert scores[0].raw == pytest.approx(alone.raw, abs=2e-5)


def test_a_clip_or_caption_that_fails_carries_its_error_and_the_others_go_on(model, paths, tmp_path, clips):
    requests = [
        Request(paths[0], ("cat",)),
        Request(tmp_path / "none.mp4", ("cat",)),
        Request(clips / "s08_10fps_1f_96x64.mp4", ("cat",)),
        Request(paths[1], ("",)),
        Request(paths[1], ("cat",), fps=0),
        Request(paths[2], ("cat",)),
    ]
    results = [result for _, result in score_stream(model, requests)]
    assert [type(result) for result in results] == [list, ClipError, ClipError, CaptionError, ClipError, list]


def test_an_error_while_scoring_does_not_take_the_batch_along(model, official, monkeypatch):
    [clip] = official.prepared("syn/s05_10fps_3f_96x64")
    monkeypatch.setattr(model.network, "max_positions", 3000)
    requests = [Request(clip, ("cat",)), Request(clip, ("Ω≈ç√∫" * 2000,)), Request(clip, ("dog",))]
    first, second, third = (result for _, result in score_stream(model, requests))
    assert isinstance(second, CaptionError)
    assert first[0].caption == "cat" and third[0].caption == "dog"


@pytest.mark.parametrize("error", [AttributeError("no codec"), MemoryError("8 GB"), RuntimeError("FFmpeg is lost")])
def test_whatever_goes_wrong_with_reading_one_clip_is_that_clips_error(model, paths, monkeypatch, error):
    prepare = type(model).prepare

    def broken(self, source, fps=None):
        if source == paths[1]:
            raise error
        return prepare(self, source, fps)

    monkeypatch.setattr(type(model), "prepare", broken)
    results = [result for _, result in score_stream(model, [Request(path, ("cat",)) for path in paths[:3]])]
    assert [type(result) for result in results] == [list, ClipError, list]
    assert str(paths[1]) in str(results[1]) and str(error) in str(results[1])


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EMFILE, "Too many")]
)
@pytest.mark.parametrize("threads", [0, 2])
def test_what_is_no_clips_fault_ends_the_run(model, paths, monkeypatch, error, threads):
    def broken(*arguments, **options):
        raise error

    monkeypatch.setattr(av, "open", broken)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else FileError
    with pytest.raises(expected):
        list(score_stream(model, [Request(path, ("cat",)) for path in paths[:3]], decode_threads=threads))


@pytest.mark.parametrize("error", [MemoryError("8 GB"), torch.OutOfMemoryError("24 GB")])
def test_a_clip_that_does_not_fit_into_memory_does_not_take_the_others_along(model, paths, monkeypatch, error):
    score_prepared = type(model).score_prepared

    def full(self, clips, captions, **options):
        if any("dog" in row for row in captions):
            raise error
        return score_prepared(self, clips, captions, **options)

    monkeypatch.setattr(type(model), "score_prepared", full)
    captions = ("cat", "dog", "fox")
    results = [result for _, result in score_stream(model, [Request(paths[0], (text,)) for text in captions])]
    assert [type(result) for result in results] == [list, ClipError, list]
    assert "does not fit into memory" in str(results[1])


def test_a_mistake_of_the_program_while_scoring_is_not_taken_for_a_clips(model, paths, monkeypatch):
    monkeypatch.setattr(type(model), "score_prepared", lambda *arguments, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(score_stream(model, [Request(paths[0], ("cat",))]))


def test_score_raises_the_error_of_the_first_clip_that_fails(model, paths, tmp_path):
    with pytest.raises(ClipError, match=r"none\.mp4 does not exist"):
        model.score([paths[0], tmp_path / "none.mp4"], ["cat", "cat"])


def test_no_more_clips_are_held_than_two_batches(model, paths):
    taken = []

    def requests():
        for index in range(40):
            taken.append(index)
            yield Request(paths[1], ("cat",))

    for done, _ in enumerate(score_stream(model, requests(), batch_size=2), start=1):
        assert len(taken) <= done + 2 * 2 + 1


def test_decoding_runs_in_other_threads_while_the_model_works(model, paths, monkeypatch):
    threads, prepare = set(), model.prepare
    monkeypatch.setattr(
        model, "prepare", lambda *given: threads.add(threading.current_thread().name) or prepare(*given)
    )
    list(score_stream(model, [Request(path) for path in paths]))
    assert threads and all(name.startswith("videoalign-decode") for name in threads)


def test_a_stream_that_is_left_early_ends_its_threads(model, paths):
    stream = score_stream(model, [Request(path) for path in paths * 3])
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("videoalign-decode")]


def test_no_requests_give_no_results_and_an_empty_batch_is_refused(model, paths):
    assert list(score_stream(model, [])) == []
    assert model.score([], []) == []
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(score_stream(model, [Request(paths[0])], batch_size=0))


def test_clips_that_share_a_pass_differ_by_less_than_a_tenth_in_length():
    lengths = [100, 1000, 95, 920, 500, 91, 89]
    groups = _alike(list(range(7)), lengths)
    assert sorted(index for group in groups for index in group) == list(range(7))
    for group in groups:
        longest = max(lengths[index] for index in group)
        assert all(lengths[index] >= 0.9 * longest for index in group)
    assert len(groups) == 4


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 7), (64, 16)])
def test_threads_follow_the_cores_where_an_accelerator_scores(monkeypatch, model, cores, threads):
    monkeypatch.setattr("videoalign.reward.scoring_stream.own_cores", lambda: cores)
    assert threads_for(model) == 2  # its products take all cores as it is
    far = SimpleNamespace(modules=(torch.nn.Linear(1, 1, device="meta"),))
    assert threads_for(far) == threads


def test_there_is_work_for_every_thread(model, paths, monkeypatch):
    waiting, most = [], []

    def read(clip, fps=None):
        waiting.append(clip)
        most.append(len(waiting))
        barrier.wait(timeout=60)
        return prepared

    prepared, barrier = model.prepare(paths[0]), threading.Barrier(6)
    monkeypatch.setattr(model, "prepare", read)
    results = list(score_stream(model, [Request(paths[0], ("cat",))] * 6, batch_size=1, decode_threads=6))
    assert len(results) == 6 and max(most) == 6  # the barrier opens for six that read at once


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    assert devices.own_cores() == 3
    monkeypatch.delattr(devices.os, "sched_getaffinity")
    monkeypatch.setattr(devices.os, "cpu_count", lambda: None)
    assert devices.own_cores() == 1
