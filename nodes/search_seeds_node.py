"""Search Seeds."""

from __future__ import annotations

from pathlib import Path

from ..errors import VideoAlignError
from ..reward.gates import parse_gates
from ..reward.weights import RewardWeights
from .comfy_compat import CATEGORY, ExecutionBlocker, ScoresSocket, folder_paths, io, node_schema
from .contact_sheet import contact_sheet
from .ranking_rules import entries
from .search_seeds_inputs import CALIBRATE, CONTINUE, REPLAY, search_inputs
from .seed_numbers import parse_seeds
from .shown_ranking import shown_ranking


class SearchSeeds(io.ComfyNode):
    """Many seeds are drafted, judged early, and the best are finished."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return node_schema(
            search_aliases=[
                "best seed",
                "seed search",
                "draft",
                "best of n",
                "early stop",
                "roll",
                "lottery",
                "sampler",
                "ksampler",
            ],
            node_id="VideoAlignSearchSeeds",
            display_name="Search Seeds",
            category=CATEGORY,
            description=(
                "Takes the place of KSampler. Of each seed it samples a part of the steps, has a judge look at the clip that is foreseen then, and "
                "finishes the best. A finished clip is the one that KSampler makes of its seed. Takes that were judged before are not sampled "
                "again: raise the number of seeds, or interrupt and run again, and it goes on."
            ),
            inputs=search_inputs(),
            outputs=[
                io.Latent.Output(
                    "best_latents", display_name="LATENT", tooltip="The finished clips as one batch, best first."
                ),
                io.Int.Output(
                    "best_seed",
                    display_name="seed",
                    tooltip="The best one's seed: KSampler with it gives the same clip.",
                ),
                ScoresSocket.Output(
                    "scores",
                    display_name="SCORES",
                    tooltip="All takes with their marks and previews, those that went furthest first.",
                ),
                io.String.Output(
                    "seeds", display_name="seeds", tooltip="The finished clips' seeds, best first, with commas between."
                ),
                io.Image.Output(
                    "contact_sheet", display_name="contact sheet", tooltip="A picture of the takes and their marks."
                ),
                io.String.Output(
                    "report", display_name="report", tooltip="What was done and what it cost, and a line for each look."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(
        cls, stop_when: str | None, keep_seeds: str | None, exclude_seeds: str | None, more_looks: str | None
    ) -> bool | str:
        """Refuse what cannot be read before anything runs; what comes by wire is not known yet."""
        numbers = {"keep_seeds": keep_seeds, "exclude_seeds": exclude_seeds, "more_looks": more_looks}
        try:
            parse_gates(entries(stop_when or ""))
            for name, text in numbers.items():
                parse_seeds(text or "", name)
        except VideoAlignError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls, model, latent_image, judge, caption, first_seed, seeds, steps, cfg, sampler_name, scheduler, denoise, look_after,
        keep, mode, fps, preview_frames, more_looks, stop_when, budget, keep_seeds, exclude_seeds, use_this="", positive=None,
        negative=None, vae=None, weights=None, rules=None, sampler=None, sigmas=None, low_noise=None, switch_step=0, clip=None,
        budget_seconds=0.0,
    ) -> io.NodeOutput:  # fmt: skip
        """Search."""
        from .search_pace import pace_of
        from .search_progress import SearchProgress
        from .search_report import report, summary
        from .search_stages import finished_dtype, stages_of
        from .seed_search import SearchPlan, SearchSettings, SeedSearch
        from .seed_takes import SeedSampling
        from .take_judging import TakePreview

        if mode not in (REPLAY, CONTINUE, CALIBRATE):  # by wire
            raise VideoAlignError(f"mode is {mode!r}; choose {REPLAY}, {CONTINUE} or {CALIBRATE}.")
        calibrated = mode == CALIBRATE
        mode = REPLAY if calibrated else mode
        stages = stages_of(
            model, positive, negative, cfg, sampler_name, scheduler, steps, denoise, mode, sampler, sigmas, low_noise,
            switch_step,
        )  # fmt: skip
        progress = SearchProgress(stages)
        sampling = SeedSampling(stages, latent_image, mode, finished_dtype(model, sampler), progress.step)
        settings = SearchSettings(
            first_seed,
            seeds,
            (look_after, *parse_seeds(more_looks, "more_looks")),
            keep,
            RewardWeights() if weights is None else weights,
            rules,
            parse_gates(entries(stop_when)),
            budget or None,
            budget_seconds or None,
            parse_seeds(keep_seeds, "keep_seeds"),
            frozenset(parse_seeds(exclude_seeds, "exclude_seeds")),
            use_this,
            calibrated,
        )
        plan = SearchPlan.of(settings, sampling)  # refuses what cannot be before anything is sampled
        marks = _marks(judge, TakePreview(vae, preview_frames, fps) if vae else None, stages, clip, caption)
        pace, paced = None, frozenset()
        with progress.of(plan, sampling):
            if settings.budget_seconds:
                pace, paced = pace_of(settings, sampling, marks, caption.strip())
                plan = SearchPlan.of(settings, sampling, pace)
                progress.planned(plan, sampling)
            result = SeedSearch(settings, plan, sampling, marks, caption.strip(), paced=paced).run()
        ranking = result.ranking
        told = summary(plan, sampling, result, pace)
        if calibrated:
            from .search_calibration import measured

            output = Path(folder_paths.get_output_directory())
            told = f"{told}\n{measured(result.found.looks, sampling, marks, caption.strip(), output)}"
        nothing = None if result.finished else ExecutionBlocker(ranking.why_none())
        finished = list(result.finished)
        return io.NodeOutput(
            nothing or sampling.output(list(result.finished.values())),
            nothing or finished[0],
            tuple(row.clip for row in ranking.order),
            nothing or ", ".join(map(str, finished)),
            _sheet(ranking),
            f"{told}\n{report(result)}",
            ui={"videoalign_ranking": [shown_ranking(ranking) | {"summary": told}]},
        )


def _marks(judge, preview, stages, clip, caption: str):
    """Who marks the takes.

    Raises:
        VideoAlignError: a REWARD without a VAE.
    """
    from .reward_caption import RewardCaption
    from .take_judging import LatentMarks, PreviewMarks

    if hasattr(judge, "latent_space"):
        told = None if clip is None else RewardCaption.encoded(clip, caption)
        return LatentMarks(judge, stages[0].guider.model_patcher, preview, told)
    if preview is None:
        raise VideoAlignError(
            "A REWARD looks at decoded previews: connect a VAE to Search Seeds, best a small one such as taehv."
        )
    return PreviewMarks(judge, preview)


def _sheet(ranking):
    from ..clips.pixels import bytes_to_unit

    return bytes_to_unit(contact_sheet(ranking).copy())[None]
