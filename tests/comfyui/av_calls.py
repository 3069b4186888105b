"""Calls of ``ComfyProcess`` that sample video with sound, by ComfyUI's own nodes, guided or not."""

from __future__ import annotations

import comfy.samplers
import comfy.utils
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras import nodes_custom_sampler as samplers
from comfy_extras.nodes_lt import LTXVConcatAVLatent, LTXVSeparateAVLatent
from comfy_extras.nodes_minimax_h3 import EmptyMiniMaxH3LatentAV, MiniMaxH3SigmaShift
from sampling_calls import conditioning, guided, heard, pack, run_node
from tiny_av_models import TEXT, av_model, av_reward, tiny_clip

import nodes


def empty(kind: str, batch: int = 1) -> dict:
    """A joint latent: 128 x 2 x 3 x 4 and 8 x 5 x 16 numbers, or 24 x 2 x 2 x 4 and 32 x 2 x 8."""
    if kind == "h3":
        return run_node(EmptyMiniMaxH3LatentAV, width=64, height=32, length=5)
    streams = [{"samples": torch.zeros(batch, *shape)} for shape in ((128, 2, 3, 4), (8, 5, 16))]
    return run_node(LTXVConcatAVLatent, video_latent=streams[0], audio_latent=streams[1])


def text(kind: str, seed: int):
    return conditioning(seed, TEXT[kind][0])


def guider(kind: str, model, way: str, cfg: float):
    """A guider node's output."""
    positive, negative = text(kind, 1), text(kind, 2)
    if way == "basic":  # as for distilled models: there is no negative at all
        return run_node(samplers.BasicGuider, model=model, conditioning=positive)
    if way == "input is denoised":
        made = ToldTheDenoisedTwice(model)
        made.set_conds(positive, negative)
        made.set_cfg(cfg)
        return made
    if way == "dual model":
        other = {"model_negative": av_model(kind), "negative": negative}
        return run_node(samplers.DualModelGuider, model=model, positive=positive, cfg=cfg, **other)
    return run_node(samplers.CFGGuider, model=model, positive=positive, negative=negative, cfg=cfg)


class ToldTheDenoisedTwice(comfy.samplers.CFGGuider):
    """Evaluates both conditionings by itself and tells the hooks the prediction as their input, as one of Lightricks' does."""

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        conds = [self.conds["positive"], self.conds["negative"]]
        wanted, unwanted = comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)
        made = unwanted + (wanted - unwanted) * self.cfg
        for function in model_options["sampler_post_cfg_function"]:
            made = function({
                "denoised": made, "input": made, "cond": conds[0], "uncond": conds[1], "model": self.inner_model,
                "cond_denoised": wanted, "uncond_denoised": unwanted, "sigma": timestep, "model_options": model_options,
            })  # fmt: skip
        return made


def watched(model, points: list):
    """A clone whose guider's results are noted: (sigma, x_t, the prediction), both packed."""
    clone = model.clone()

    def note(args):
        points.append((float(args["sigma"].max()), args["input"].clone(), args["denoised"].clone()))
        return args["denoised"]

    clone.set_model_sampler_post_cfg_function(note)
    return clone


def sample(
    kind: str,
    guidance: dict | None = None,
    way: str = "cfg",
    cfg: float = 3.0,
    sampler: str = "euler",
    steps: int = 5,
    seed: int = 5,
    batch: int = 1,
    shifts: tuple | None = None,
    latent: dict | None = None,
    sigmas: torch.Tensor | None = None,
    add_noise: bool = True,
    text_width: int | None = None,
    clip: int | None = None,
    caption: str | None = None,
):
    """SamplerCustomAdvanced: {"streams", "denoised", "before", "after", "shapes", "trace", "told"}."""
    before, after = [], []
    with torch.inference_mode(), heard() as told:
        model = av_model(kind)
        if shifts is not None:
            model = run_node(MiniMaxH3SigmaShift, model=model, shift_video=shifts[0], shift_audio=shifts[1])
        model, trace = watched(model, before), None
        if guidance is not None:
            own = {"clip": clip and tiny_clip(clip), "caption": caption}
            model, _, trace = guided_by(model, av_reward(kind, text_width), **guidance, **own)
        used = guider(kind, watched(model, after), way, cfg)
        if sigmas is None:
            sigmas = run_node(samplers.BasicScheduler, model=model, scheduler="simple", steps=steps, denoise=1.0)
        noise = run_node(samplers.RandomNoise, noise_seed=seed) if add_noise else run_node(samplers.DisableNoise)
        chosen = run_node(samplers.KSamplerSelect, sampler_name=sampler)
        out, denoised = samplers.SamplerCustomAdvanced.execute(
            noise, used, chosen, sigmas, latent or empty(kind, batch)
        ).args
        streams = [part.clone() for part in out["samples"].unbind()]
        return {
            "streams": streams,
            "denoised": [part.clone() for part in denoised["samples"].unbind()],
            "before": before,
            "after": after,
            "shapes": [tuple(part.shape) for part in streams],
            "trace": trace and trace.of(out["samples"]),
            "told": told,
            "sigmas": sigmas,
        }


