"""The compiler's own sanitizers agree with the checker: ``pytest -m slow``."""

import numpy as np
import pytest
import recurrent_rules
import torch
from rules import RULES, needs_gcc, sequence
from sequences import results

from srwm_lite.kernels import cuda, ladder
from srwm_lite.kernels.cuda import source

pytestmark = [needs_gcc, pytest.mark.slow]
KINDS = ("address", "undefined", "thread")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def sanitize(monkeypatch, kind, text, run):
    """Run with every launch repeated under a sanitizer; return its exits and words.

    `text` replaces the files of the kernels; None leaves them alone.
    """
    found = []
    plain = cuda.COMPILERS["emulated"]

    def compiled(file, name, constants):
        kernel = cuda.module(file, text or source(file), constants).kernel(name)

        def launch(device, blocks, threads, args, shared):
            given = [np.int32(x) if isinstance(x, int) else x for x in args]
            found.append(kernel.sanitize(kind, (blocks,), (threads,), given))
            plain(file, name, constants)(device, blocks, threads, args, shared)

        return launch

    monkeypatch.setitem(cuda.COMPILERS, "emulated", compiled)
    run()
    return found


@pytest.mark.parametrize("rule", RULES)
def test_there_is_no_complaint_about_our_kernels(monkeypatch, kind, rule):
    run, x, W = sequence(rule, 2, 11, 2, 8, 40)
    found = sanitize(
        monkeypatch, kind, None, lambda: results(run, x, W, backend="emulated")
    )
    assert len(found) >= 3
    for code, words in found:
        assert code == 0, words


@pytest.mark.parametrize("rule", recurrent_rules.RULES)
def test_nor_about_those_that_hear_their_own_output(monkeypatch, kind, rule):
    run, x = recurrent_rules.sequence(rule, 2, 10, 2, 8, 40, dtype=torch.float32)
    found = sanitize(
        monkeypatch,
        kind,
        None,
        lambda: recurrent_rules.all_results(run, x, backend="emulated"),
    )
    assert len(found) >= 3
    for code, words in found:
        assert code == 0, words


@pytest.mark.parametrize("step", ladder.STEPS)
def test_nor_about_the_ladder(monkeypatch, kind, step):
    _, x, W = sequence("delta_rule", 2, 5, 2, 20, 33)
    text = ladder.text(step)
    ((code, words),) = sanitize(
        monkeypatch, kind, text, lambda: ladder.run(step, *x, W)
    )
    assert code == 0, words


BUGS = {
    "address": ("t < T; t++", "t <= T; t++", "heap-buffer-overflow"),
    "undefined": ("j < K; j++) w[i][j] =", "j <= K; j++) w[i][j] =", "out of bounds"),
    "thread": ("        __syncthreads();\n", "", "data race"),
}


def test_a_planted_bug_is_found(monkeypatch, kind):
    old, new, words = BUGS[kind]
    text = ladder.text("2_shared")
    assert old in text
    changed = text.replace(old, new, 1)
    _, x, W = sequence("delta_rule", 1, 5, 1, 32, 32)
    ((code, said),) = sanitize(
        monkeypatch, kind, changed, lambda: ladder.run("2_shared", *x, W)
    )
    assert code != 0
    assert words in said
    assert "2_shared.cu:" in said
