"""What is said first when cleaning up fails too, and what counts as full memory."""

import pytest
import torch

from videoalign.errors import VideoAlignError, afterwards, is_out_of_memory


def fail(text):
    raise OSError(text)


def test_the_cause_is_raised_and_the_cleanups_complaint_is_a_note_of_it():
    with pytest.raises(VideoAlignError, match="the cause") as caught, afterwards(lambda: fail("the page")):
        raise VideoAlignError("the cause")
    assert caught.value.__notes__ == ["Besides: the page"]


def test_without_a_cause_the_cleanups_complaint_is_raised():
    with pytest.raises(OSError, match="the page"), afterwards(lambda: fail("the page")):
        pass


def test_the_cleanup_runs_however_the_block_ends():
    runs = []
    with afterwards(lambda: runs.append(1)):
        pass
    with pytest.raises(KeyboardInterrupt), afterwards(lambda: runs.append(2)):
        raise KeyboardInterrupt
    assert runs == [1, 2]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), torch.cuda.OutOfMemoryError("x"),
     RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), RuntimeError("UR backend failed: UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY"),
     RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried")],
)  # fmt: skip
def test_full_memory_is_known_in_every_backends_words(error):
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))