def guided_by(model, reward, **settings):
    """``sampling_calls.guided`` with a latent reward that was made here."""
    import sampling_calls

    sampling_calls._models["made here"] = reward
    return guided(model, "made here", **{"strength": 3.0, "cap": 1.0, **settings})


def shifts(kind: str, strength: float, weights: tuple = (0.2, 0.5, 0.3), **arguments):
    """What the hook did to each packed prediction, and what the paper's formula does to the video in it.

    The formula is written out here, on what ComfyUI unpacks: x0~ = x0 + w sigma^2 / (1 - sigma) grad R.
    """
    settings = {
        "strength": strength, "strength_mode": "raw (paper)", "cap": 0.0, "VQ": weights[0], "MQ": weights[1], "TA": weights[2],
    }  # fmt: skip
    run = sample(kind, guidance=settings, **arguments)
    judge, network = av_reward(kind, arguments.get("text_width")).reward, av_model(kind).model
    told = network.extra_conds(cross_attn=text(kind, 1)[0][0], device="cpu", latent_shapes=run["shapes"])[
        "c_crossattn"
    ].cond
    told = {"text": told.detach().clone()}
    if arguments.get("clip"):
        (entry,) = nodes.CLIPTextEncode().encode(tiny_clip(arguments["clip"]), arguments["caption"])[0]
        told = {"text": entry[0], "text_mask": entry[1]["attention_mask"] != 0}
    rows = []
    for (sigma, x, before), (_, _, after) in zip(run["before"], run["after"], strict=True):
        video, sound = comfy.utils.unpack_latents(before.clone(), run["shapes"])
        hook_video, hook_sound = comfy.utils.unpack_latents(after.clone(), run["shapes"])
        leaf = comfy.utils.unpack_latents(x, run["shapes"])[0].clone().requires_grad_()
        expected = video
        if sigma < 1 - 1e-6:
            each = {name: value.expand(len(leaf), *value.shape[1:]) for name, value in told.items()}
            r = judge.rewards(leaf, torch.full((len(leaf),), sigma), each) @ torch.tensor(weights)
            (gradient,) = torch.autograd.grad(r.sum(), leaf)
            expected = video + strength * sigma**2 / (1 - sigma) * gradient
        rows.append(
            {"sigma": sigma, "before": video, "after": hook_video, "expected": expected, "sound": (sound, hook_sound)}
        )
    return rows


def traces(kind: str):
    """The traces that are found by what a workflow makes of a guided run's two outputs."""
    made = {}
    with torch.inference_mode():
        model, _, trace = guided_by(av_model(kind), av_reward(kind))
        sigmas = run_node(samplers.BasicScheduler, model=model, scheduler="simple", steps=5, denoise=1.0)
        chosen, used = run_node(samplers.KSamplerSelect, sampler_name="euler"), guider(kind, model, "cfg", 3.0)

        def run(noise, part, latent):
            return samplers.SamplerCustomAdvanced.execute(noise, used, chosen, part, latent).args

        noise, none = run_node(samplers.RandomNoise, noise_seed=5), run_node(samplers.DisableNoise)
        out, denoised = run(noise, sigmas, empty(kind))
        video, sound = LTXVSeparateAVLatent.execute(out).args
        quiet = run_node(LTXVConcatAVLatent, video_latent=video, audio_latent={"samples": sound["samples"] * 0})
        edited = run_node(LTXVConcatAVLatent, video_latent={"samples": video["samples"] + 0.01}, audio_latent=sound)
        first, _ = run(noise, sigmas[:3], empty(kind))
        second, _ = run(none, sigmas[2:], first)
        cut, _ = run(none, sigmas[2:], {"samples": first["samples"] * 1.01})
        node = pack("nodes.reward_trace_node").RewardTraceNode
        shown = node.execute(trace, out)
        latents = {
            "output": out, "denoised": denoised, "video alone": video, "other sound": quiet, "edited": edited, "first half": first,
            "both halves": second, "second half alone": cut,
        }  # fmt: skip
        made = {name: trace.of(latent["samples"]) for name, latent in latents.items()}
        made["passed on"] = shown.args[0] is out
        made["panel"] = shown.ui["videoalign_trace"][0]["points"]
        made["halves"] = [list(latent["samples"].unbind()) for latent in (out, second)]
    return made


