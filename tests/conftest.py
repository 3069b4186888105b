"""Options, shared paths and loaders of the tests."""

import functools
import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

pytest_plugins = ["command_line", "comfyui_versions", "made_clips", "small_runs", "worker_groups"]

# Sums are rounded differently with another number of threads: one thread here and in every process that a test starts, so
# that what is claimed to be equal bit for bit can be compared on any machine.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

REPOSITORY = Path(__file__).resolve().parent.parent
TESTS = REPOSITORY / "tests"
SHIPPED = TESTS / "data" / "videoreward"
SHARED = REPOSITORY.parent / "shared" / "fixtures"

# Files whose subject depends on the versions of transformers, PyAV or NumPy, by the start of their paths: marked ``oldest``.
OLDEST = (
    "backbones/test_image_encoder", "backbones/test_text", "clips/test_video_decoding", "reward/test_caption",
    "reward/test_checkpoint_", "reward/test_conver", "reward/test_damaged_clips", "reward/test_frame_", "reward/test_given_frames",
    "reward/test_gradients", "reward/test_loading", "reward/test_official_", "reward/test_qwen2vl_network",
    "reward/test_scoring_stream", "reward/vision_language/",
)  # fmt: skip
# Tests of numbers that another order of summation changes, by the start of their names: marked ``numeric``.
NUMERIC = (
    "backbones/test_given_frames.py", "backbones/test_nvfp4.py", "backbones/test_text_fewer_bits.py",
    "guidance/test_flow_nrg.py", "guidance/test_runs.py", "guidance/test_strength.py",
    "micro/video/test_orthogonal_momentum.py", "micro/video_reward/test_embedded_reward.py", "micro_world/test_measure.py",
    "reward/test_caption_independence.py", "reward/test_gradients.py",
    "reward/test_official_scores.py::test_bfloat16_scores_are_the_official_ones_within_the_spread_of_bfloat16",
    "reward/test_official_scores.py::test_float16_scores", "reward/test_official_scores.py::test_float32_scores_are_the_official_ones[prompt/-False",
    "reward/test_official_scores.py::test_float32_scores_are_the_official_ones[syn/-False", "reward/test_preference_losses.py",
    "test_version_0_1_0.py::test_a_converted_reward", "test_version_0_1_0.py::test_a_latent_reward_loads", "training/flow/test_dpo.py", "training/flow/test_frozen_weights.py", "training/video_reward/test_official_step.py",
)  # fmt: skip

# Tests that compare with scores of frames that PyTorch resized with AVX2. Without it the resize of 8-bit frames takes another
# path, whose pixels differ by a level here and there, as the official code's would.
RESIZED_WITH_AVX2 = (
    "comfyui/test_scoring_in_comfyui.py::test_images_with_their_rate",
    "reward/test_official_scores.py::test_float32_scores_are_the_official_ones[syn/-False",
    "test_version_0_1_0.py::test_a_converted_reward", "test_version_0_1_0.py::test_a_scoring_run",
    "training/video_reward/test_official_step.py::test_the_same_parameters_are_trained_and_their_gradients",
)  # fmt: skip

# How to load the checkpoint of a recording so that its arithmetic is the recorded one. Without rotary_dtype the rotary
# frequencies are rounded to the checkpoint's own type, bfloat16.
EXACT = {"dtype": torch.float32, "rotary_dtype": torch.float32}
RECORDINGS = {
    "full.fp32": ("ckpt_full", EXACT),
    "full.fp32_ropebf16": ("ckpt_full", {"dtype": torch.float32}),
    "full.bf16_official": ("ckpt_full", {}),
    "full.bf16cfg_dtypefp32": ("ckpt_full", {"dtype": torch.bfloat16, "rotary_dtype": torch.float32}),
    "full.fp16": ("ckpt_full", {"dtype": torch.float16, "rotary_dtype": torch.float16}),
    "lora.fp32": ("ckpt_lora", EXACT),
    "lora.bf16_official": ("ckpt_lora", {}),
    "dim3.fp32": ("ckpt_dim3", EXACT),
    "dim3.bf16_official": ("ckpt_dim3", {}),
    "untied.fp32": ("ckpt_untied", EXACT),
}


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="also run tests marked slow (minutes, gigabytes)")
    parser.addoption(
        "--run-long", action="store_true", help="also run tests marked long (several processes, ten seconds)"
    )
    parser.addoption("--flips", type=int, default=20, help="bits to flip in each file of tests/test_flipped_bits.py")
    parser.addoption("--kills", type=int, default=10, help="kill -9 in tests/test_kills.py, over all commands")


def pytest_collection_modifyitems(config, items):
    without_avx2 = torch.backends.cpu.get_cpu_capability() == "DEFAULT"
    for item in items:
        name = item.nodeid.partition("tests/")[2]
        if without_avx2 and name.startswith(RESIZED_WITH_AVX2):
            item.add_marker(pytest.mark.skip(reason="PyTorch resizes 8-bit frames otherwise without AVX2"))
        for marker, starts in (("oldest", OLDEST), ("numeric", NUMERIC)):
            if name.startswith(starts):
                item.add_marker(marker)
    skip_what_cannot_run(config, items)


def skip_what_cannot_run(config, items):
    reasons = {}
    for marker, reason in (("slow", "minutes or gigabytes"), ("long", "several processes or ten seconds")):
        if not config.getoption(f"--run-{marker}"):
            reasons[marker] = f"{reason}: run with --run-{marker}"
    if not torch.cuda.is_available():
        reasons["gpu"] = "needs a CUDA device"
    if not os.environ.get("COMFYUI_PATH"):
        reasons["comfyui"] = "needs a ComfyUI tree: set COMFYUI_PATH"
    for item in items:
        for marker, reason in reasons.items():
            if marker in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The project's own test data: clips, tiny random checkpoints, recorded numbers."""
    return SHIPPED


