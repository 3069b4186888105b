"""What the CPU's allocator gave out, by torch's profiler."""

import torch


def allocated(run) -> int:
    """The most bytes that were given out at once while ``run`` ran, above those before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    now = peak = 0
    events = [one for one in profile.profiler.kineto_results.events() if one.name() == "[memory]"]
    for event in sorted(events, key=lambda one: one.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak
