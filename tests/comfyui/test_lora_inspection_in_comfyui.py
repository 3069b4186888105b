"""``videoalign lora inspect`` foretells what the real ComfyUI does with LoRA files of every kind, good and bad."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from comfyui_versions import versions_that_ran
from safetensors.torch import save_file
from tiny_backbones import original_state, save_single, tiny

from videoalign.files.safetensors_header import read_header
from videoalign.lora.inspection import foretold, inspect_lora

pytestmark = pytest.mark.comfyui
RANK = 2


class Layers:
    """Makes the tensors of LoRA files for the layers of one network; every weight that they are for would change."""

    def __init__(self, state):
        self.shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        self.random = torch.Generator().manual_seed(3)

    def noise(self, *shape):
        return 0.1 * torch.randn(shape, generator=self.random) + 0.5

    def size(self, layer):
        return self.shapes[f"{layer}.weight"]

    def lora(
        self, layers, prefix="diffusion_model.", names=("lora_A", "lora_B"), parts="ABa", joined=False, change=str
    ):
        """A plain LoRA: A, B and alpha of ``layers``."""
        tensors = {}
        for layer in layers:
            stem = prefix + (change(layer).replace(".", "_") if joined else change(layer))
            height, width = self.size(layer)
            if "A" in parts:
                tensors[f"{stem}.{names[0]}.weight"] = self.noise(RANK, width)
            if "B" in parts:
                tensors[f"{stem}.{names[1]}.weight"] = self.noise(height, RANK)
            if "a" in parts:
                tensors[f"{stem}.alpha"] = torch.tensor(1.0)
        return tensors

    def kohya(self, layers, prefix="lora_unet_", parts="ABa"):
        return self.lora(layers, prefix, ("lora_down", "lora_up"), parts, joined=True)

    def magnitudes(self, layers):
        return {f"diffusion_model.{layer}.dora_scale": self.noise(self.size(layer)[0], 1) for layer in layers}

    def loha(self, layer, lost=""):
        height, width = self.size(layer)
        sizes = {"w1_a": (height, RANK), "w1_b": (RANK, width), "w2_a": (height, RANK), "w2_b": (RANK, width)}
        return {
            f"diffusion_model.{layer}.hada_{name}": self.noise(*size) for name, size in sizes.items() if name != lost
        } | {f"diffusion_model.{layer}.alpha": torch.tensor(1.0)}

    def lokr(self, layer, whole=True):
        height, width = self.size(layer)
        tensors = {"lokr_w1": self.noise(4, 4)}
        if whole:
            tensors["lokr_w2"] = self.noise(height // 4, width // 4)
        else:
            tensors |= {"lokr_w2_a": self.noise(height // 4, RANK), "lokr_w2_b": self.noise(RANK, width // 4)}
        return {f"diffusion_model.{layer}.{name}": tensor for name, tensor in tensors.items()}

    def glora(self, layer):
        height, width = self.size(layer)
        sizes = {"a1": (RANK, width), "a2": (width, RANK), "b1": (RANK, width), "b2": (height, RANK)}
        return {f"diffusion_model.{layer}.{name}.weight": self.noise(*size) for name, size in sizes.items()}

    def oft(self, layer, stages=0):
        blocks = self.noise(*([stages] if stages else []), self.size(layer)[0] // 4, 4, 4)
        return {f"diffusion_model.{layer}.oft_blocks": blocks, f"diffusion_model.{layer}.alpha": torch.tensor(1.0)}

    def differences(self, names):
        """``.diff`` of tensors by their whole names; of a bias ``.diff_b`` of its layer."""
        tensors = {}
        for name in names:
            stem = f"diffusion_model.{name}"
            key = (
                f"{stem.removesuffix('.bias')}.diff_b"
                if name.endswith(".bias")
                else f"{stem.removesuffix('.weight')}.diff"
            )
            tensors[key] = self.noise(*self.shapes[name])
        return tensors


def moved(tensors, layer, other):
    """The tensors of a layer under the name of another one."""
    return {key.replace(layer, other): tensor for key, tensor in tensors.items()}


OWN = [f"blocks.{block}.self_attn.{part}" for block in range(2) for part in "qkvo"]
CROSS = [f"blocks.{block}.cross_attn.{part}" for block in range(2) for part in "qkvo"]
REST = ["head.head", "text_embedding.0", "text_embedding.2", "time_embedding.0", "time_projection.1", "img_emb.proj.1"]
ONE, TWO = OWN[:2]
WAN = {
    "own-names": lambda wan: wan.lora(OWN + REST),
    "kohya": lambda wan: wan.kohya(OWN + CROSS + REST),
    "videox-fun": lambda wan: wan.kohya(OWN + CROSS + REST, "lora_unet__"),
    "videox-fun-self-attention": lambda wan: wan.kohya(OWN, "lora_unet__"),
    "videox-fun-and-kohya": lambda wan: wan.kohya(CROSS, "lora_unet__") | wan.kohya(OWN),
    "diffusers-names": lambda wan: wan.lora([ONE], "transformer.", change=lambda _: "blocks.0.attn1.to_q"),
    "peft-names": lambda wan: wan.lora(OWN, "base_model.model."),
    "bare-names": lambda wan: wan.lora(OWN, ""),
    "adapter-name-of-peft": lambda wan: wan.lora(OWN, names=("lora_A.default", "lora_B.default")),
    "adapter-name-of-others": lambda wan: wan.lora(OWN, names=("lora_A.mine", "lora_B.mine")),
    "a-without-b": lambda wan: wan.lora(OWN[1:]) | wan.lora([ONE], parts="Aa"),
    "b-without-a": lambda wan: wan.lora(OWN[1:]) | wan.lora([ONE], parts="Ba"),
    "b-without-a-of-no-layer": lambda wan: wan.lora(OWN) | {f"{FAR}.lora_B.weight": wan.noise(4, RANK)},
    "alpha-alone": lambda wan: wan.lora(OWN[1:]) | wan.lora([ONE], parts="a"),
    "a-layer-too-many": lambda wan: wan.lora(OWN) | {f"{FAR}.lora_{part}.weight": wan.noise(4, 4) for part in "AB"},
    "dora": lambda wan: wan.lora(OWN) | wan.magnitudes(OWN),
    "dora-of-peft": lambda wan: wan.lora([ONE]) | {f"diffusion_model.{ONE}.lora_magnitude_vector": wan.noise(128)},
    "magnitude-alone": lambda wan: wan.lora([ONE]) | wan.magnitudes([TWO]),
    "loha": lambda wan: wan.loha(ONE),
    "loha-incomplete": lambda wan: wan.loha(ONE, lost="w2_b"),
    "loha-without-its-first": lambda wan: wan.loha(ONE, lost="w1_a") | wan.lora([TWO]),
    "lokr": lambda wan: wan.lokr(ONE) | wan.lokr(TWO, whole=False),
    "lokr-incomplete": lambda wan: {"diffusion_model.blocks.0.ffn.0.lokr_w1": wan.noise(4, 4)} | wan.lora([ONE]),
    "glora": lambda wan: wan.glora(ONE),
    "oft": lambda wan: wan.oft(ONE),
    "boft": lambda wan: wan.oft(ONE, stages=2),
    "loha-of-another-size": lambda wan: moved(wan.loha("blocks.0.ffn.0"), "blocks.0.ffn.0", ONE),
    "lokr-of-another-size": lambda wan: moved(wan.lokr("blocks.0.ffn.0"), "blocks.0.ffn.0", ONE),
    "kinds-together": lambda wan: wan.lora([ONE]) | wan.loha(TWO) | wan.lokr(OWN[2]),
    "differences": lambda wan: wan.differences(
        [name for name in wan.shapes if name.startswith(("blocks.0", "head", "img_emb"))]
    ),
    "bias-that-is-not-there": lambda wan: (
        {"diffusion_model.blocks.0.self_attn.norm_q.diff_b": wan.noise(128)} | wan.lora([ONE])
    ),
    "whole-weights": lambda wan: {f"diffusion_model.{ONE}.set_weight": wan.noise(*wan.size(ONE))},
    "norms": lambda wan: {f"diffusion_model.blocks.0.norm3.{part}_norm": wan.noise(128) for part in "wb"},
    "difference-over-a-lora": lambda wan: wan.lora([ONE, TWO]) | wan.differences([f"{ONE}.weight"]),
    "one-layer-under-two-names": lambda wan: wan.lora([ONE]) | wan.kohya([ONE, TWO]),
    "of-another-size": lambda wan: (
        {f"diffusion_model.{ONE}.lora_A.weight": wan.noise(RANK, 64), f"diffusion_model.{ONE}.lora_B.weight": wan.noise(64, RANK)}
        | wan.lora([TWO])
    ),
    "difference-of-another-size": lambda wan: {f"diffusion_model.{ONE}.diff": wan.noise(3, 3)} | wan.lora([TWO]),
    "text-encoder": lambda wan: wan.lora([ONE]) | {
        f"{prefix}.{name}.weight": wan.noise(4, 4)
        for prefix in ("lora_te_encoder_block_0_layer_0_SelfAttention_q", "text_encoders.umt5xxl.transformer.shared")
        for name in ("lora_down", "lora_up")
    },
    "not-finite": lambda wan: wan.lora([ONE]) | {f"diffusion_model.{TWO}.diff": torch.full(wan.size(TWO), torch.nan)},
    "alpha-of-another-shape": lambda wan: (
        wan.lora([ONE], parts="AB") | {f"diffusion_model.{ONE}.alpha": torch.ones(1)}
    ),
}  # fmt: skip
FAR = "diffusion_model.blocks.9.ffn.0"  # the tiny network has three blocks
LTX_LAYERS = [
    f"transformer_blocks.{block}.attn{kind}.{part}"
    for block in range(2) for kind in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0")
] + ["patchify_proj", "proj_out", "adaln_single.linear", "transformer_blocks.0.ff.net.0.proj"]  # fmt: skip
LTX = {
    "own-names": lambda ltx: ltx.lora(LTX_LAYERS),
    "bare-names": lambda ltx: ltx.lora(LTX_LAYERS, ""),
    "diffusers-names": lambda ltx: ltx.lora(LTX_LAYERS, "transformer."),
    "kohya": lambda ltx: ltx.kohya(LTX_LAYERS),
    "differences": lambda ltx: ltx.differences([name for name in ltx.shapes if ".1." not in name]),
    "bare-differences": lambda ltx: {
        "scale_shift_table.diff": ltx.noise(*ltx.shapes["scale_shift_table"]),
        f"{LTX_LAYERS[0]}.diff": ltx.noise(*ltx.size(LTX_LAYERS[0])),
        f"{LTX_LAYERS[1]}.diff_b": ltx.noise(128),
    },
}
HUNYUAN_LAYERS = [
    "double_blocks.0.img_attn.qkv", "double_blocks.1.txt_attn.proj", "double_blocks.0.img_mod.lin", "double_blocks.0.img_mlp.0",
    "double_blocks.1.txt_mlp.2", "single_blocks.0.linear1", "single_blocks.1.modulation.lin", "vector_in.in_layer",
    "txt_in.individual_token_refiner.blocks.0.self_attn.qkv",
]  # fmt: skip


def name_in_files(layer):
    """A layer of HunyuanVideo as Tencent's files, and LoRAs that follow them, call it."""
    for own, other in (("_attn.", "_attn_"), ("mod.lin", "mod.linear"), ("modulation.lin", "modulation.linear"), ("mlp.0", "mlp.fc1"),
                       ("mlp.2", "mlp.fc2")):  # fmt: skip
        layer = layer.replace(own, other)
    return layer


