"""Traces are found by the samples that they belong to."""

import pytest
import torch

from videoalign.nodes.run_records import RunRecord, RunRecords, fingerprint


def record(run=1, sigmas=(1.0, 0.5, 0.0), **about):
    return RunRecord(run, 7, sigmas, (), **about)


class Nested:
    """As ComfyUI's NestedTensor."""

    is_nested = True

    def __init__(self, *tensors):
        self.tensors = tensors

    def unbind(self):
        return self.tensors


def test_each_of_several_samples_has_its_own_record():
    records, samples = RunRecords(), torch.randn(3, 1, 4, 2, 2, 2)
    for run, one in enumerate(samples):
        records.keep("node", one, record(run))
    assert [records.find("node", one).run for one in samples] == [0, 1, 2]
    assert records.find("node", samples[0] + 0.01) is None
    assert records.find("another node", samples[0]) is None


def test_the_same_numbers_are_found_on_the_way_through_float16_and_in_inference_mode():
    samples = torch.randn(1, 4, 2, 2, 2)
    with torch.inference_mode():
        made = fingerprint(samples * 1)
    assert fingerprint(samples) == made == fingerprint(samples.half()) == fingerprint(samples.half().float())
    assert fingerprint(samples) != fingerprint(samples.view(2, 2, 2, 2, 2))
    assert fingerprint(samples.transpose(3, 4)) != made


def test_of_a_video_with_sound_the_video_counts():
    video, audio = torch.randn(2, 4, 2, 2, 2), torch.randn(2, 3, 5)
    assert fingerprint(Nested(video, audio)) == fingerprint(Nested(video, audio + 1)) == fingerprint(video)
    assert fingerprint(Nested(video + 1, audio)) != fingerprint(video)


def test_the_oldest_records_are_forgotten_first_and_those_in_use_are_kept():
    records, samples = RunRecords(most=3), torch.randn(5, 1, 4)
    for run, one in enumerate(samples):
        records.keep("node", one, record(run))
        records.find("node", samples[0])
    assert [records.find("node", one) is not None for one in samples] == [True, False, False, True, True]


@pytest.mark.parametrize(
    ("ended", "begins", "expected"),
    [(0.5, 0.5, True), (0.5, 0.5 * (1 + 2**-18), True), (0.5, 0.499, False), (0.5, 0.6, False), (0.0, 0.0, False)],
)
def test_a_sampler_goes_on_where_the_one_before_ended(ended, begins, expected):
    assert record(sigmas=(1.0, ended)).can_go_on((begins, 0.0)) is expected


def test_the_parts_come_in_their_order():
    first = record(1, (1.0, 0.7))
    second = record(2, (0.7, 0.4), before=first)
    assert [part.run for part in record(3, (0.4, 0.0), before=second).parts()] == [1, 2, 3]
