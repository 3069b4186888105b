"""What ``ComfyProcess`` can be asked to do with *Search Seeds*; the plain samplers beside it are ComfyUI's own nodes."""

from __future__ import annotations

from typing import ClassVar

import comfy.model_management
import comfy.samplers
import torch
from comfy_extras import nodes_custom_sampler
from tiny_av_models import tiny_clip

import __main__ as calls
import nodes

SIZE = (16, 3, 8, 8)
SETTINGS = {
    "caption": "", "first_seed": 5, "seeds": 3, "steps": 8, "cfg": 3.0, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0,
    "look_after": 3, "keep": 1, "mode": "replay", "fps": 8.0, "preview_frames": 0, "more_looks": "", "stop_when": "", "budget": 0,
    "keep_seeds": "", "exclude_seeds": "",
}  # fmt: skip


def latent_of(batch: int = 1, seed: int | None = None, masked: bool = False, **about) -> dict:
    """An empty LATENT, or one of numbers."""
    samples = torch.zeros(batch, *SIZE)
    if seed is not None:
        samples = torch.randn(batch, *SIZE, generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(batch, 1, *SIZE[1:])
    mask[..., : SIZE[-1] // 2] = 1
    return {"samples": samples, **({"noise_mask": mask} if masked else {}), **about}


class Counted:
    """A MODEL that says how often its network was asked, and in which call ComfyUI is interrupted. One for each file: it comes again as ComfyUI's
    cache gives it again."""

    made: ClassVar[dict] = {}

    def __init__(self, model) -> None:
        self.asked, self.interrupted_in = 0, None
        self.model = model.clone()
        self.model.set_model_unet_function_wrapper(self.called)

    @classmethod
    def of(cls, path: str) -> Counted:
        made = cls.made.setdefault(path, cls(calls.video_model(path)) if path not in cls.made else None)
        made.asked, made.interrupted_in = 0, None
        return made

    def called(self, apply, args):
        self.asked += 1
        if self.asked == self.interrupted_in:
            comfy.model_management.interrupt_current_processing()
        return apply(args["input"], args["timestep"], **args["c"])


def listed():
    """Names of the samplers: ComfyUI's, and the node's."""
    options = {one.id: one for one in calls.pack("nodes.search_seeds_inputs").search_inputs()}["sampler_name"].options
    return list(comfy.samplers.KSampler.SAMPLERS), list(options)


def forget() -> None:
    """What earlier searches have left."""
    known = calls.pack("nodes.known_takes").KNOWN
    known._looks.clear()
    known._finished.clear()
    known._paces.clear()


def set_pace(evaluation: float, look: float) -> None:
    """Seconds that are known of every search so far."""
    known, pace = calls.pack("nodes.known_takes").KNOWN, calls.pack("reward.search.pace").Pace(evaluation, look)
    known._paces = dict.fromkeys(known._paces, pace)


def search(
    model: str, reward: str, latent: dict | None = None, custom: bool = False, low_noise: str | None = None, about: dict | None = None,
    remember: bool = False, interrupt_after: int | None = None, patches: tuple = (), own_text: bool = False, decoder: str | None = None,
    **settings,
):  # fmt: skip
    """Run the node; what it gives, and how often the network was asked.

    Args:
        custom: by GUIDER, SAMPLER and SIGMAS.
        interrupt_after: ComfyUI is interrupted in this call of the network.
        own_text: the caption goes to the reward by a CLIP of its own.
        decoder: file in models/vae_approx of the previews' VAE.
    """
    if not remember:
        forget()
    used = {**SETTINGS, **settings}
    with torch.inference_mode():
        watched = Counted.of(model)
        watched.interrupted_in, network = interrupt_after, watched.model
        positive, negative = calls.conditioning(1, **(about or {})), calls.conditioning(2, **(about or {}))
        wires = {"model": network, "positive": positive, "negative": negative}
        if low_noise is not None:
            wires["low_noise"] = calls.video_model(low_noise)
        if own_text:
            wires["clip"] = tiny_clip(64)
        if decoder is not None:
            wires["vae"] = nodes.VAELoader().load_vae(decoder)[0]
        if custom:
            guider, sampler, sigmas = parts(network, used, positive, negative)
            wires = {"model": guider, "sampler": sampler, "sigmas": sigmas}
            if low_noise is not None:
                wires["low_noise"] = guided(calls.video_model(low_noise), used, positive, negative)
        node = calls.pack("nodes.search_seeds_node").SearchSeeds
        out = node.execute(latent_image=latent or latent_of(), judge=calls.handle(reward), **wires, **used)
        best, seed, scores, seeds, sheet, report = out.args
        return {
            "samples": best["samples"].clone() if isinstance(best, dict) else None,
            "latent": sorted(best) if isinstance(best, dict) else getattr(best, "message", None),
            "seed": seed if isinstance(seed, int) else None,
            "seeds": seeds if isinstance(seeds, str) else None,
            "marks": {clip.seed: dict(clip.scores) for clip in scores},
            "order": [clip.seed for clip in scores],
            "sheet": tuple(sheet.shape),
            "report": report,
            "shown": out.ui["videoalign_ranking"][0],
            "asked": watched.asked,
        }


def guided(model, used, positive, negative):
    """CFGGuider's GUIDER."""
    return nodes_custom_sampler.CFGGuider.execute(model, positive, negative, used["cfg"]).args[0]


def parts(model, used, positive, negative):
    """GUIDER, SAMPLER and SIGMAS by ComfyUI's nodes."""
    sampler = nodes_custom_sampler.KSamplerSelect.execute(used["sampler_name"]).args[0]
    made = nodes_custom_sampler.BasicScheduler.execute(model, used["scheduler"], used["steps"], used["denoise"])
    return guided(model, used, positive, negative), sampler, made.args[0]


def plain(
    model: str, seed: int, latent: dict | None = None, custom: bool = False, low_noise: str | None = None, switch: int = 0,
    about: dict | None = None, stop: int | None = None, **settings,
):  # fmt: skip
    """KSampler, two KSamplerAdvanced, or SamplerCustomAdvanced with this seed: samples, and how often the network was asked."""
    used, latent = {**SETTINGS, **settings}, latent or latent_of()
    with torch.inference_mode():
        watched = Counted.of(model)
        network = watched.model
        positive, negative = calls.conditioning(1, **(about or {})), calls.conditioning(2, **(about or {}))
        names = used["sampler_name"], used["scheduler"], positive, negative
        if custom:
            guider, sampler, sigmas = parts(network, used, positive, negative)
            noise = nodes_custom_sampler.RandomNoise.execute(seed).args[0]
            out = nodes_custom_sampler.SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).args[0]
        elif low_noise is not None:
            second, sampler = calls.video_model(low_noise), nodes.KSamplerAdvanced()
            rest = used["steps"], used["cfg"], *names
            out = sampler.sample(network, "enable", seed, *rest, latent, 0, switch, "enable")[0]
            out = sampler.sample(second, "disable", seed, *rest, out, switch, 10000, "disable")[0]
        else:
            out = nodes.common_ksampler(network, seed, used["steps"], used["cfg"], *names, latent, used["denoise"])[0]
        return {"samples": out["samples"].clone(), "asked": watched.asked, "latent": sorted(out)}


def going_on() -> dict:
    """Names of the samplers that mode 'continue' allows."""
    known = calls.pack("nodes.seed_samplers")
    return {"exact": sorted(known.WITHOUT_MEMORY), "near": sorted(known.WITH_MEMORY)}


def small_decoder(folder: str) -> list[str]:
    """Write a small decoder of random weights, as ComfyUI knows them; what Load VAE lists then."""
    import folder_paths
    import safetensors.torch
    from comfy.taesd.taehv import TAEHV

    torch.manual_seed(0)
    made = {
        name: torch.randn(tensor.shape) / max(tensor[0].numel(), 1) ** 0.5
        for name, tensor in TAEHV(SIZE[0]).state_dict().items()
    }
    safetensors.torch.save_file(made, f"{folder}/lighttaew2_1.safetensors")
    folder_paths.add_model_folder_path("vae_approx", folder)
    return nodes.VAELoader.vae_list(nodes.VAELoader)


def plain_marks(
    model: str, reward: str, seed: int, steps: int, cfg: float, look: int, own_caption: str | None = None
) -> dict:
    """Euler's rule by hand, and the reward of what it gives after ``look`` steps, in the unit in which the node shows it."""
    patcher, judge = calls.video_model(model), calls.handle(reward)
    comfy.model_management.load_models_gpu([patcher])
    sigmas = comfy.samplers.calculate_sigmas(patcher.get_model_object("model_sampling"), "simple", steps)
    x = torch.randn(1, *SIZE, generator=torch.Generator().manual_seed(seed))
    with_text, without = calls.conditioning(1)[0][0], calls.conditioning(2)[0][0]
    with torch.inference_mode():
        for step in range(look):
            t = sigmas[step]
            denoised = [patcher.model.apply_model(x, t[None], c_crossattn=text) for text in (with_text, without)]
            v_with, v_without = ((x - one) / t for one in denoised)
            x = x + (sigmas[step + 1] - t) * (v_without + cfg * (v_with - v_without))
        text = with_text
        if own_caption is not None:
            clip = tiny_clip(64)
            text = clip.encode_from_tokens_scheduled(clip.tokenize(own_caption))[0][0]
        values = judge.reward.rewards(x.clone(), sigmas[look][None], {"text": text})[0].tolist()
    return dict(zip(("VQ", "MQ", "TA"), values, strict=True))  # the calibration's mean is 0, its deviation 1


def seam(model: str, sampler: str, steps: int, look: int, shift: float | None = None) -> float:
    """How far a clip that was stopped and gone on with is from KSampler's, root mean square in its standard deviations."""
    takes = calls.pack("nodes.seed_takes")
    stages = calls.pack("nodes.search_stages")
    network = calls.video_model(model)
    if shift is not None:
        import comfy_extras.nodes_model_advanced as advanced

        network = calls.run_node(advanced.ModelSamplingSD3, model=network, shift=shift)
    positive, negative = calls.conditioning(1), calls.conditioning(2)
    with torch.inference_mode():
        made = stages.stages_of(network, positive, negative, 3.0, sampler, "simple", steps, 1.0, "replay")
        take = takes.SeedSampling(made, latent_of(), takes.CONTINUE).begin(5)
        gone_on = take.go(look).go(steps).samples
        plain = nodes.common_ksampler(network, 5, steps, 3.0, sampler, "simple", positive, negative, latent_of(), 1.0)[
            0
        ]["samples"]
        return float((gone_on - plain).square().mean().sqrt() / plain.std())


def search_with_sound(kind: str, seeds: int = 2, keep: int = 2, way: str = "cfg"):
    """The node on a video with sound (``av_calls``): its streams by seed, and what SamplerCustomAdvanced gives of these seeds."""
    import av_calls
    from tiny_av_models import av_model, av_reward

    forget()
    with torch.inference_mode():
        guider = av_calls.guider(kind, av_model(kind), way, 3.0)
        sampler = nodes_custom_sampler.KSamplerSelect.execute("euler").args[0]
        sigmas = nodes_custom_sampler.BasicScheduler.execute(av_model(kind), "simple", 5, 1.0).args[0]
        node, latent = calls.pack("nodes.search_seeds_node").SearchSeeds, av_calls.empty(kind)
        about = {**SETTINGS, "seeds": seeds, "keep": keep, "look_after": 2}
        wires = {"model": guider, "sampler": sampler, "sigmas": sigmas, "judge": av_reward(kind)}
        best, _, scores, text, *_ = node.execute(latent_image=latent, **wires, **about).args
        found = [int(seed) for seed in text.split(",")]
        made = {
            seed: [part[place : place + 1].clone() for part in best["samples"].unbind()]
            for place, seed in enumerate(found)
        }
    plain_ones = {seed: av_calls.sample(kind, way=way, steps=5, seed=seed)["streams"] for seed in found}
    return made, plain_ones, {clip.seed: dict(clip.scores) for clip in scores}
