"""A process that reads damaged files, one after another, and tells of each: ``python tests/fuzz_worker.py clip:0-49 state:7``.

A line of JSON for each file: target, seed, outcome (refused, same, other, nan, wrong, traceback) and, where it failed, why. The file of
a single seed is kept in the folder that --keep names. Whoever starts this watches the clock: see ``test_fuzz``.
"""

import argparse
import faulthandler
import json
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

WHERE_AFTER = 20  # seconds: then standard error tells where a reader is
MEMORY = 4 << 30  # that a reader may take beside what the program is


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("jobs", nargs="+", help="TARGET:SEED or TARGET:FIRST-LAST")
    parser.add_argument("--keep", type=Path, help="folder to leave the damaged files in")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    import torch
    from fuzz_targets import TARGETS

    torch.set_num_threads(1)
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    answers, sys.stdout = sys.stdout, sys.stderr
    faulthandler.enable()
    print(json.dumps("ready"), file=answers, flush=True)
    healthy = {}
    for job in options.jobs:
        name, _, seeds = job.partition(":")
        first, _, last = seeds.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            faulthandler.dump_traceback_later(WHERE_AFTER)
            print(json.dumps(one(TARGETS[name], name, seed, healthy, options.keep)), file=answers, flush=True)


def one(target, name, seed, healthy, keep):
    """The outcome of one damaged file."""
    from fuzz_damage import damaged
    from fuzz_targets import all_finite, equal

    from videoalign.cli.options import ConfigError
    from videoalign.errors import VideoAlignError

    variant = seed % target.variants
    folder = Path(tempfile.mkdtemp(prefix="fuzz-")) if keep is None else keep / f"{name}-{seed}"
    answer = {"target": name, "seed": seed}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = target.make(folder, variant)
        if (name, variant) not in healthy:
            before = target.read(path)
            assert all_finite(before) and (target.right is None or target.right(before, before)), (
                f"{name}: a healthy file is read wrongly"
            )
            healthy[name, variant] = before
            shutil.rmtree(folder)
            folder.mkdir()
            path = target.make(folder, variant)
        text = target.text or path.suffix == ".json"
        path.write_bytes(damaged(path.read_bytes(), random.Random(f"{name} {seed}"), text))
        try:
            found = target.read(path)
        except (VideoAlignError, ConfigError) as error:
            said = str(error)
            assert said.strip() and len(said) < 20_000, f"an error of {len(said)} characters"
            return answer | {"outcome": "refused"}
        if target.right is not None and not target.right(found, healthy[name, variant]):
            return answer | {"outcome": "wrong", "why": repr(found)[:500]}
        if not all_finite(found):
            return answer | {"outcome": "nan", "why": repr(found)[:500]}
        return answer | {"outcome": "same" if equal(found, healthy[name, variant]) else "other"}
    except BaseException:
        return answer | {"outcome": "traceback", "why": traceback.format_exc()[-1500:]}
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here)]
    main()
