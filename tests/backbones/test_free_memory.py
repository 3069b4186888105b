"""Free memory, by the files that Linux and its control groups write."""

import pytest
import torch

from videoalign.backbones.free_memory import free_main_memory, free_memory

MEMINFO = "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    8000 kB\n"


@pytest.fixture
def meminfo(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text(MEMINFO)
    return file


def test_what_is_available_counts_and_a_container_may_leave_less(meminfo, tmp_path):
    group = tmp_path / "cgroup"
    assert free_main_memory(meminfo, group) == 8000 * 1024
    group.mkdir()
    (group / "memory.max").write_text("max\n")
    assert free_main_memory(meminfo, group) == 8000 * 1024
    (group / "memory.max").write_text("4000000\n")
    (group / "memory.current").write_text("3000000\n")
    (group / "memory.stat").write_text("anon 2500000\ninactive_file 400000\n")  # files that can be dropped
    assert free_main_memory(meminfo, group) == 4_000_000 - 3_000_000 + 400_000
    (group / "memory.current").write_text("9000000\n")
    assert free_main_memory(meminfo, group) == 0


def test_processes_of_one_computer_share_its_memory_and_a_fake_device_has_none(monkeypatch):
    alone = free_memory(torch.device("cpu"))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert free_memory(torch.device("cpu")) == pytest.approx(alone / 4, rel=0.5)  # others take and give meanwhile
    assert free_memory(torch.device("meta")) is None