HUNYUAN = {
    "own-names": lambda hunyuan: hunyuan.lora(HUNYUAN_LAYERS),
    "names-of-its-files": lambda hunyuan: hunyuan.lora(HUNYUAN_LAYERS, change=name_in_files),
    "names-of-its-files-behind-transformer": lambda hunyuan: hunyuan.lora(
        HUNYUAN_LAYERS, "transformer.", change=name_in_files
    ),
    "own-names-behind-transformer": lambda hunyuan: hunyuan.lora(HUNYUAN_LAYERS, "transformer."),
    "kohya": lambda hunyuan: hunyuan.kohya(HUNYUAN_LAYERS),
    "kohya-names-of-its-files": lambda hunyuan: hunyuan.lora(
        HUNYUAN_LAYERS, "lora_unet_", ("lora_down", "lora_up"), joined=True, change=name_in_files
    ),
    "differences": lambda hunyuan: hunyuan.differences(
        [name for name in hunyuan.shapes if "_blocks.0." in name or "_in" in name]
    ),
}
MODELS = {"wan-i2v": WAN, "ltx-video": LTX, "hunyuan-video": HUNYUAN}
FAMILIES = {"wan-i2v": "wan", "ltx-video": "ltx-video", "hunyuan-video": "hunyuan-video"}
CASES = [f"{model}:{name}" for model, files in MODELS.items() for name in files]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Case -> (LoRA file, model file, ComfyUI's answer), all in one ComfyUI process."""
    folder = tmp_path_factory.mktemp("inspections")
    (folder / "loras").mkdir()
    models = {model: save_single(tiny(model), folder / f"{model}.safetensors") for model in MODELS}
    layers = {model: Layers(original_state(tiny(model))) for model in MODELS}
    jobs = []
    for case in CASES:
        model, _, name = case.partition(":")
        tensors = MODELS[model][name](layers[model])
        lora = folder / "loras" / f"{case.replace(':', '-')}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, lora)
        jobs.append({"model": str(models[model]), "lora": str(lora), "strength": 1.0})
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run(
        [os.environ.get("COMFYUI_PYTHON", sys.executable), str(Path(__file__).with_name("lora_jobs.py")),
         str(Path(os.environ["COMFYUI_PATH"]).resolve()), str(folder / "jobs.json")],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    versions_that_ran.add(answer["version"])
    return {
        case: (Path(job["lora"]), Path(job["model"]), result)
        for case, job, result in zip(CASES, jobs, answer["results"], strict=True)
    }


def shapes_in(file):
    return {key: entry.shape for key, entry in read_header(file).entries.items()}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_a_file_is_what_comfyui_does(outcomes, case):
    lora, model, answer = outcomes[case]
    loading, _ = foretold(shapes_in(lora), model)
    found = inspect_lora(lora, model)
    if "error" in answer:
        assert "KeyError" in answer["error"] or "lokr" in answer["error"], answer["error"]
        assert loading.failure and found.failure and not found.whole and found.matched == 0
        assert "lokr" in answer["error"] or loading.failure.split(" beside")[0].split(" no ")[1] in answer["error"]
        return
    assert loading.failure is None
    assert {f"diffusion_model.{tensor}" for tensor in loading.patches} == set(answer["patches"])
    changed = {f"diffusion_model.{tensor}" for tensor, patch in loading.patches.items() if patch.fault is None}
    assert changed == set(answer["changed"])
    not_loaded = {text.removeprefix("lora key not loaded: ") for text in answer["warnings"] if "key not loaded" in text}
    repaired = {key.replace("lora_unet__", "lora_unet_", 1) for key in found.unmatched}
    assert not_loaded <= set(found.unmatched) | repaired
    if found.whole:
        assert not answer["warnings"]
    assert found.patches == {
        kind: sum(patch.kind == kind for patch in loading.patches.values() if patch.fault is None)
        for kind in {patch.kind for patch in loading.patches.values() if patch.fault is None}
    }


@pytest.mark.parametrize("case", [case for case in CASES if "another-size" not in case])
def test_without_the_model_the_familys_names_say_the_same(outcomes, case):
    lora, model, _ = outcomes[case]
    with_model, without = inspect_lora(lora, model), inspect_lora(lora, family=FAMILIES[case.partition(":")[0]])
    if "a-layer-too-many" in case or "of-no-layer" in case:  # the tiny model has few blocks
        assert set(with_model.unmatched) > set(without.unmatched) or without.failure
        return
    assert (with_model.matched, with_model.unmatched) == (without.matched, without.unmatched)
    assert (with_model.patches, with_model.failure) == (without.patches, without.failure)


def test_the_cases_are_of_every_outcome(outcomes):
    answers = [answer for _, _, answer in outcomes.values()]
    assert any("error" in answer for answer in answers)
    assert any("error" not in answer and not answer["patches"] for answer in answers)
    assert any("changed" in answer and answer["changed"] != answer["patches"] for answer in answers)
    assert {"DoRA", "LoHa", "LoKr", "GLoRA", "OFT", "BOFT", "difference", "replacement"} <= {
        kind for lora, model, _ in outcomes.values() for kind in inspect_lora(lora, model).patches
    }
