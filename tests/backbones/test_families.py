"""Every family of video models answers all that is asked of one, nothing else knows a family, and more can be added."""

import ast
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from documented import load_example
from safetensors.torch import save_file
from tiny_backbones import CONFIGS, inputs, original_state, tiny

import videoalign
from videoalign.backbones import families
from videoalign.backbones.backbone import Backbone
from videoalign.backbones.families import backbone_classes, register_family, text_encoder_classes, vae_classes
from videoalign.backbones.loading import build_backbone, load_backbone
from videoalign.backbones.sampling import generate
from videoalign.errors import GuidanceError, VideoAlignError
from videoalign.lora.comfyui_keys import Network, family_of

NAMES = families.family_names()
_TOY_FAMILY = load_example("toy_family.py")
TOY, Toy = _TOY_FAMILY.TOY, _TOY_FAMILY.Toy
ROOT = Path(videoalign.__file__).parent


@pytest.fixture
def toy(monkeypatch):
    """The toy family, as long as the test runs."""
    monkeypatch.setattr(families, "_MEMBERS", list(families._MEMBERS))
    register_family(Toy)
    return TOY


@pytest.mark.parametrize("name", NAMES)
class TestEveryFamily:
    def test_has_a_network_a_vae_a_text_encoder_and_a_tiny_network_for_the_tests(self, name):
        member = next(member for member in families._MEMBERS if member.family.name == name)
        assert issubclass(backbone_classes()[name], Backbone) and not backbone_classes()[name].__abstractmethods__
        assert backbone_classes()[name].family is families.family(name)
        assert member.vaes and member.text_encoders
        assert any(family == name for family, _ in CONFIGS.values())

    def test_states_its_facts(self, name):
        facts = families.family(name)
        assert facts.title and facts.implementation.startswith("https://")
        assert {"text", "text_mask"} <= set(facts.conditioning) and facts.conditioning["text"]
        for comfyui_class, space in facts.latent_formats.items():
            assert families.comfyui_latent_formats()[comfyui_class] == space


