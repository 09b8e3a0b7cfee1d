"""exp, tanh, the logistic function and softmax of the C++, in both precisions."""

import ctypes
import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from srwm_lite.kernels import compile as compiling

KERNELS = Path(compiling.__file__).parent
FUNCTIONS = """
#include "functions.h"
extern "C" void apply(int which, real* x, Int n)
{
    for (real* p = x; p < x + n; p += LANES) {
        const Vec<LANES> v = load<LANES>(p);
        store(p, which == 0 ? exponential(v) : which == 1 ? hyperbolic_tangent(v)
                                                          : logistic(v));
    }
}
"""
EXACT = [np.exp, np.tanh, lambda x: 1 / (1 + np.exp(-x))]


@pytest.fixture(scope="module", params=itertools.product(["float", "double"], [0, 1]))
def functions(request, tmp_path_factory):
    """Return the functions of `functions.h` for numpy, tuned to this CPU or not."""
    real, tuned = request.param
    place = tmp_path_factory.mktemp("functions")
    source, built = place / "functions.cpp", place / "functions.so"
    source.write_text(FUNCTIONS)
    options = [f"-Dreal={real}", f"-I{KERNELS}", *["-march=native"][:tuned]]
    command = [*compiling.compiler(), *compiling.FLAGS, *options]
    subprocess.run([*command, str(source), "-o", str(built)], check=True)
    run = ctypes.CDLL(str(built)).apply

    def function(which, x):
        y = np.array(x, np.float32 if real == "float" else np.float64)
        run(which, y.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(y)))
        return y

    return function


@pytest.mark.parametrize(("which", "units"), [(0, 1.1), (1, 3), (2, 3)])
@pytest.mark.parametrize("scale", [1e-3, 1, 80])
def test_functions_are_exact_to_some_units_in_the_last_place(
    functions, which, units, scale
):
    x = np.random.default_rng(0).uniform(-scale, scale, 1 << 14)
    x = x.astype(functions(0, x[:64]).dtype)
    exact = EXACT[which](x.astype(np.longdouble))
    unit = np.spacing(np.abs(exact).astype(x.dtype))
    assert (np.abs(functions(which, x) - exact) / unit).max() < units


def test_functions_at_the_ends(functions):
    inf, nan = np.inf, np.nan
    x = [nan, inf, -inf, 0, 1e30, -1e30, 710, -746] + [0] * 24
    wanted = {
        0: [nan, inf, 0, 1, inf, 0, inf, 0],
        1: [nan, 1, -1, 0, 1, -1, 1, -1],
        2: [nan, 1, 0, 0.5, 1, 0, 1, 0],
    }
    for which, y in wanted.items():
        np.testing.assert_array_equal(functions(which, x)[:8], y)
    low, middle = functions(0, [-87.5, -103] + [0] * 30)[:2]  # between 0 and normal
    assert low == pytest.approx(np.exp(-87.5), rel=1e-6)
    assert middle == pytest.approx(np.exp(-103.0), abs=1.5e-45)
