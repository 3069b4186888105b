"""What does a step of Flow-DPO take on the networks that people train, and on which cards does it fit?

The loss runs forward and backward on each network at its real size with tensors that have no content (``training/plan``), for a
clip of 832 x 480 pixels and 81 frames (of LTX-2 its video stream), bfloat16, a LoRA of rank 64 and gradient checkpointing; so nothing of
it is measured, and no GPU has run it. Memory is what tensors fill, 15 % more for what lies between.
"""

from __future__ import annotations

import gc

from results_section import Section, benchmark_parser

from videoalign.backbones.meta_device import on_meta

HEADING = "Flow-DPO at real sizes, counted"
WAN = {"in_channels": 16, "out_channels": 16}
WAN_1_3B = WAN | {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}
WAN_14B = WAN | {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40}
WAN_5B = {"in_channels": 48, "out_channels": 48, "num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30}
LTX_23 = {"gated_attn": True, "cross_attn_mod": True, "audio_gated_attn": True, "audio_cross_attn_mod": True,
          "use_prompt_embeddings": False}  # fmt: skip
NETWORKS = {
    "Wan 2.1 1.3B": ("wan", WAN_1_3B, (832, 480, 81), 512),
    "Wan 2.1 14B": ("wan", WAN_14B, (832, 480, 81), 512),
    "Wan 2.2 TI2V-5B": ("wan", WAN_5B, (832, 480, 81), 512),
    "LTX-2 19B": ("ltx-2", {}, (832, 480, 81), 1024),
    "LTX-2.3 22B": ("ltx-2", LTX_23, (832, 480, 81), 1024),
    "LTX-Video 2B": ("ltx-video", {}, (832, 480, 81), 128),
    "HunyuanVideo 13B": ("hunyuan-video", {}, (832, 480, 81), 256),
    "HunyuanVideo 1.5 8.3B": ("hunyuan-video-1.5", {"task_type": "t2v"}, (832, 480, 81), 1000),
}
FORMS = (
    ("as it is", {}, "adamw"),
    ("offload_blocks", {"offload_blocks": True}, "adamw"),
    ("nf4, offload_blocks, adamw8bit", {"base_dtype": "nf4", "offload_blocks": True}, "adamw8bit"),
)


def main() -> None:
    """Run it."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--network", action="append", choices=list(NETWORKS), help="only this one; repeatable")
    options = parser.parse_args()
    with Section(HEADING, options, libraries=("torch", "diffusers", "peft")) as section:
        section.table(
            "one pair, split backward", "tokens", "frozen weights, GB", "activations, GB", "TFLOP a pair",
            *(f"needed {form}, GB" for form, *_ in FORMS),
        )  # fmt: skip
        for name in options.network or NETWORKS:
            section.row(name, *_cells(name))
            gc.collect()


def _cells(name: str) -> list[str]:

    from videoalign.backbones.families import backbone_classes
    from videoalign.planning.counting import GB
    from videoalign.training.flow.config import MemoryConfig, OptimizerConfig
    from videoalign.training.plan.flow_step import count_step
    from videoalign.training.plan.memory import memory_of
    from videoalign.training.train_flow_command import train_command

    family, changed, (width, height, frames), tokens = NETWORKS[name]
    kind = backbone_classes()[family]
    network = kind.with_defaults(changed)
    with on_meta():
        backbone = kind(kind.build_module(network), network)
    command = train_command("dpo")
    files = {"transformer": "-", "vae": "-", "text_encoder": "micro"}
    config = command.Config(output="-", data={"train": ["-"]}, model=files)
    latents = backbone.latent_format.shape(frames, height, width)
    step = count_step(backbone, config, command.method(config.dpo), latents, tokens)
    forms = [memory_of(step, MemoryConfig(**memory), OptimizerConfig(kind=kind)) for _, memory, kind in FORMS]
    sizes = [forms[0].weights, step.activations]
    return [
        str(step.tokens),
        *(f"{size / GB:.1f}" for size in sizes),
        f"{step.operations / 1e12:.0f}",
        *(f"{form.needed / GB:.1f}" for form in forms),
    ]


if __name__ == "__main__":
    main()