@pytest.fixture(scope="session")
def clips() -> Path:
    return SHIPPED / "clips"


@pytest.fixture(scope="session")
def checkpoints() -> Path:
    return SHIPPED / "checkpoints"


@pytest.fixture(scope="session")
def generated_clips() -> Path:
    """Clips by real video models; they belong to others and are not part of the project."""
    folder = SHARED / "generated_clips"
    if not folder.is_dir():
        pytest.skip("shared/fixtures/generated_clips is not beside this repository")
    return folder


@pytest.fixture(scope="session")
def field_cases() -> Path:
    """Small files after public bug reports, with what is right of each in a README."""
    folder = SHARED / "field_cases"
    if not folder.is_dir():
        pytest.skip("shared/fixtures/field_cases is not beside this repository")
    return folder


@pytest.fixture(scope="session")
def intermediates() -> Path:
    """Recorded intermediate tensors of the official network."""
    folder = SHARED / "videoreward" / "tensors"
    if not folder.is_dir():
        pytest.skip("shared/fixtures/videoreward/tensors is not beside this repository")
    return folder


@dataclass(frozen=True)
class Difference:
    """One of our raw scores against the official one."""

    case: str
    values: tuple[float, float, float]  # |difference| of VQ, MQ, TA
    same_pixels: bool

    @property
    def largest(self) -> float:
        return max(self.values)


class Official:
    """What the official code recorded, and the same inputs for ours. Models and prepared clips are made once."""

    def __init__(self) -> None:
        inputs = json.loads((SHIPPED / "results" / "inputs.small.json").read_text(encoding="utf-8"))
        self.prompts: dict[str, str] = inputs["prompts"]
        self.cases: dict[str, dict] = inputs["cases"]
        self._clips: dict = {}
        self._models: dict = {}

    @staticmethod
    @functools.cache
    def results(tag: str) -> dict[str, dict]:
        return json.loads((SHIPPED / "results" / f"small.{tag}.json").read_text(encoding="utf-8"))["results"]

    def model(self, tag: str):
        """The checkpoint of a recording, loaded on the CPU so that its arithmetic is the recorded one."""
        from videoalign.reward.loading import load_video_reward

        if tag not in self._models:
            checkpoint, options = RECORDINGS[tag]
            self._models[tag] = load_video_reward(SHIPPED / "checkpoints" / checkpoint, device="cpu", **options)
        return self._models[tag]

    @staticmethod
    def path(clip: str) -> Path | None:
        """Where a clip lies, None when it is not here."""
        folders = (SHIPPED / "clips", SHARED / "generated_clips")
        return next((folder / f"{clip}.mp4" for folder in folders if (folder / f"{clip}.mp4").is_file()), None)

    def sampling(self, case: str):
        from videoalign.reward.settings import FrameSampling

        options = {name: value for name, value in self.cases[case]["options"].items() if name != "use_norm"}
        return replace(FrameSampling(), **options)

    def prepared(self, case: str) -> list:
        """The prepared clips of a case."""
        from videoalign.reward.clip import prepare_clip

        sampling = self.sampling(case)
        for clip in self.cases[case]["videos"]:
            if (clip, sampling) not in self._clips:
                self._clips[clip, sampling] = prepare_clip(self.path(clip), sampling)
        return [self._clips[clip, sampling] for clip in self.cases[case]["videos"]]

    def captions(self, case: str) -> list[str]:
        return [self.prompts[prompt] for prompt in self.cases[case]["prompts"]]

    def select(self, tag: str, *prefixes: str, generated: bool | None = None) -> list[str]:
        """Scored cases of a recording by the start of their names; ``generated``: with or without generated clips.

        Skips the test when the clips that it needs are not here.
        """
        chosen = [
            case
            for case, result in self.results(tag).items()
            if case.startswith(prefixes) and not result.get("error")
            if generated is None or generated == self.needs_generated(case)
        ]
        here = [case for case in chosen if all(self.path(clip) for clip in self.cases[case]["videos"])]
        if chosen and not here:
            pytest.skip("shared/fixtures/generated_clips is not beside this repository")
        return here

    def needs_generated(self, case: str) -> bool:
        return any(clip.startswith("example_") for clip in self.cases[case]["videos"])

    def score(self, model, case: str) -> list:
        """Our scores of a case, in one batch as the official code ran it."""
        captions = [(caption,) for caption in self.captions(case)]
        return [own[0] for own in model.score_prepared(self.prepared(case), captions, check=False)]

    def differences(self, tag: str, cases: list[str]) -> list[Difference]:
        model, found = self.model(tag), []
        for case in cases:
            logits, samples = self.results(tag)[case]["logits"], self.cases[case]["samples"]
            for ours, theirs, sample, clip in zip(
                self.score(model, case), logits, samples, self.prepared(case), strict=True
            ):
                values = tuple(
                    abs(ours.raw[name] - value) for name, value in zip(("VQ", "MQ", "TA"), theirs, strict=True)
                )
                same = self.pixels_sha256(clip) == sample["pixel_values_sha256"]
                found.append(Difference(case, values, same))
        return found

    @staticmethod
    @functools.cache
    def _digest(patches) -> str:
        return sha256(patches)

    def pixels_sha256(self, clip) -> str:
        return self._digest(clip.patches)


def sha256(tensor: torch.Tensor) -> str:
    """The digest of a tensor's bytes, as the recordings have it."""
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


@pytest.fixture(scope="session")
def official() -> Official:
    return Official()


@pytest.fixture(scope="session")
def digest():
    return sha256