@pytest.mark.parametrize("kind", CONFIGS)
class TestEveryNetwork:
    def test_fits_the_facts_of_its_family(self, kind):
        network = tiny(kind)
        facts, sampling = network.family, network.sampling
        assert network.latent_format in facts.latent_formats.values()
        assert set(network.needs) <= set(facts.conditioning)
        assert set(network.constants(sampling)) <= set(facts.conditioning)
        network.latent_format.shape(sampling.frames, sampling.height, sampling.width)

    def test_makes_a_token_of_each_patch(self, kind):
        network = tiny(kind)
        x_t, sigma, conditioning = inputs(network, size=(3, 5, 6))
        tokens = network.features(x_t, sigma, conditioning).shape[1]
        assert tokens == math.prod(-(-size // side) for size, side in zip((3, 5, 6), network.patch, strict=True))

    def test_has_loras_that_comfyui_applies_and_that_tell_their_family(self, kind):
        network = tiny(kind)
        targets = network.lora_targets(ffn=True)
        layers = [network.original_modules(name)[0][0] for name in targets]
        originals = [f"diffusion_model.{layer}.lora_A.weight" for layer in layers]
        known = Network(network.name)
        assert [known.target(f"diffusion_model.{layer}") for layer in layers] == [f"{layer}.weight" for layer in layers]
        assert all(known.target(f"lora_unet_{layer.replace('.', '_')}") for layer in layers)
        # LTX-2's video has LTX-Video's names: whichever of both is told, the layers are right.
        names = [*originals, *(f"transformer.{name}.lora_A.weight" for name in targets)]
        if network.name == "hunyuan-video-1.5":  # HunyuanVideo has the first 20 blocks too, of the other 34 none
            names = [name.replace("_blocks.2.", "_blocks.53.") for name in names]
        told = {family_of(names[: len(names) // 2]), family_of(names[len(names) // 2 :])}
        assert told == {"ltx-video" if network.name == "ltx-2" else network.name}
        assert all(Network(*told).target(f"diffusion_model.{layer}") for layer in layers)

    def test_has_no_tensor_that_its_family_does_not_know(self, kind):
        tensors = original_state(tiny(kind))
        known = Network(tiny(kind).name)
        assert [name for name in tensors if not known.has(name)] == []
        assert not known.has("blocks.0.self_attn.norm_q.bias") and not known.has("vae.decoder.conv_in.weight")


def _modules():
    """(path under the package, syntax tree) of every file of the program."""
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        if not path.startswith(("tests/", "benchmarks/", ".", "build/")):
            yield path, ast.parse(file.read_text(encoding="utf-8"))


OF_A_FAMILY = (
    "hunyuan_video15",
    "wan",
    "hunyuan_video",
    "ltx_video",
    "ltx2",
    "vae_wan",
    "vae_hunyuan_video",
    "vae_hunyuan_video15",
    "text_hunyuan_video15",
    "vae_ltx_video",
    "vae_ltx2",
    "text_t5",
    "text_hunyuan_video",
    "text_ltx2",
)
ALLOWED = {  # file or folder -> why it may know a family
    **{f"backbones/{stem}": "the family's own file" for stem in OF_A_FAMILY},
    "backbones/families.py": "the list",
    "micro/video/": "makes the micro model, which is a small Wan",
}


def test_nothing_but_a_familys_own_files_and_the_list_names_one():
    facts = families.families()
    names = {facts.name for facts in facts}
    names |= {space.name for own in facts for space in own.latent_formats.values()}
    names |= {comfyui_class for own in facts for comfyui_class in own.latent_formats}
    named = []
    for path, tree in _modules():
        if path.startswith(tuple(ALLOWED)):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value in names:
                named.append(f"{path}:{node.lineno} {node.value!r}")
            if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2].startswith(OF_A_FAMILY):
                named.append(f"{path}:{node.lineno} import of {node.module}")
    assert named == []


def test_the_files_that_the_list_loads_by_name_do_not_import_the_list_or_a_loader():
    """An import by name is an import: the list would stand in a circle."""
    above = ("families", "loading", "vae_loading", "text_loading")
    upwards = [
        f"{path}:{node.lineno}"
        for path, tree in _modules()
        if path.startswith("backbones/") and Path(path).stem not in above
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1 and (node.module or "").split(".")[0] in above
    ]
    assert upwards == []


def test_facts_are_known_without_torch():
    code = (
        "import sys; from videoalign.backbones.families import families, comfyui_latent_formats; "
        "from videoalign.lora.comfyui_keys import family_of; assert families() and comfyui_latent_formats(); "
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class TestAFamilyFromOutside:
    def test_is_built_saved_and_recognised(self, toy, tmp_path):
        network = build_backbone("toy", {"width": 8, "text_dim": 6})
        assert network.config["layers"] == 2  # what the class assumes
        save_file(network.module.state_dict(), tmp_path / "toy.safetensors")
        again = load_backbone(tmp_path / "toy.safetensors")
        x_t, sigma, text = torch.randn(2, 4, 2, 2, 3), torch.tensor([0.2, 0.8]), {"text": torch.randn(2, 3, 6)}
        assert torch.equal(again.velocity(x_t, sigma, text), network.velocity(x_t, sigma, text))
        assert load_backbone(tmp_path / "toy.safetensors", num_blocks=1).features(x_t, sigma, text).shape == (2, 12, 8)

    def test_samples(self, toy):
        class Encoder:
            def encode(self, prompts):
                return [{"text": torch.full((1, 6), float(len(prompt)))} for prompt in prompts]

        network = build_backbone("toy", {})
        (clip,) = generate(network, None, Encoder(), ["a toy"], [3])
        assert clip.latents.shape == network.latent_format.shape(5, 16, 24) and clip.latents.isfinite().all()

    def test_knows_an_entry_of_its_own_which_comfyui_gives_it(self, toy):
        from types import SimpleNamespace

        from videoalign.nodes.reward_conditioning import reward_conditioning

        held = {"c_crossattn": SimpleNamespace(cond=torch.ones(1, 2, 6)), "toy_mood": SimpleNamespace(cond=0.5)}
        told = reward_conditioning("toy", held, 2)
        assert told["mood"].tolist() == [0.5, 0.5]
        network = build_backbone("toy", {})
        network.velocity(torch.randn(2, 4, 1, 2, 2), torch.tensor([0.2, 0.8]), told)

    def test_has_latents_and_loras_in_comfyui(self, toy):
        from videoalign.lora.lora_inspect_command import Config
        from videoalign.nodes.sampling_path import check_fits

        latents = type("ToyLatents", (), {"latent_channels": 4})()
        check_fits("mine", ("toy", 4), latents)
        with pytest.raises(GuidanceError, match="this model samples toy latents"):
            check_fits("mine", ("wan2.1", 16), latents)
        key = "diffusion_model.toy_blocks.0.lora_A.weight"
        assert (
            family_of([key]) == "toy" and Network("toy").target("diffusion_model.toy_blocks.0") == "toy_blocks.0.weight"
        )
        assert Config(file="x.safetensors", family="toy").family == "toy"

    def test_may_not_take_a_name_that_there_is(self, toy):
        with pytest.raises(VideoAlignError, match="already a family 'toy'"):
            register_family(Toy)

    def test_is_forgotten_with_the_list(self):
        with pytest.raises(VideoAlignError, match=r"no family of video models 'toy'; known are wan"):
            families.family("toy")
        assert "toy" not in backbone_classes() and vae_classes() and text_encoder_classes()


def test_experts_share_the_noise_levels_of_wan_only():
    """Wan's own configuration of 2.2 A14B."""
    assert tiny("wan-t2v").expert_boundary == 0.875 and tiny("wan22-i2v").expert_boundary == 0.9
    assert tiny("ltx-video").expert_boundary is None and tiny("hunyuan-video").expert_boundary is None


def test_what_is_told_besides_the_prompt_comes_from_the_sampling_settings():
    told = {kind: tiny(kind).constants(tiny(kind).sampling) for kind in ("wan-t2v", "ltx-video")}
    assert told == {"wan-t2v": {}, "ltx-video": {"frame_rate": torch.tensor(25.0)}}
    distilled = tiny("hunyuan-video", guidance_embeds=True)
    assert distilled.constants(distilled.sampling) == {"guidance": torch.tensor(6.0)}
