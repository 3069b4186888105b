"""``videoalign plan COMMAND``: what a command will take, told by the command itself (its ``--dry-run``)."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

from .options import CommandConfig


class Planned(Protocol):
    """A command that can tell what it will take.

    Attributes:
        Config: its options.
    """

    Config: type[CommandConfig]

    def tell(self, config: Any) -> int:
        """Print what it will take; returns the exit status."""


class PlanCommand:
    """What the command line needs of a command, for one that is planned.

    Attributes:
        Config: the options of that command.
    """

    def __init__(self, command: Planned) -> None:
        self.command = command
        self.Config = type(
            f"Plan{command.Config.__name__}", (command.Config,), {"__doc__": HELP, "__module__": __name__}
        )

    def run(self, config: CommandConfig) -> int:
        """Print the plan; returns 0."""
        return self.command.tell(config)


HELP = """Tell what a command will take: steps, memory part by part, operations, and on which cards it fits.

Takes the options of the command itself. Its work is done once on the real networks at their real size with tensors that have no
content, so nothing big is read, and nothing is encoded, sampled or written. Says of every figure whether it was counted or is an
estimate, and of a card that is too small which options would make it fit.
"""


@cache
def plan_command(command: Planned) -> PlanCommand:
    """The one that plans ``command``."""
    return PlanCommand(command)