def ksampler(kind: str, guidance: dict | None, form: str):
    """KSampler's samples, as parts, and their trace.

    Args:
        form: "silent": the video alone, in a plain latent. "kept": the first latent frame and half of the sound are given and kept
            by a noise mask.
    """
    latent = empty(kind)
    with torch.inference_mode():
        parts = latent["samples"].unbind()
        if form == "silent":
            latent = {"samples": parts[0]}
        if form == "kept":
            latent = kept(latent)
        model, trace = av_model(kind), None
        if guidance is not None:
            model, _, trace = guided_by(model, av_reward(kind), **guidance)
        positive, negative = text(kind, 1), text(kind, 2)
        (out,) = nodes.common_ksampler(model, 5, 5, 3.0, "euler", "simple", positive, negative, latent, 1.0)
        split = [list(each.unbind()) if each.is_nested else [each] for each in (out["samples"], latent["samples"])]
        return {"streams": split[0], "given": split[1], "trace": trace and trace.of(out["samples"])}


def kept(latent: dict) -> dict:
    """Random numbers, of which the first latent frame and half of the sound are given by a noise mask."""
    generator = torch.Generator().manual_seed(8)
    given = [torch.randn(part.shape, generator=generator) for part in latent["samples"].unbind()]
    masks = [torch.ones(1, 1, *given[0].shape[2:]), torch.ones_like(given[1])]
    masks[0][:, :, 0] = 0
    masks[1][..., : masks[1].shape[-1] // 2] = 0
    return {"samples": NestedTensor(given), "noise_mask": NestedTensor(masks)}


def told_of_what_is_given(way: str):
    """What a latent reward is shown and told of a first frame that is given, [(that frame of x_t, the mask)], and the frame in the model's unit.

    Args:
        way: "guided", "searched" (by Search Seeds) or "particles" (by Resampling Sampler, of a video without sound).
    """
    reward, model = av_reward("ltxav"), av_model("ltxav")
    trunk, seen = reward.reward.trunk, []
    features = trunk.features

    def noted(x_t, sigma, conditioning):
        seen.append((x_t[:, :, 0].detach().clone(), conditioning["noise_mask"].clone()))
        return features(x_t, sigma, conditioning)

    trunk.features = noted
    try:
        with torch.inference_mode():
            latent = kept(empty("ltxav"))
            given = model.model.process_latent_in(latent["samples"].unbind()[0])[:, :, 0]
            if way == "guided":
                ksampler("ltxav", {}, "kept")
            elif way == "searched":
                chosen = run_node(samplers.KSamplerSelect, sampler_name="euler")
                sigmas = run_node(samplers.BasicScheduler, model=model, scheduler="simple", steps=5, denoise=1.0)
                wires = {
                    "model": guider("ltxav", model, "cfg", 3.0),
                    "sampler": chosen,
                    "sigmas": sigmas,
                    "judge": reward,
                }
                from search_calls import SETTINGS

                settings = SETTINGS | {"seeds": 2, "look_after": 2}
                pack("nodes.search_seeds_node").SearchSeeds.execute(latent_image=latent, **wires, **settings)
            else:
                silent = {name: parts.unbind()[0] for name, parts in latent.items()}
                node = pack("nodes.resampling_sampler_node").ResamplingSampler
                defaults = {
                    one.id: one.default
                    for one in node.define_schema().inputs
                    if getattr(one, "default", None) is not None
                }
                (chosen,) = node.execute(reward, **defaults).args
                sigmas = run_node(samplers.BasicScheduler, model=model, scheduler="simple", steps=5, denoise=1.0)
                noise, used = run_node(samplers.RandomNoise, noise_seed=5), guider("ltxav", model, "cfg", 3.0)
                samplers.SamplerCustomAdvanced.execute(noise, used, chosen, sigmas, silent)
    finally:
        del trunk.features
    return seen, given


def scored_latents(kind: str, clips: int = 2):
    """The streams of each clip that Score Video gives a joint latent of several clips to."""
    latent = empty(kind, clips)
    latent["samples"] = NestedTensor(
        [
            torch.arange(float(clips)).view(-1, *(1 for _ in part.shape[1:])) + part
            for part in latent["samples"].unbind()
        ]
    )
    latent["noise_mask"] = NestedTensor([part.clone() for part in latent["samples"].unbind()])
    frames = torch.rand(clips * 9, 64, 64, 3)
    made = list(pack("nodes.clip_input").input_clips(frames, 16.0, clips, latent))
    return [[part for key in ("samples", "noise_mask") for part in clip.latent[key].unbind()] for clip in made]
