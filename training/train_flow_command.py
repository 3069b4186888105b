"""``videoalign train dpo``, ``rwr``, ``sft`` and whatever else lies in ``flow/methods``: clips and choices in, a LoRA out."""

from __future__ import annotations

from functools import cache

from pydantic import create_model, model_validator

from ..errors import VideoAlignError
from .flow.config import FlowConfig
from .flow.method import Method
from .flow.methods import load_method, method_help

SHARED_HELP = """
Writes a LoRA that ComfyUI's stock loader applies, a log with curves (curves.html) and, after every evaluation, what they
mean. Clips and captions are encoded once. Training resumes by itself when the command is run again. For several GPUs
start it with accelerate launch --multi_gpu, or with --use_fsdp --fsdp_version 2 to keep the network in shards.
"""


class TrainFlowCommand:
    """What the command line needs of a command, for one method.

    Attributes:
        Config: the options that all methods share, and the method's as a section of its name.
    """

    def __init__(self, method: type[Method]) -> None:
        self.method = method
        self.Config = method_config(method)

    def run(self, config: FlowConfig) -> int:
        """Train and export; returns the exit status (130 when interrupted, with the state saved)."""
        if config.dry_run:
            return self.tell(config)
        from .flow.run import run_method
        from .flow.two_experts import expert_runs
        from .loop.processes import holding_output
        from .plan.choice import settle

        status = 0
        for run in expert_runs(config):
            with holding_output(run.output, f"train {self.method.name}"):
                status = run_method(run, self.method(getattr(run, self.method.name)), settle)
            if status:
                break
        return status

    def tell(self, config: FlowConfig) -> int:
        """Print what the training will take; returns 0."""
        from ..planning.report import plan_text
        from .flow.two_experts import expert_runs
        from .plan.flow_plan import plan_flow

        for run in expert_runs(config):
            print(plan_text(plan_flow(run, self.method(getattr(run, self.method.name)))))
        return 0


def train_command(name: str) -> TrainFlowCommand:
    """The command of a method by its name: ``train_command("dpo").Config`` are the options of ``videoalign train dpo``.

    Raises:
        VideoAlignError: there is no such method.
    """
    return _command_of(load_method(name))


def method_config(method: type[Method]) -> type[FlowConfig]:
    """The options of a training with ``method``; what its ``check`` refuses is refused with them.

    Raises:
        VideoAlignError: the method has the name of a section that all methods share.
    """
    if method.name in FlowConfig.model_fields:
        raise VideoAlignError(f"{method.__qualname__} is called {method.name!r}, as an option of every method is.")
    options = method.options_class
    needed = any(field.is_required() for field in options.model_fields.values())

    def checked(config: FlowConfig) -> FlowConfig:
        if config.data.clips and not method.takes_clips:
            raise ValueError(f"data.clips: train {method.name} needs pairs of clips; give data.train instead")
        method.check(getattr(config, method.name), config)
        return config

    return create_model(
        f"{method.__name__}Config",
        __base__=FlowConfig,
        __module__=method.__module__,
        __doc__=f"{method_help(method)}\n{SHARED_HELP}",
        __validators__={"checked": model_validator(mode="after")(checked)},
        **{method.name: (options, ... if needed else options())},
    )


@cache
def _command_of(method: type[Method]) -> TrainFlowCommand:
    return TrainFlowCommand(method)
