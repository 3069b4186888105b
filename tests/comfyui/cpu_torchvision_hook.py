"""Makes the CUDA-linked wheels of torchvision and torchaudio importable beside a CPU build of torch.

``cpu_torchvision_hook.pth`` loads it when Python starts; it does nothing until one of the two is imported, and nothing at all
beside a CUDA build.

- torchvision registers shapes for two of its operators at import. Their C++ library cannot be loaded, so nothing has declared
  them; they are declared here.
- torchaudio takes a C++ library that is there but cannot be loaded for a broken installation. It is told there is none.
"""

import importlib.abc
import importlib.machinery
import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _torch_is_cpu_only():
    import torch

    return not torch.backends.cuda.is_built()


class CpuTorchvision(importlib.abc.MetaPathFinder):
    """Steps in just before the two packages are imported."""

    library = None

    def find_spec(self, name, path=None, target=None):
        """A spec for torchaudio's loader of extensions; None (go on as usual) for all else."""
        if name == "torchvision" and self.library is None and _torch_is_cpu_only():
            import torch

            self.library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in OPERATORS:
                self.library.define(operator)
        if name == "torchaudio._extension.utils" and _torch_is_cpu_only():
            return self._without_library(importlib.machinery.PathFinder.find_spec(name, path, target))
        return None

    @staticmethod
    def _without_library(spec):
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                module._load_lib = lambda library: False

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, CpuTorchvision())
