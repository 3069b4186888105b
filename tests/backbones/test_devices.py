"""Every question about the accelerator, on emulated ones: this machine has none, or one kind only."""

import types
from pathlib import Path

import pytest
import torch

from videoalign.backbones import devices
from videoalign.errors import VideoAlignError


class Backend(types.SimpleNamespace):
    """What torch.cuda, torch.xpu and torch.mps have in common and apart."""


@pytest.fixture(autouse=True)
def nothing_remembered():
    devices._lack.cache_clear()
    yield
    devices._lack.cache_clear()


@pytest.fixture
def computer(monkeypatch):
    """Make torch tell of ``count`` accelerators of a kind, and of what its module has."""

    def has(kind, count=1, **module):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: kind is not None)
        monkeypatch.setattr(
            torch.accelerator, "current_accelerator", lambda: None if kind is None else torch.device(kind)
        )
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
        monkeypatch.setattr(torch, "get_device_module", lambda device=None: Backend(**module))

    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return has


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps", "hpu"], ids="device-{}".format)
def test_the_accelerator_is_taken_whatever_its_name(computer, kind):
    computer(kind)
    assert devices.accelerator() == devices.chosen_device() == torch.device(kind)
    assert devices.chosen_device(kind) == torch.device(kind)
    assert devices.chosen_device(f"{kind}:0") == torch.device(kind, 0)
    assert devices.chosen_device("cpu") == torch.device("cpu")


def test_without_one_it_is_the_cpu(computer):
    computer(None, 0)
    assert devices.accelerator() is None and devices.chosen_device() == torch.device("cpu")
    assert devices.random_states() == [] and devices.total_memory(torch.device("cpu")) is None
    devices.set_random_states([torch.get_rng_state()])
    devices.release_memory()
    tensor = torch.zeros(1)
    assert devices.pinned(tensor) is tensor


@pytest.mark.parametrize(("rank", "index"), [(None, 0), ("1", 1), ("5", 1)])
def test_each_process_has_its_own(computer, monkeypatch, rank, index):
    computer("xpu", 4 if rank is None else 2)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert devices.chosen_device() == torch.device("xpu", index)


@pytest.mark.parametrize(
    "name", ["cuda", "cuda:1", "xpu:2", "mps", "gpu", "cuda:x", "", "xpu:-1"], ids="device-{}".format
)
def test_a_device_that_is_not_there_is_told_with_those_that_are(computer, name):
    computer("xpu", 2)
    with pytest.raises(VideoAlignError, match=r"no device .*Use cpu or xpu, xpu:0 to xpu:1"):
        devices.chosen_device(name)
    computer(None, 0)
    with pytest.raises(VideoAlignError, match=r"no device .*Use cpu\."):
        devices.chosen_device(name)


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu:1", "banana"], ids="device-{}".format)
def test_every_command_with_a_device_says_it(computer, videoalign, checkpoint, small_clips, tmp_path, device):
    computer(None, 0)
    (tmp_path / "p.txt").write_text("one red circle moves left over a plain grey ground\n", encoding="utf-8")
    for command in (
        ("score", small_clips / "a.mp4", "--model", checkpoint),
        ("generate", tmp_path / "p.txt", "--output", tmp_path / "made"),
    ):
        done = videoalign(*command, "--device", device)
        assert done.status == 1 and f"no device '{device}'" in done.err and "Use cpu" in done.err


def test_a_given_torch_device_is_taken_as_it_is(computer):
    computer(None, 0)
    assert devices.chosen_device(torch.device("xpu", 3)) == torch.device("xpu", 3)


class Refusing(torch.Tensor):
    """A tensor that no device of the kind takes."""

    def to(self, *_, **__):
        raise TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.\nmore"
        )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float8_e4m3fn, torch.bfloat16])
def test_arithmetic_that_a_device_lacks_is_told(computer, monkeypatch, dtype):
    computer("mps")
    real = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, dtype=None: real(*size).as_subclass(Refusing))
    with pytest.raises(VideoAlignError) as caught:
        devices.check_dtype(torch.device("mps"), dtype, "the reward model")
    text = str(caught.value)
    assert str(dtype).removeprefix("torch.") in text and "Use float32, or --device cpu" in text and "\n" not in text
    assert not devices.holds("mps", dtype) and devices.fast_dtype("mps") == torch.float32


