"""What the CPU's allocator gave out, by torch's profiler."""

import torch

CONVOLUTIONS = ("aten::convolution", "aten::_convolution")


def allocated(run, whole: tuple[str, ...] = ()) -> int:
    """The most bytes that were given out at once while ``run`` ran, above those before.

    Args:
        whole: operations of which only what they leave behind counts: a CPU's kernel for convolutions over time and space unfolds
            its input, up to 27 times its size, or copies it into another layout, which no other device's kernel does.
    """
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    events = sorted(profile.profiler.kineto_results.events(), key=lambda one: one.start_ns())
    end = now = peak = 0
    for event in events:
        if event.name() in whole:
            end = max(end, event.start_ns() + event.duration_ns())
        if event.name() != "[memory]":
            continue
        if event.start_ns() > end:
            peak = max(peak, now)  # what the last convolution has left
        now += event.nbytes()
        if event.start_ns() > end:
            peak = max(peak, now)
    return max(peak, now)
