"""A clip depends on its workflow and seed alone, and a trace on its latent: in every cache mode, whatever ran before."""

import copy
import itertools
import json

import pytest
from guidance_prompts import guided_graph, make_guidance_files
from prompts import node, show
from tiny_backbones import save_single, tiny

pytestmark = pytest.mark.comfyui

OTHER = "other_wan.safetensors"
CACHES = {"classic": (), "lru": ("--cache-lru", "30"), "none": ("--cache-none",)}
SEEDS, EVERY, SPLITS = (1, 2), (1, 3), ("whole", "halves", "experts", "thirds")
STEPS = 6


# Each cache is a ComfyUI of its own; all but the first with --run-slow.
@pytest.fixture(
    scope="module",
    params=[(name if name == "classic" else pytest.param(name, marks=pytest.mark.slow)) for name in CACHES],
)
def server(request, start_comfyui):
    made = start_comfyui(*CACHES[request.param])
    make_guidance_files(made.base)
    save_single(tiny("wan-t2v", seed=9), made.base / "models" / "diffusion_models" / OTHER)
    yield made
    made.stop()


def advanced(model, latent, seed, start, end, sampler="euler", cfg=1.0) -> dict:
    """KSamplerAdvanced over a part of the steps."""
    return {
        "class_type": "KSamplerAdvanced",
        "inputs": {
            "model": model, "positive": ["text", 0], "negative": ["text", 0], "latent_image": latent, "noise_seed": seed,
            "add_noise": "disable" if start else "enable", "start_at_step": start, "end_at_step": end, "steps": STEPS, "cfg": cfg,
            "return_with_leftover_noise": "enable" if end < STEPS else "disable", "sampler_name": sampler, "scheduler": "simple",
        },
    }  # fmt: skip


def graph(seed=1, every=1, split="whole", sampler="euler", cfg=1.0, **guidance) -> dict:
    """A guided clip in one sampler or several; ``cfg`` is the last sampler's."""
    made = guided_graph(every=every, **guidance)
    for name in ("sampler", "show_curve", "show_latent"):
        made.pop(name)
    ends = {"whole": (STEPS,), "halves": (3, STEPS), "experts": (3, STEPS), "thirds": (2, 4, STEPS)}[split]
    if split == "experts":
        made["low"] = {"class_type": "UNETLoader", "inputs": {"unet_name": OTHER, "weight_dtype": "default"}}
        made["guide"]["inputs"]["model_low_noise"] = ["low", 0]
    latent = ["latent", 0]
    for place, (start, end) in enumerate(itertools.pairwise((0, *ends))):
        output = 1 if split == "experts" and start else 0
        last = end == STEPS
        made[f"sampler{place}"] = advanced(["guide", output], latent, seed, start, end, sampler, cfg if last else 1.0)
        latent = [f"sampler{place}", 0]
    made["trace"]["inputs"]["samples"] = latent
    return made | {"show_latent": show(latent[0], 0), "show_data": show("trace", 2)}


def shown(server, prompt) -> tuple[str, dict]:
    """(digest of the clip, its trace)."""
    run = server.run(prompt)
    assert not run.errors, run.error
    return run.outputs["show_latent"]["shown"][0]["sha256"], json.loads(run.outputs["show_data"]["shown"][0])


def points(trace: dict) -> list[tuple]:
    """What the points say, without the time that they took."""
    return [
        (point["step"], point["sigma"], point["VQ"], point["reused"], point["shift_ratio"]) for point in trace["points"]
    ]


@pytest.fixture(scope="session")
def table():
    """(every, split, seed) -> clip and trace points, of whichever cache mode ran first."""
    return {}


def test_equal_clips_whatever_is_cached_and_whatever_ran_before(server, table):
    cases = list(itertools.product(EVERY, SPLITS, SEEDS))
    # Settings of the last sampler alone change between neighbours, so that the first one comes from a cache; and the order is
    # another one in each mode.
    order = {"classic": cases, "lru": cases[::-1], "none": cases[::2] + cases[1::2]}
    mode = next(name for name, arguments in CACHES.items() if tuple(arguments) == tuple(server.arguments))
    for every, split, seed in order[mode]:
        shown(server, graph(seed, every, split, cfg=2.0))  # another clip with the same beginning
        digest, trace = shown(server, graph(seed, every, split))
        expected = table.setdefault((every, split, seed), (digest, points(trace)))
        assert (digest, points(trace)) == expected, (every, split, seed)
        assert trace["seed"] == seed and trace["note"] is None and trace["steps"] == STEPS
    for split, seed in itertools.product(SPLITS, SEEDS):
        assert len({table[every, split, seed][0] for every in EVERY}) == len(EVERY)
    for seed in SEEDS:  # with reuse, the first level of each sampler is measured
        assert [point[3] for point in table[3, "halves", seed][1]] == [False, True, False, True, True]


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "euler_ancestral"])
def test_equal_clips_for_other_samplers(server, table, sampler):
    for split in ("whole", "halves"):
        shown(server, graph(2, 3, split, sampler, cfg=2.0))
        digest, trace = shown(server, graph(1, 3, split, sampler))
        assert (digest, points(trace)) == table.setdefault((sampler, split), (digest, points(trace)))