def test_the_fast_type_is_bfloat16_where_the_device_has_it(computer, monkeypatch):
    real = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *size, dtype=None: types.SimpleNamespace(to=lambda *_: real(*size)))
    monkeypatch.setattr(devices, "_lack", lambda device, dtype: None)
    assert devices.fast_dtype("cuda:1") == devices.fast_dtype("xpu") == torch.bfloat16
    assert devices.fast_dtype("cpu") == torch.float32


@pytest.mark.parametrize("has", [True, False])
def test_a_cpu_computes_in_bfloat16_where_it_has_the_instructions_and_the_weights_are_in_it(monkeypatch, has):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    devices.cpu_multiplies_bfloat16.cache_clear()
    try:
        chosen = [devices.arithmetic_of(kind, "cpu") for kind in (torch.bfloat16, torch.float16, torch.float32)]
        assert chosen == [torch.bfloat16 if has else torch.float32, torch.float32, torch.float32]
        for limit, kept in (("AVX2", False), ("AVX512_CORE", False), ("AVX512_CORE_BF16", has), ("DEFAULT", has)):
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
            devices.cpu_multiplies_bfloat16.cache_clear()
            assert devices.cpu_multiplies_bfloat16() is kept, limit
    finally:
        devices.cpu_multiplies_bfloat16.cache_clear()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux tells what its processor can")
def test_torch_and_the_system_say_the_same_of_this_processor(monkeypatch):
    told = devices._cpu_has_bfloat16()
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert devices._cpu_has_bfloat16() is told


def test_an_accelerator_computes_as_weights_are_stored_or_in_float32_where_it_has_no_bfloat16(monkeypatch):
    kinds = (torch.bfloat16, torch.float16, torch.float32)
    monkeypatch.setattr(devices, "_lack", lambda device, dtype: None)
    assert [devices.arithmetic_of(kind, "cuda") for kind in kinds] == list(kinds)
    monkeypatch.setattr(devices, "_lack", lambda device, dtype: "none" if dtype == torch.bfloat16 else None)
    assert {devices.arithmetic_of(kind, "cuda") for kind in kinds} == {torch.float32}


def test_the_cpu_holds_every_type_and_meta_too():
    for dtype in (torch.float64, torch.float8_e4m3fn, torch.bfloat16):
        devices.check_dtype(torch.device("cpu"), dtype, "it")
        devices.check_dtype(torch.device("meta"), dtype, "it")


def test_memory_is_told_by_cuda_xpu_and_mps(computer):
    properties = types.SimpleNamespace(total_memory=8)
    computer("xpu", get_device_properties=lambda device: properties)
    assert devices.total_memory(torch.device("xpu:0")) == 8
    computer("mps", recommended_max_memory=lambda: 9)
    assert devices.total_memory(torch.device("mps")) == 9
    computer("hpu")
    assert devices.total_memory(torch.device("hpu")) is None


def test_random_states_are_kept_of_backends_with_many_devices_and_with_one(computer):
    kept = {}
    computer(
        "cuda", 2, get_rng_state_all=lambda: ["a", "b"], set_rng_state=lambda state, index: kept.update({index: state})
    )
    states = devices.random_states()
    devices.set_random_states([*states, "of a third one"])
    assert kept == {0: "a", 1: "b"}
    computer("mps", get_rng_state=lambda: "m", set_rng_state=lambda state: kept.update(mps=state))
    devices.set_random_states(devices.random_states())
    assert kept["mps"] == "m"


def test_memory_is_released_where_there_is_a_call_for_it(computer):
    calls = []
    computer("xpu", empty_cache=lambda: calls.append(1))
    devices.release_memory()
    computer("hpu")
    devices.release_memory()
    assert calls == [1]


def test_autocast_is_left_out_where_a_device_has_none(monkeypatch):
    with devices.autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
        with devices.autocast(torch.device("cpu"), enabled=False):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: False)
    with devices.autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_random_numbers_go_on_as_if_nothing_had_been_drawn():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with devices.forked_random(torch.zeros(1)):
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)


def test_no_other_module_asks_for_a_device_by_name():
    """The word stands in help texts, and as the key of states that 0.1.0 wrote."""
    root = Path(devices.__file__).resolve().parents[1]
    files = [file for file in root.rglob("*.py") if file.relative_to(root).parts[0] not in ("tests", "benchmarks")]
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    words = ("torch.cuda", "torch.xpu", "torch.mps", "is_cuda", '"cuda"', "'cuda'", "torch.autocast(")
    found = [
        (str(file.relative_to(root)), word)
        for file in files
        for word in words
        if word in file.read_text(encoding="utf-8")
    ]
    assert {file for file, _ in found} <= {"backbones/devices.py"}
