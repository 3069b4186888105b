"""What a command imports before it does anything: the larger half of what a small run takes. ``benchmarks/import_time.py`` has seconds."""

import json
import subprocess
import sys

import pytest

NEVER = {"bitsandbytes", "cv2", "matplotlib", "pandas", "peft", "scipy", "torchvision", "transformers"}
COMPILER = {"sympy", "torch._dynamo", "torch._inductor", "torch.distributed.tensor"}
PROMPT = "one red circle moves left over a plain black ground"
CODE = """
import json, sys
from videoalign.cli.main import main
status = main()
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


def imported(*arguments):
    """Names of the modules that a process has when ``videoalign ARGUMENTS`` is done."""
    done = subprocess.run([sys.executable, "-c", CODE, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    status, names = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr[-2000:]
    return set(names)


def test_generating_and_scoring_import_the_classes_that_they_use_and_little_else(tmp_path):
    prompts, clips = tmp_path / "prompts.txt", tmp_path / "clips"
    prompts.write_text(PROMPT)
    made = imported("generate", prompts, "--model", "micro", "--output", clips, "--device", "cpu", "--sampling.steps", 1,
                    "--clips-per-prompt", 1)  # fmt: skip
    assert "diffusers" in made
    assert not made & (NEVER | COMPILER)

    scored = imported("score", *clips.glob("videos/*.mp4"), "--prompt", PROMPT, "--model", "micro", "--device", "cpu")
    assert "torch" in scored
    assert not scored & (NEVER | COMPILER | {"diffusers", "accelerate"})


def test_no_commands_help_waits_for_torch():
    code = (
        "import contextlib, io, sys\nfrom videoalign.cli.main import commands, main\n"
        "for name in commands():\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main([*name.split(), '--help'])\n"
        "    assert 'torch' not in sys.modules, name"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_was_hidden_while_diffusers_was_imported_can_be_imported_afterwards():
    code = (
        "import sys\nfrom videoalign.backbones.diffusers_start import NOT_ASKED_FOR, import_networks_alone\n"
        "import_networks_alone()\nassert 'diffusers' in sys.modules and not set(NOT_ASKED_FOR) & set(sys.modules)\n"
        "import diffusers, transformers, peft\nassert diffusers.WanTransformer3DModel and transformers.AutoConfig and peft.LoraConfig\n"
        "import torch\nassert torch.compiler.disable(len) is not len"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("before", ["diffusers", "peft"])
def test_what_a_process_has_imported_is_left_as_it_is(monkeypatch, before):
    from videoalign.backbones import diffusers_start

    theirs = object()
    monkeypatch.setitem(sys.modules, before, theirs)
    if before == "peft":
        monkeypatch.setitem(sys.modules, "diffusers", object())  # so that nothing is imported here
    names = set(sys.modules)
    diffusers_start.import_networks_alone()
    assert sys.modules[before] is theirs
    assert set(sys.modules) == names