def test_an_unrelated_video_to_video_run_does_not_go_on_with_another_clips_run(server, table):
    first = graph(1, 3, "halves")
    first["show_latent"], first["trace"]["inputs"]["samples"] = show("sampler0", 0), ["sampler0", 0]
    first.pop("sampler1")
    other = graph(7, 3)
    other["sampler0"] = {
        "class_type": "KSampler",
        "inputs": {
            "model": ["guide", 0], "positive": ["text", 0], "negative": ["text", 0], "latent_image": ["noisy", 0], "seed": 7,
            "steps": 3, "cfg": 1.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 0.5,
        },
    }  # fmt: skip
    other["noisy"] = advanced(["unet", 0], ["latent", 0], 3, 0, STEPS)
    shown(server, first)
    digest, trace = shown(server, other)
    assert (digest, points(trace)) == table.setdefault("video to video", (digest, points(trace)))
    assert len(trace["points"]) == 3 and trace["points"][0]["step"] == 0 and not trace["points"][0]["reused"]


def test_a_list_of_seeds_has_a_trace_for_each(server):
    def with_seeds(seeds):
        made = guided_graph(strength=2.0)
        made["seeds"] = node("TestIntList", values=seeds)
        made["sampler"]["inputs"]["seed"] = ["seeds", 0]
        return server.run(made)

    together = with_seeds("21,22,23")
    assert not together.errors, together.error
    traces = [json.loads(data) for data in together.outputs["show_data"]["shown"]]
    assert [trace["seed"] for trace in traces] == [21, 22, 23]
    for seed, trace in zip((21, 22, 23), traces, strict=True):
        alone = json.loads(with_seeds(str(seed)).outputs["show_data"]["shown"][0])
        assert points(alone) == points(trace)
    assert len({str(points(trace)) for trace in traces}) == 3


def test_a_latent_from_the_cache_still_has_its_own_trace(server):
    first, second = guided_graph(seed=31), guided_graph(seed=32)
    plain = copy.deepcopy(first)
    for name in ("trace", "show_curve", "show_data"):
        plain.pop(name)
    plain["show_latent"] = show("sampler", 0)
    server.run(plain)
    server.run(second)
    again = server.run(first)
    trace = json.loads(again.outputs["show_data"]["shown"][0])
    assert trace["seed"] == 31 and trace["points"] and trace["note"] is None


def test_denoise_0_has_no_trace_and_says_so(server):
    server.run(guided_graph(seed=41))
    unsampled = guided_graph(seed=41)
    unsampled["sampler"]["inputs"]["denoise"] = 0.0
    run = server.run(unsampled)
    assert not run.errors, run.error
    trace = run.outputs["trace"]["videoalign_trace"][0]
    assert trace["points"] == [] and trace["note"].startswith("No trace belongs to these samples")


def test_a_second_half_after_an_unguided_first_one_says_that_it_is_cut(server):
    made = graph(1, 1, "halves")
    made["sampler0"]["inputs"]["model"] = ["unet", 0]
    _, trace = shown(server, made)
    assert trace["note"].startswith("Cut: it begins at sigma 0.") and len(trace["points"]) == 3


def test_the_other_output_of_a_custom_sampler_has_the_trace_too(server):
    made = guided_graph(seed=51)
    made["sampler"] = {
        "class_type": "SamplerCustom",
        "inputs": {
            "model": ["guide", 0], "add_noise": True, "noise_seed": 51, "cfg": 1.0, "positive": ["text", 0], "negative": ["text", 0],
            "sampler": ["euler", 0], "sigmas": ["high", 0], "latent_image": ["latent", 0],
        },
    }  # fmt: skip
    made["euler"] = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}}
    made["sigmas"] = {
        "class_type": "BasicScheduler",
        "inputs": {"model": ["unet", 0], "scheduler": "simple", "steps": 6, "denoise": 1.0},
    }
    made["high"] = {"class_type": "SplitSigmas", "inputs": {"sigmas": ["sigmas", 0], "step": 3}}
    made["trace"]["inputs"]["samples"] = ["sampler", 1]
    run = server.run(made)
    assert not run.errors, run.error
    trace = run.outputs["trace"]["videoalign_trace"][0]
    assert [point["step"] for point in trace["points"]] == [1, 2] and trace["seed"] == 51


def test_a_ghost_comes_along_with_the_trace(server):
    made = guided_graph(seed=61)
    made |= {f"un{name}": copy.deepcopy(made[name]) for name in ("guide", "sampler", "trace")}
    made["unguide"]["inputs"]["strength"] = 0.0
    made["unsampler"]["inputs"]["model"] = ["unguide", 0]
    made["untrace"]["inputs"] = {"trace": ["unguide", 2], "samples": ["unsampler", 0]}
    made["trace"]["inputs"]["ghost"] = ["untrace", 2]
    run = server.run(made)
    assert not run.errors, run.error
    trace = run.outputs["trace"]["videoalign_trace"][0]
    assert trace["ghost"]["strength"] == 0 and len(trace["ghost"]["points"]) == len(trace["points"]) == 3
