"""Draw matrices, curves and bars in one style, and show them together with words.

Chapter   every chapter
Tests     tests/test_plots.py
"""

from srwm_lite.plots.graphs import bars, curves, spectrum
from srwm_lite.plots.heatmaps import film_strip, matrices, matrix
from srwm_lite.plots.look import axes, style
from srwm_lite.plots.output import glue, glue_all, show
from srwm_lite.plots.pictures import describe_pictures, pictures
from srwm_lite.plots.trees import describe_tree, tree
from srwm_lite.plots.words import (
    describe_bars,
    describe_curves,
    describe_film,
    describe_matrices,
    describe_matrix,
    describe_spectrum,
)

__all__ = [
    "axes",
    "bars",
    "curves",
    "describe_bars",
    "describe_curves",
    "describe_film",
    "describe_matrices",
    "describe_matrix",
    "describe_pictures",
    "describe_spectrum",
    "describe_tree",
    "film_strip",
    "glue",
    "glue_all",
    "matrices",
    "matrix",
    "pictures",
    "show",
    "spectrum",
    "style",
    "tree",
]
