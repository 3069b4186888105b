"""Build a graph in the page, as a user would, node by node and wire by wire."""

from __future__ import annotations

BUILD = """async ({nodes, wires}) => {
    const graph = window.app.graph, made = {};
    for (const [name, {type, at, widgets}] of Object.entries(nodes)) {
        const node = made[name] = LiteGraph.createNode(type);
        node.pos = at;
        graph.add(node);
        for (const [key, value] of Object.entries(widgets ?? {})) {
            const widget = node.widgets.find(one => one.name === key);
            if (!widget) throw new Error(`${type} has no widget ${key}: ${node.widgets.map(one => one.name)}`);
            widget.value = value;
            widget.callback?.(value, window.app.canvas, node);
        }
    }
    for (const [from, output, to, input] of wires) {
        const place = made[to].inputs.findIndex(one => one.name === input);
        if (place < 0) throw new Error(`${to} has no input ${input}: ${made[to].inputs.map(one => one.name)}`);
        made[from].connect(output, made[to], place);
        await new Promise(done => setTimeout(done, 50));
    }
    return Object.fromEntries(Object.entries(made).map(([name, node]) => [name, node.id]));
}"""


def build(page, nodes: dict, wires: list) -> dict:
    """Add nodes and wires; returns node ids by name."""
    ids = page.page.evaluate(BUILD, {"nodes": nodes, "wires": wires})
    page.settle()
    return ids


def best_of(
    page, clips: int = 3, caption: str = "a grey square moves to the right", model: str = "tiny.safetensors"
) -> dict:
    """Load, score a batch, weigh, pick the best."""
    nodes = {
        "model": {"type": "VideoAlignLoadVideoReward", "at": [20, 60], "widgets": {"model": model}},
        "clip": {"type": "VideoAlignTestClip", "at": [20, 260], "widgets": {"number": 500, "clips": clips}},
        "score": {
            "type": "VideoAlignScoreVideo",
            "at": [440, 60],
            "widgets": {"caption": caption, "fps": 8, "clips_in_batch": clips},
        },
        "weights": {"type": "VideoAlignRewardWeights", "at": [20, 520]},
        "best": {"type": "VideoAlignPickBest", "at": [900, 60]},
    }
    wires = [
        ("model", 0, "score", "reward"),
        ("clip", 0, "score", "clip"),
        ("clip", 1, "score", "latent"),
        ("score", 0, "best", "candidates.candidate0"),
        ("weights", 0, "best", "weights"),
    ]
    ids = build(page, nodes, wires)
    page.fit()
    return ids


def guided(page, steps: int, seed: int = 1, top: int = 60) -> dict:
    """A guided tiny Wan with its trace, its upper edge at ``top``; its files are made where they are missing."""
    from guidance_prompts import (
        MODEL,
        REWARD,
        make_guidance_files,
    )  # brings torch, which who builds other graphs needs not

    make_guidance_files(page.server.base)
    page.page.evaluate("window.app.refreshComboInNodes()")  # the page had listed the models before
    sampling = {"seed": seed, "control_after_generate": "fixed", "steps": steps, "cfg": 1}
    size = {"width": 64, "height": 64, "length": 9, "batch_size": 1}
    nodes = {
        "unet": {"type": "UNETLoader", "at": [20, top], "widgets": {"unet_name": MODEL}},
        "reward": {"type": "VideoAlignLoadLatentReward", "at": [20, top + 160], "widgets": {"model": REWARD, "dtype": "float32"}},
        "text": {"type": "VideoAlignTestText", "at": [20, top + 360], "widgets": {"control_after_generate": "fixed"}},
        "latent": {"type": "EmptyHunyuanLatentVideo", "at": [20, top + 480], "widgets": size},
        "guide": {"type": "VideoAlignRewardGuidance", "at": [400, top], "widgets": {"strength": 1.0}},
        "sampler": {
            "type": "KSampler", "at": [900, top], "widgets": {**sampling, "sampler_name": "euler", "scheduler": "simple"},
        },
        "trace": {"type": "VideoAlignRewardTrace", "at": [1260, top]},
    }  # fmt: skip
    wires = [
        ("unet", 0, "guide", "model"), ("reward", 0, "guide", "latent_reward"), ("guide", 0, "sampler", "model"),
        ("text", 0, "sampler", "positive"), ("text", 0, "sampler", "negative"), ("latent", 0, "sampler", "latent_image"),
        ("guide", 2, "trace", "trace"), ("sampler", 0, "trace", "samples"),
    ]  # fmt: skip
    ids = build(page, nodes, wires)
    page.fit()
    return ids
