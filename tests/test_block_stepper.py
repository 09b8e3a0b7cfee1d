import base64
import json
import re

import pytest
import torch
from block_films import TURN, delta, kernel, turn
from widget_page import run_in_node, state

from srwm_lite.kernels import ladder
from srwm_lite.widgets import BlockStepper
from srwm_lite.widgets.block_film import function_text, shared_shapes
from srwm_lite.widgets.block_requests import requests, runs


def stepper(made, threads, **options):
    return BlockStepper(made[0], (1,), (threads,), made[1], **options)


def test_the_kernel_really_runs():
    made = turn(40)
    stepper(made, 40)
    assert torch.equal(made[1][1], torch.arange(40.0).flip(0))


def test_requests_are_what_a_warp_does_together():
    film = stepper(turn(40), 40)._film
    told = [
        (r.interval, r.warp, r.array, r.access, len(r.cells)) for r in film.requests
    ]
    assert told == [
        (0, 0, "x", "read", 32),
        (0, 1, "x", "read", 8),
        (0, 0, "s", "write", 32),
        (0, 1, "s", "write", 8),
        (1, 0, "s", "read", 32),
        (1, 1, "s", "read", 8),
        (1, 0, "y", "write", 32),
        (1, 1, "y", "write", 8),
    ]
    assert film.requests[5].cells == {32 + i: 7 - i for i in range(8)}
    assert film.barriers == 1


def test_threads_that_part_meet_again():
    source = """
extern "C" __global__ void part(const float* x, float* y)
{
    float sum = x[threadIdx.x];
    if (threadIdx.x % 2)
        sum += x[0];
    y[threadIdx.x] = sum;
}
"""
    made = kernel(source, "part"), [torch.ones(4), torch.empty(4)]
    film = stepper(made, 4)._film
    assert [(r.line, len(r.cells)) for r in film.requests] == [(4, 4), (6, 2), (7, 4)]


def test_crossed_loops_lose_nothing():
    source = """
extern "C" __global__ void cross(const float* x, float* y)
{
    for (int n = 0; n < 2; n++)
        if ((threadIdx.x + n) % 2)
            y[2 * threadIdx.x] += x[n];
        else
            y[2 * threadIdx.x + 1] += x[n];
}
"""
    made = kernel(source, "cross"), [torch.ones(2), torch.zeros(4)]
    report = made[0].check((1,), (2,), made[1], events=99)
    joined = requests(report.events)
    assert sum(len(r.cells) for r in joined) == len(report.events) > 0


@pytest.mark.parametrize("threads", [8, 40, 64])
def test_a_deleted_barrier_is_a_race_and_the_clean_kernel_has_none(threads):
    assert stepper(turn(threads), threads)._film.races == []
    made = turn(threads, barrier=False)
    film = stepper(made, threads)._film
    found = made[0].check((1,), (threads,), made[1]).findings
    lines = {tuple(map(int, re.findall(r"test\.cu:(\d+)", w))) for w in found}
    pairs = {frozenset((r.first[2], r.second[2])) for r in film.races}
    assert pairs == {frozenset(p) for p in lines if len(p) == 2} != set()
    assert {r.cell for r in film.races} == set(range(threads))
    assert {r.array for r in film.races} == {"s"}


@pytest.mark.parametrize("barrier", [0, 1])
def test_races_of_the_delta_rule_are_those_of_the_emulator(barrier):
    source = ladder.text("2_shared")
    assert stepper(delta(source), 8)._film.races == []
    parts = source.split("__syncthreads();")
    parts[barrier : barrier + 2] = ["".join(parts[barrier : barrier + 2])]
    made = delta("__syncthreads();".join(parts))
    film = stepper(made, 8)._film
    report = made[0].check((1,), (8,), made[1])
    told = {
        (re.search(r"(\w+)\[", w)[1], frozenset(re.findall(r"test\.cu:(\d+)", w)))
        for w in report.findings
        if w.startswith("race")
    }
    ours = {
        (r.array, frozenset(map(str, (r.first[2], r.second[2])))) for r in film.races
    }
    assert ours
    assert ours <= told
    assert (
        {array for array, _ in ours} == {array for array, _ in told} == {"q_t", "k_t"}
    )


def test_atomics_are_no_race():
    source = """
extern "C" __global__ void add(int* sum)
{
    atomicAdd(sum, 1);
}
"""
    made = kernel(source, "add"), [torch.zeros(1, dtype=torch.int32)]
    assert stepper(made, 8)._film.races == []
    assert made[1][0].item() == 8


def test_runs_are_short_and_exact():
    assert runs({t: 8 * t for t in range(32)}) == [0, 0, 32, 8]
    assert runs({1: 5}) == [1, 5, 1, 0]
    assert runs({0: 3, 1: 3, 4: 9}) == [0, 3, 2, 0, 4, 9, 1, 0]
    assert runs({}) == []


def test_the_page_carries_little():
    widget = stepper(delta(ladder.text("2_shared"), T=3), 8)
    only = {widget.model_id: state(widget)["state"][widget.model_id]}
    bare = len(json.dumps(only)) - len(widget._esm) - len(widget._css)
    assert bare < 20_000
    assert len(json.dumps(only)) < 300_000


def test_browser_unpacks_what_python_packed(tmp_path):
    widget = stepper(turn(40), 40)
    argument = {"film": widget.film, "array": 0, "until": 3}
    seen = run_in_node(widget, "block.mjs", argument, tmp_path)
    ours = widget._film.requests
    assert seen["cells"] == [[list(p) for p in sorted(r.cells.items())] for r in ours]
    assert seen["writers"] == [[cell, cell] for cell in range(40)]
    assert seen["barriers"] == [4, 7, 0]
    assert seen["words"][0] == "line 5: threads 0 to 31 read x[0 to 31]"


def test_shapes_of_shared_arrays():
    text = "__shared__ real w[V][K + 1], q_t[K];  __shared__ float s[N];"
    shapes = shared_shapes(text, {"K": 8, "V": 4})
    assert shapes == {"w": (4, 9), "q_t": (8,), "s": (0,)}


def test_the_text_is_that_of_the_kernel():
    start, lines = function_text("// one\n" + TURN + "\n// end", "turn")
    assert (start, lines[0][:10], lines[-1]) == (3, 'extern "C"', "}")


def test_words_and_printed_form():
    good, bad = stepper(turn(8), 8), stepper(turn(8, barrier=False), 8)
    assert repr(good) == (
        "One block of the kernel turn: 8 threads in 1 warp, 4 requests to memory "
        "around 1 barrier, no race."
    )
    assert "8 races, the first: thread" in repr(bad)
    data, _ = bad._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == bad.words()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 99}, "step must be from 0 to 3: got 99"),
        ({"array": "z"}, "array must be one of x, y: got 'z'"),
        ({"number": 3}, "no events of block 3"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        stepper(turn(8), 8, **options)


def test_a_film_too_long_is_refused():
    source = """
extern "C" __global__ void long_one(const float* x, float* y)
{
    for (int n = 0; n < M; n++) y[(threadIdx.x + n) % 32] = x[n % 32];
}
"""
    made = kernel(source, "long_one", M=2000), [torch.ones(32), torch.ones(32)]
    with pytest.raises(ValueError, match="fewer than 20000 accesses"):
        stepper(made, 32)


def test_module_stands_alone():
    assert "\nimport " not in BlockStepper._esm
