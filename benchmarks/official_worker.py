"""VideoAlign's own code as a process that is asked to score: it runs in an environment of its own, without this package.

    python -c "import official_worker; official_worker.serve(CHECKOUT, CHECKPOINT)"

Of the checkout nothing is changed but what a CPU lacks: flash attention is off (sdpa in its place). trl and datasets, which training
alone uses, are empty modules. Requests and answers are lines of JSON; see ``answer``.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
import types
from collections.abc import Callable
from typing import Any

Score = Callable[[list, list], list]


def serve(checkout: str, checkpoint: str) -> None:
    """Load the checkpoint by the official code and answer requests until there are no more."""
    answer_all(lambda: official(checkout, checkpoint))


def answer_all(load: Callable[[], Score]) -> None:
    """Tell how long loading took, then answer every line of standard input; whatever else prints goes to standard error."""
    output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        score, loaded = timed(load)
        print(json.dumps(loaded), file=output, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(score, json.loads(line))), file=output, flush=True)


def answer(score: Score, request: dict[str, Any]) -> dict[str, Any]:
    """Raw scores of clips with their captions, [[VQ, MQ, TA], ...], and seconds of the processor and by the clock.

    Args:
        request: "clips": paths; "captions": as many, or several of one clip.
    """
    raw, taken = timed(lambda: score(request["clips"], request["captions"]))
    return {**taken, "raw": raw}


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What ``work`` returns, and its seconds of all threads, by the clock, and the process's peak memory so far in MB."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    taken = {"cpu": time.process_time() - cpu, "clock": time.perf_counter() - clock}
    return result, {**taken, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def official(checkout: str, checkpoint: str) -> Score:
    """The checkout's ``reward`` in float32 on the CPU, without its normalisation."""
    import torch

    _declare_operators(torch)
    _leave_out_training()
    sys.path.insert(0, checkout)
    import inference

    create = inference.create_model_and_processor

    def without_flash_attention(**given: Any) -> Any:
        given["training_args"].disable_flash_attn2 = True
        return create(**given)

    inference.create_model_and_processor = without_flash_attention
    model = inference.VideoVLMRewardInference(checkpoint, device="cpu", dtype=torch.float32)

    def score(clips: list, captions: list) -> list:
        clips = clips * len(captions) if len(clips) == 1 else clips
        with torch.no_grad():
            rewards = model.reward(clips, captions, use_norm=False)
        return [[one[name] for name in ("VQ", "MQ", "TA")] for one in rewards]

    return score


def _declare_operators(torch: Any) -> None:
    """torchvision from the registry is linked to CUDA: on a CPU build of torch it asks for operators that it could not load."""
    if torch.backends.cuda.is_built():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _kept.append(library)


def _leave_out_training() -> None:
    import transformers.trainer  # noqa: F401 - looks for datasets by itself, and must not find what follows

    trl, datasets = types.ModuleType("trl"), types.ModuleType("datasets")
    trl.RewardTrainer = type("RewardTrainer", (), {})
    trl.get_kbit_device_map = trl.get_quantization_config = lambda *_: None
    datasets.load_dataset = datasets.concatenate_datasets = datasets.Dataset = None
    sys.modules.update(trl=trl, datasets=datasets)


_kept: list = []  # a library's operators live as long as it
