"""Which of several ways to the same gradient a training takes: the fastest whose count fits the memory that is free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from ...backbones.devices import chosen_device
from ...backbones.free_memory import free_memory
from ...backbones.loading import describe_backbone
from ...cli.options import CommandConfig
from ...planning.counting import BETWEEN
from ...planning.report import gb
from ..flow.config import FlowConfig
from ..flow.method import Method
from ..flow.run import needed_of_images
from ..loop.processes import process_state
from .flow_step import StepCount, count_step
from .memory import memory_of


class Choice(NamedTuple):
    """A training with its options settled.

    Attributes:
        config, method: with the way that was taken.
        said: which and why, in a sentence; None where there was nothing to choose.
        less: options in words with which it would take less memory, and the training with them; None where there are none.
    """

    config: FlowConfig
    method: Method
    said: str | None = None
    less: tuple[str, FlowConfig, Method] | None = None


def choose_way(
    config: FlowConfig,
    method: Method,
    rows: int,
    began: Mapping[str, Any] | None = None,
    free: Callable[[torch.device], int | None] = free_memory,
) -> Choice:
    """Settle what the options of a method leave to the run (``Method.ways``).

    Args:
        rows: at most so many are at once in memory.
        began: the fingerprint of the run that is gone on with, which keeps the way that it began.
        free: bytes that are free on a device.
    """
    ways = method.ways(getattr(config, method.name), config)
    differing = _differing(ways)
    if not differing:  # nothing is left open, or other options leave one way only
        return _taken(config, method, ways[0], None)
    before = (began or {}).get(method.name, {})
    for way in ways:
        if before and _values(way, differing) == {key: before.get(key) for key in differing}:
            return _taken(config, method, way, f"{_words(method, way, differing)}, as the run began.")
    device = chosen_device()
    room, least, why = free(device), ways[-1], []
    there = f"{gb(room)} are free on {device}" if room is not None else f"{device} does not tell what is free"
    for way in ways[:-1] if room is not None else ():
        needed, bound = _needed(config, type(method)(way), rows, room, device)
        words = _words(method, way, differing)
        counted = f"{bound}{gb(needed)} (counted, and {100 * BETWEEN:.0f} % between)"
        if needed <= room:
            lesser = _taken(config, method, least, None)
            taken = _taken(config, method, way, f"{words}: it takes {counted}, and {there}.")
            return taken._replace(less=(_words(method, least, differing), lesser.config, lesser.method))
        why.append(f"{words} takes {counted}")
    because = f"{', '.join(why)}, and {there}" if why else there
    return _taken(config, method, least, f"{_words(method, least, differing)}: {because}.")


def settle(
    config: FlowConfig, method: Method, rows: int, began: Mapping[str, Any] | None
) -> tuple[FlowConfig, Method, str | None]:
    """``choose_way`` for all processes of a training alike, by the least that any of them has free (``run.Settle``)."""
    return choose_way(config, method, rows, began, _least_of_all)[:3]


def _least_of_all(device: torch.device) -> int | None:
    state = process_state()
    if state.num_processes == 1:
        return free_memory(device)
    from accelerate.utils import gather_object

    rooms = gather_object([free_memory(device)])
    return None if None in rooms else min(rooms)


def _needed(config: FlowConfig, method: Method, rows: int, room: int, device: torch.device) -> tuple[float, str]:
    """Bytes that a way takes, and in words whether that is a bound.

    A block of each kind is counted first: a network cannot take more than so many times that, and where even this fits, as with
    small networks, or the weights alone do not, nobody has to wait for the count of the whole.
    """
    for at_most in (True, False):
        network = describe_backbone(config.model.transformer, whole=True)
        size = network.latent_format.shape(config.data.frames, config.data.height, config.data.width)
        at_once = config.model_copy(update={"micro_batch_size": rows})
        images = needed_of_images(config)
        step = count_step(network, at_once, method, size, network.family.text_tokens, images, at_most)
        if at_most and (weights := _on(device, replace(step, trained=0, activations=0), config)) > room:
            return weights, "more than "
        needed = _on(device, step, config)
        if needed <= room:
            break
    return needed, "at most " if at_most else ""


def _on(device: torch.device, step: StepCount, config: FlowConfig) -> float:
    memory = memory_of(step, config.memory, config.optimizer)
    return memory.needed + (memory.main_memory if device.type == "cpu" else 0)


def _taken(config: FlowConfig, method: Method, way: CommandConfig, said: str | None) -> Choice:
    if way == method.options and way == getattr(config, method.name):
        return Choice(config, method, said)
    return Choice(config.model_copy(update={method.name: way}), type(method)(way), said)


def _differing(ways: list[CommandConfig]) -> list[str]:
    first, *others = (way.model_dump(mode="json") for way in ways)
    return [key for key in first if any(other[key] != first[key] for other in others)]


def _values(way: CommandConfig, keys: list[str]) -> dict[str, Any]:
    return {key: way.model_dump(mode="json")[key] for key in keys}


def _words(method: Method, way: CommandConfig, keys: list[str]) -> str:
    return ", ".join(f"{method.name}.{key} = {value}" for key, value in _values(way, keys).items())
