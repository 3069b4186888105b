"""``videoalign choose``: which of two clips is better, asked on a local page."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from pydantic import Field

from ..cli.options import CommandConfig, positional


class Config(CommandConfig):
    """Choose between two clips of one prompt, pair after pair, in the browser; every choice is kept at once.

    The clips: FOLDER/clips.jsonl with path and prompt (the Choose A or B node writes it), or --manifest, or the videos of
    the folder with their prompts in .txt files of the same names, or --prompt. The choices: FOLDER/choices.jsonl, a
    preference file that videoalign train reads. Stop with Ctrl-C at any time; the same command goes on where you were.
    What judges said in FOLDER/scores.jsonl or scores.csv is shown of each pair once it is chosen.
    """

    folder: Path | None = positional(default=None, description="Folder of the clips.")
    manifest: Path | None = Field(
        None, description="CSV or JSONL table of the clips: path, prompt, and if known seed, model, group."
    )
    prompt: str | None = Field(None, description="Prompt of all videos of a folder without a table.")
    chooser: str = Field("", description="Your name: kept with each choice, and part of the file's name.")
    output: Path | None = Field(
        None,
        description="Preference file to add to (.jsonl); FOLDER/choices.jsonl or FOLDER/choices_NAME.jsonl by default.",
    )
    pairs_per_prompt: int = Field(0, ge=0, description="At most so many pairs of each prompt; 0 for all.")
    port: int = Field(0, ge=0, le=65535, description="Port of the page; 0 takes a free one.")
    browser: bool = Field(True, description="Open the page in the default browser.")


def run(config: Config) -> int:
    """Serve the page until Ctrl-C; returns the exit status."""
    import threading
    import webbrowser

    from ..errors import VideoAlignError
    from .choices.page import ChoicePage, write_opener
    from .choices.session import ChoiceSession

    folder = config.folder or (config.manifest.parent if config.manifest else None)
    if folder is None:
        raise VideoAlignError("Give the folder of the clips, or --manifest.")
    if config.output is not None and config.output.suffix.lower() != ".jsonl":
        raise VideoAlignError(f"--output {config.output}: the name must end in .jsonl.")
    with tempfile.TemporaryDirectory(prefix="videoalign_choose_") as previews:
        session = ChoiceSession(
            folder,
            config.chooser,
            previews=Path(previews),
            file=config.output,
            manifest=config.manifest,
            prompt=config.prompt,
            pairs_per_prompt=config.pairs_per_prompt,
        )
        state = session.state()
        if not state["total"]:
            raise VideoAlignError(f"{folder} has no two clips of one prompt to choose between.")
        with ChoicePage(session, config.port) as page:
            print(
                f"{_pairs(state['total'])}, {state['done']} chosen already. Choose here (Ctrl-C ends it):",
                file=sys.stderr,
            )

            def announce() -> None:
                print(page.url, flush=True)
                if config.browser:  # one in the terminal returns only when it is closed
                    address = write_opener(page.url, Path(previews)).as_uri()
                    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

            with contextlib.suppress(KeyboardInterrupt):
                page.serve(announce)
        done = session.state()["done"]
    print(f"\n{ended(done, state['total'], session.file.path)}", file=sys.stderr)
    return 0


def _pairs(count: int) -> str:
    return f"{count} pair{'' if count == 1 else 's'}"


def ended(done: int, total: int, path: Path) -> str:
    """What the command says at its end: how many of the pairs are chosen, where they are, and what can be run next."""
    if not done:
        return f"None of {_pairs(total)} is chosen."
    everything = "1 pair" if total == 1 else f"All {total} pairs"
    of = everything if done == total else f"{done} of {_pairs(total)}"
    are, they = ("is", "it is") if done == 1 else ("are", "they are")
    return f"{of} {are} chosen; {they} in {path}. Next: videoalign train dpo --data.train {path} ..."
