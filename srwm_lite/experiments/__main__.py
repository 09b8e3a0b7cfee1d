"""Run a comparison and store it.

::

    python -m srwm_lite.experiments --list
    python -m srwm_lite.experiments state_tracking
    python -m srwm_lite.experiments state_tracking --preset quick --seeds 0 --out /tmp
    python -m srwm_lite.experiments state_tracking --rates 1e-3 3e-3 --seeds 9
    torchrun --nproc_per_node=2 -m srwm_lite.experiments few_shot --keep

Every finished training is stored at once, and an unfinished one now and then: stop with
Ctrl-C, start again, and it goes on. Beside the results lie the log of every training
(``.unfinished/*.jsonl``) and, with ``--keep``, the weights (``.kept/*.pt``).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from srwm_lite import distributed
from srwm_lite.data import DataUnavailable
from srwm_lite.experiments import NAMES, find, origin, run, table


def parser() -> argparse.ArgumentParser:
    """Return what the command line takes."""
    line = argparse.ArgumentParser(
        prog="python -m srwm_lite.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    line.add_argument("name", nargs="?", help=", ".join(NAMES))
    line.add_argument("--list", action="store_true", help="say what there is")
    line.add_argument("--preset", default="laptop", help="quick, laptop or paper")
    line.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    line.add_argument("--models", nargs="+", help="only these")
    line.add_argument("--settings", nargs="+", help="only these")
    line.add_argument("--rates", nargs="+", type=float, help="try learning rates")
    line.add_argument("--steps", type=int, help="steps of each, with --rates")
    line.add_argument("--again", action="store_true", help="forget what is stored")
    line.add_argument("--keep", action="store_true", help="keep the trained weights")
    line.add_argument("--out", type=Path, help="folder for the results")
    line.add_argument("--threads", type=int, default=1, help="threads of torch")
    return line


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; 2 if it says something wrong."""
    line = parser()
    args = line.parse_args(words)
    if args.list or args.name is None:
        print(listed())
        return 0
    torch.set_num_threads(args.threads)
    try:
        with distributed.joined():
            result = run(
                find(args.name),
                args.preset,
                seeds=args.seeds,
                models=args.models,
                settings=args.settings,
                rates=args.rates,
                steps=args.steps,
                again=args.again,
                keep=args.keep,
                folder=args.out,
            )
    except (ValueError, DataUnavailable) as error:
        line.error(str(error))
    if os.environ.get("RANK", "0") != "0":
        return 0
    for setting in result["settings"]:
        print(f"\n{setting}\n\n{table(result, setting)}")
    print(f"\n{origin(result)}")
    return 0


def listed() -> str:
    """Return every experiment with its presets, and the stored one in full."""
    lines = []
    for experiment in map(find, NAMES):
        presets = ", ".join(experiment.presets)
        lines.append(f"{experiment.name}: {experiment.about}; presets {presets}")
        for name, setting in experiment.settings("laptop").items():
            models = ", ".join(setting.lr)
            lines.append(f"  laptop, {name}: {setting.steps} steps of {models}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
