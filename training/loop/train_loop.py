"""The loop: batches in order, gradients over several processes, checkpoints that resume bit for bit.

It knows neither the model nor the loss; a ``Task`` brings both.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

import torch

from ...backbones.devices import random_states, set_random_states
from ...errors import TrainingStopped, VideoAlignError, afterwards
from .averages import Averages, Number
from .callback import Callback
from .config import LoopConfig
from .evaluation_plan import evaluation_plan
from .evaluations import Evaluations
from .interrupts import interruptible
from .log_file import append_log, forget_later_lines, read_log
from .moving_average import MovingAverage
from .order import BatchOrder
from .processes import process_state
from .progress import Pace, line, numbers_text
from .run_length import concerns, run_length, too_short
from .same_run import check_same_run
from .schedule import rate_factor
from .sharding import configure_fsdp
from .state_files import newest_state, save_state
from .task import Task
from .trained_state import load_trained_state, trained_state

PREFETCHED_STEPS = 2


class TrainLoop:
    """Train a task.

    Args:
        rows: rows of the data set.
        groups: see ``BatchOrder``.
        fingerprint: describes data, model and options; a checkpoint of another fingerprint is refused.
        callbacks: see ``Callback``.
        optimizer: makes the optimizer from the task's parameter groups.
        ema: decay of a moving average of the trained weights, which is what is judged and what callbacks see; None: there is none.
    """

    def __init__(
        self,
        task: Task,
        config: LoopConfig,
        rows: int,
        fingerprint: dict,
        groups: Sequence[object] | None = None,
        callbacks: Sequence[Callback] = (),
        optimizer: Callable[[list[dict]], torch.optim.Optimizer] = torch.optim.AdamW,
        ema: float | None = None,
    ) -> None:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState, is_initialized
        from accelerate.utils import DistributedDataParallelKwargs

        self.task, self.config, self.callbacks = task, config, list(callbacks)
        bf16 = "bf16" if config.precision == "bfloat16" else "no"
        # rows that a process holds may lack a dimension's label, which leaves a head unused in that step
        handlers = [DistributedDataParallelKwargs(find_unused_parameters=False)]
        process_state()
        if is_initialized() and AcceleratorState().mixed_precision != bf16:  # by an earlier run in this process
            AcceleratorState._reset_state()
        self.accelerator = Accelerator(mixed_precision=bf16, kwargs_handlers=handlers)
        world = self.accelerator.num_processes
        groups_of_parameters = task.parameter_groups()
        self.rate = max(group["lr"] for group in groups_of_parameters)
        self.folder = config.output / "checkpoints"
        self._state = None if config.overwrite or not config.resume else newest_state(self.folder, self._say)
        earlier = self._state and self._state["fingerprint"]
        self.length = run_length(config, rows, self.rate, task.visible_move, world, earlier)
        self.rows, self.steps, self.batch_size = rows, self.length.steps, self.length.batch_size
        if self.batch_size % world:
            raise TrainingStopped(
                f"batch_size {self.batch_size} cannot be shared by {world} processes; choose a multiple."
            )
        if config.patience is not None and task.judged_by is None:
            raise TrainingStopped(
                "patience needs held-out pairs to measure on. Give data.eval or a data.eval_share above 0, or leave it out."
            )
        self.evaluations = Evaluations(task.judged_by, config.patience)
        self.order = BatchOrder(rows, self.batch_size, config.seed, groups)
        cost = task.evaluation_cost(None if config.eval_every else self.steps * self.batch_size)
        self.evaluation_plan = evaluation_plan(self.steps, self.batch_size, cost, config.eval_every)
        self.save_every = config.save_every or max(1, self.steps // 4)
        self.fingerprint = {**fingerprint, "seed": config.seed, "batch_size": self.batch_size, "steps": self.steps}
        self.log_file = config.output / "log.jsonl"
        # weight_decay and learning rates are set by the groups; betas and eps are AdamW's, as in the official trainer
        built = optimizer(groups_of_parameters)
        self.base_rates = [group["lr"] for group in built.param_groups]
        self.sharded = configure_fsdp(self.accelerator, task.module)
        self.module, self.optimizer = self.accelerator.prepare(task.module, built)
        self.average = None if ema is None else MovingAverage(task.module, ema, self.sharded)
        self.step, self._stop = 0, False
        self._pace: Pace | None = None
        self._contents: dict = {}

    def run(self) -> Mapping[str, float]:
        """Train to the end (resuming where a checkpoint is) and return the last evaluation.

        Raises:
            TrainingStopped: a loss or gradient is not finite, or a row cannot be loaded; the last good state is kept.
            KeyboardInterrupt: after Ctrl-C or SIGTERM, once the state is saved.
        """
        self._begin()
        metrics: Mapping[str, float] = {}
        self._pace = Pace(self.step)
        with interruptible(self), self._progress() as bar, self._watched():
            self._evaluate_beginning(bar)
            recent = Averages()
            for rows, micro_batches in () if self.evaluations.exhausted else self._batches():
                recent.merge(self._optimize(rows, micro_batches))
                self.step += 1
                bar.update()
                if self.step % self.config.log_every == 0 or self.step == self.steps:
                    self._log("train", self._over_processes(recent).means(), bar)
                    recent = Averages()
                if self.step % self.evaluation_plan.every == 0 or self.step == self.steps:
                    metrics = self._evaluate(bar)
                for callback in self.callbacks:
                    callback.stepped(self, self._say)
                stop, enough = self._asked_to_stop(), self.evaluations.exhausted
                if self.step % self.save_every == 0 or self.step == self.steps or stop or enough:
                    self.save()
                if stop:
                    raise KeyboardInterrupt
                if enough:
                    break
        self._say_if_ended_early()
        return metrics or self._evaluate(None, log=not self._evaluation_is_logged())

    def save(self, data_are_sound: bool = True) -> None:
        """Write a checkpoint of the present step; one of unsound data does not insist on their content."""
        self.accelerator.wait_for_everyone()
        random = self.accelerator.gather(torch.get_rng_state()[None].to(self.accelerator.device)).cpu()
        main = self.accelerator.is_main_process
        trained, average = {}, {}
        if main or self.sharded:  # every process then has a part of each tensor to give
            trained = trained_state(self.task.module, self.optimizer.optimizer, self.sharded)
            average = self.average.state() if self.average else {}
        if main:
            state = {
                "fingerprint": self.fingerprint,
                "contents": {key: one for key, one in self._contents.items() if data_are_sound or key != "data"},
                "notes": self.task.notes(),
                "evaluations": self.evaluations.stored,
                **({"average": average} if average else {}),
                **trained,
                "random": random,
                "random_cuda": random_states(),
            }
            save_state(self.folder, self.step, state, self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()
        with self.averaged():
            for callback in self.callbacks:
                callback.saved(self, self._say)

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the network has the weights that are judged and written: their moving average, where there is one."""
        return self.average.applied() if self.average else nullcontext()

    def _asked_to_stop(self) -> bool:
        """Whether any process was: they must all save the same step."""
        if self.accelerator.num_processes == 1:
            return self._stop
        flag = torch.tensor(float(self._stop), device=self.accelerator.device)
        return self.accelerator.reduce(flag, reduction="sum").item() > 0

    def _begin(self) -> None:
        main = self.accelerator.is_main_process
        if self.config.overwrite and main:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.log_file.unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()
        torch.manual_seed(self.config.seed)
        if not self.config.resume and newest_state(self.folder) is not None:
            raise TrainingStopped(
                f"{self.config.output} holds an earlier run. Resume it, --overwrite it, or choose another --output."
            )
        if main or self._state is not None:
            self._contents = self.task.contents()
        if self._state is not None:
            self._restore(self._state)
            self._state = None
        self._say_what_to_expect()
        if main:
            self.config.output.mkdir(parents=True, exist_ok=True)
            forget_later_lines(self.log_file, self.step)

    def _restore(self, state: dict) -> None:
        check_same_run(self.fingerprint, self._contents, state, self.folder)
        if self.average:
            self.average.restore(state["average"])
        load_trained_state(self.task.module, self.optimizer.optimizer, state, self.sharded)
        rank = self.accelerator.process_index
        random_state = state["random"][min(rank, len(state["random"]) - 1)]
        torch.set_rng_state(random_state.clone())  # torch 2.13 crashes on a row of a larger tensor
        set_random_states(state["random_cuda"])
        self.step = state["step"]
        self.evaluations.restore(state.get("evaluations", ()), self.step)
        if self.accelerator.is_main_process:
            print(f"Going on from step {self.step} of {self.steps}.", file=sys.stderr)
            if (before := state["fingerprint"]["steps"]) < self.steps:
                now, last = (self.rate * rate_factor(self.config, self.step, steps) for steps in (self.steps, before))
                print(
                    f"The run is made longer, from {before} steps. The learning rate goes on as the schedule of {self.steps} steps "
                    f"has it: {now:.3g} at the next step, where that of {before} steps had {last:.3g}.",
                    file=sys.stderr,
                )

    def _batches(self) -> Iterator[tuple[list[int], list[tuple[list[int], object]]]]:
        """This process's rows of each step, prepared a few steps ahead in a background thread."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        share = self.batch_size // world
        with ThreadPoolExecutor(1, thread_name_prefix="videoalign-data") as pool:
            waiting: deque = deque()
            ahead = self.step
            try:
                while waiting or ahead < self.steps:
                    while ahead < self.steps and len(waiting) <= PREFETCHED_STEPS:
                        rows = self.order.batch(ahead)[rank * share : (rank + 1) * share]
                        size = self.config.micro_batch_size
                        first = ahead * self.batch_size + rank * share
                        parts = [(rows[start : start + size], first + start) for start in range(0, share, size)]
                        jobs = [(part, pool.submit(self.task.prepare, part, number)) for part, number in parts]
                        waiting.append((rows, jobs))
                        ahead += 1
                    rows, parts = waiting.popleft()
                    yield rows, [(part, self._result(future)) for part, future in parts]
            finally:
                pool.shutdown(cancel_futures=True)

    def _result(self, future) -> object:
        try:
            return future.result()
        except VideoAlignError as error:
            # The present state is sound; only the data are not, and may be mended: then they are known by their names.
            with afterwards(partial(self.save, data_are_sound=False)):
                raise error

    def _optimize(self, rows: list[int], micro_batches: list[tuple[list[int], object]]) -> Averages:
        self._set_learning_rate()
        self.module.train()
        self.optimizer.zero_grad(set_to_none=True)
        numbers = Averages()
        for index, (part, batch) in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.module):
                with self.accelerator.autocast() if self.sharded else nullcontext():  # else prepare() has seen to it
                    loss, values = self.module(batch)
                share = len(part) / len(rows)
                if not math.isfinite(loss.item()):
                    self._not_finite("The loss", part)
                self.accelerator.backward(loss * share)
            measured: dict[str, Number] = {"loss": loss.item(), **values}
            numbers.add(measured, len(part))
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.max_grad_norm)
        if self.sharded:
            norm = norm.full_tensor()
        if not math.isfinite(norm.item()):
            self._not_finite("The gradient", rows)
        self.optimizer.step()
        if self.average:
            self.average.update()
        numbers.add({"grad_norm": norm.item()}, len(rows))
        return numbers

    def _over_processes(self, numbers: Averages) -> Averages:
        """The means over what all processes have seen."""
        if self.accelerator.num_processes == 1:
            return numbers
        from accelerate.utils import gather_object

        total = Averages()
        for averages in gather_object([numbers]):
            total.merge(averages)
        return total

    def _not_finite(self, what: str, rows: Sequence[int]) -> None:
        raise TrainingStopped(
            f"{what} of step {self.step} is not finite (rows: {self.task.row_names(rows)}). {self._kept()} "
            "Look at these rows, lower the learning rate, or train in float32."
        )

    def _kept(self) -> str:
        state = newest_state(self.folder)
        return (
            "There is no checkpoint yet."
            if state is None
            else f"The checkpoint of step {state['step']} in {self.folder} is kept."
        )

    def _set_learning_rate(self) -> None:
        factor = rate_factor(self.config, self.step, self.steps)
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor

    def _evaluation_is_logged(self) -> bool:
        """Whether the log has the evaluation of this step: a finished run that is run again adds no line."""
        return any(line["step"] == self.step and line.get("kind") == "eval" for line in read_log(self.log_file))

    def _evaluate_beginning(self, bar) -> None:
        """Judge the untrained model: where the curves begin, and no candidate for the best."""
        if self.step == 0 and self.evaluation_plan.beginning:
            metrics = self._judged(partial(self.task.evaluate, beginning=True))
            if metrics and not self._evaluation_is_logged():  # by a run that was stopped before its first checkpoint
                self._log("eval", metrics, bar)

    def _judged(self, evaluate: Callable[[torch.nn.Module], Mapping[str, float]]) -> Mapping[str, float]:
        self.module.eval()
        random = torch.get_rng_state()
        with torch.no_grad():
            metrics = evaluate(self.task.module)
        torch.set_rng_state(random)  # evaluating more often must not change the training
        return metrics

    def _evaluate(self, bar, log: bool = True) -> Mapping[str, float]:
        with self.averaged():
            metrics = self._judged(self.task.evaluate)
            if metrics and log:
                self.evaluations.add(self.step, metrics)
                self._log("eval", metrics, bar)
                for callback in self.callbacks:
                    callback.evaluated(self, metrics, self._say)
        return metrics

    def _log(self, kind: str, numbers: Mapping[str, float], bar) -> None:
        if not self.accelerator.is_main_process:
            return
        append_log(self.log_file, {"step": self.step, "kind": kind, **numbers})
        if kind == "train" and bar is not None and not bar.disable:
            # a terminal gets one living line, a log file gets lines
            bar.set_postfix_str(numbers_text(numbers))
        else:
            pace = self._pace.told(self.step, self.steps) if kind == "train" and self._pace else ""
            judged = f"of the averaged weights, ema {self.average.decay:g}" if kind == "eval" and self.average else ""
            self._say(line(kind, self.step, self.steps, numbers, pace or judged))
        for callback in self.callbacks:
            callback.logged(self.step, kind, numbers, self._say)

    def _say_what_to_expect(self) -> None:
        """Before the first step: what was chosen, and what will not be seen."""
        if self.step >= self.steps:
            return
        if self.length.chosen:
            self._say(
                f"batch_size {self.batch_size} and {self.steps} steps, chosen for {self.rows} rows to train on; give batch_size, epochs or "
                "max_steps to choose yourself."
            )
        if self.evaluation_plan.said:
            self._say(self.evaluation_plan.said)
        for concern in concerns(self.config, self.length, self.rows, self.rate, self.task.visible_move):
            self._say(f"WARNING: {concern}")

    @property
    def moves_nothing(self) -> str | None:
        """What is wrong with a run whose weights moved too little to be seen, in a sentence; None where they moved."""
        return too_short(self.config, self.length, self.rows, self.rate, self.task.visible_move)

    def _say_if_ended_early(self) -> None:
        if self.step < self.steps and self.evaluations.best is not None:
            step, value = self.evaluations.best
            self._say(
                f"Ended at step {self.step} of {self.steps}: no better held-out {self.evaluations.name} than {value:.4g}, of step {step}, in "
                f"{self.config.patience} evaluations (patience)."
            )

    def _say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Callbacks begin and end with the run."""
        with ExitStack() as watching:
            for callback in self.callbacks if self.accelerator.is_main_process else ():
                watching.enter_context(afterwards(partial(callback.ended, self, self._say)))
                callback.began(self, self._say)
            yield

    def _progress(self):
        from tqdm import tqdm

        hidden = None if self.accelerator.is_main_process else True
        return tqdm(total=self.steps, initial=self.step, unit="step", file=sys.stderr, disable=hidden)
