"""Full comparisons, run once and stored: ``python -m srwm_lite.experiments <name>``.

Chapters  08_programs_and_lists, 09_state_tracking and 10_language_model
Tests     tests/test_experiments.py

Each experiment is one module here: a task, the models that take it, presets of sizes
and the tests at the end. `setting` says what that is, `layers` names the models, `run`
trains, `store` writes, `shown` and `drawn` read for the chapters.
"""

import importlib

from srwm_lite.experiments.drawn import points, words
from srwm_lite.experiments.run import run
from srwm_lite.experiments.setting import Experiment, Frame, Setting, Test
from srwm_lite.experiments.shown import (
    groups,
    headline,
    means,
    origin,
    results,
    series,
    table,
)

__all__ = [
    "NAMES",
    "Experiment",
    "Frame",
    "Setting",
    "Test",
    "find",
    "groups",
    "headline",
    "means",
    "origin",
    "points",
    "results",
    "run",
    "series",
    "table",
    "words",
]

NAMES = (
    "code_execution",
    "list_ops",
    "state_tracking",
    "language_model",
    "few_shot",
    "omniglot",
    "task_switch",
    "vsml",
    "vsml_cloning",
)


def find(name: str) -> Experiment:
    """Return an experiment by its name.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no experiment {name!r}: use {', '.join(NAMES)}")
    return importlib.import_module(f"srwm_lite.experiments.{name}").EXPERIMENT
