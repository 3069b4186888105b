"""``videoalign plan dpo``, ``rwr``, ``sft``: what such a training will take, before anything is encoded or loaded."""

from __future__ import annotations

from functools import cache

from .flow.config import FlowConfig
from .train_flow_command import TrainFlowCommand, train_command


class PlanCommand:
    """What the command line needs of a command, for one method.

    Attributes:
        Config: the options of ``videoalign train`` with that method.
    """

    def __init__(self, train: TrainFlowCommand) -> None:
        self.train = train
        self.Config = type(
            f"Plan{train.Config.__name__}", (train.Config,), {"__doc__": PLAN_HELP, "__module__": __name__}
        )

    def run(self, config: FlowConfig) -> int:
        """Print the plan; returns 0."""
        return self.train.tell(config)


PLAN_HELP = """Tell what a training will take: steps, memory part by part, operations, and on which cards it fits.

Takes the options of videoalign train. The loss is run on the real network at its real size with tensors that have no content, so
nothing big is read, and nothing is encoded or written. Says of every figure whether it was counted or is an estimate, and of a
card that is too small which options would make it fit.
"""


@cache
def plan_command(name: str) -> PlanCommand:
    """The command for a method by its name.

    Raises:
        VideoAlignError: there is no such method.
    """
    return PlanCommand(train_command(name))
