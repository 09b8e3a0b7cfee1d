import mutants_delta
import pytest
import torch
from mutants import MUTANTS
from right_answers import RIGHT

from srwm_lite import checks
from srwm_lite.checks import check
from srwm_lite.checks.exercise import registry

KNOWN = {(e.name, m.name) for e in registry.values() for m in e.mistakes}
CASES = [(e, m, f) for (e, m), functions in MUTANTS.items() for f in functions]


@pytest.fixture
def said(capsys):
    """Return a function that checks an answer and returns what is printed."""

    def run(name, function):
        assert check(name, function) is None
        head, words = capsys.readouterr().out.split(": ", 1)
        assert head == name
        return words.strip()

    return run


@pytest.mark.parametrize(("exercise", "mistake", "function"), CASES)
def test_every_mistake_is_called_by_its_name(said, exercise, mistake, function):
    words = said(exercise, function)
    assert words.lower().startswith(f"not yet. {mistake}: "), words
    assert words.endswith(".")


def test_there_is_a_mutant_for_every_mistake():
    assert KNOWN == MUTANTS.keys()


@pytest.mark.parametrize("exercise", RIGHT)
def test_right_answers_pass_however_they_are_written(said, exercise):
    assert len(RIGHT[exercise]) >= 3
    for function in [*RIGHT[exercise], registry[exercise].reference]:
        assert said(exercise, function) == "right."


def test_every_exercise_has_right_answers_and_a_description():
    assert sorted(RIGHT) == checks.names()
    for name in checks.names():
        call, task, gets, returns = checks.describe(name).split("\n")
        assert call.startswith(f"{name}(")
        assert task.endswith(".")
        assert "gets" in gets
        assert "returns" in returns


def test_description_gives_the_shapes():
    assert checks.describe("delta_step") == (
        "delta_step(W, q, k, v, beta) -> W, y\n"
        "Move the value stored under k towards v by the strength beta, then read with "
        "q.\n"
        "  gets     W (V, K); q (K,); k (K,); v (V,); beta () from 0 to 1\n"
        "  returns  W (V, K); y (V,)"
    )


def stub(W, k, v):
    raise NotImplementedError


def nothing(W, k, v):
    W + torch.outer(v, k)


def broken(W, k, v):
    size = len(k)
    return W.reshape(size + 1, -7)


def in_place(W, k, v):
    W += torch.outer(v, k)
    return W


def cut(W, k, v):
    return W + torch.outer(v, k.detach())


def right_write(W, k, v):
    return W + torch.outer(v, k)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (stub, "not written yet."),
        (lambda W, k, v: ..., "not written yet."),
        (nothing, "not yet. It returns None: end it with `return W`."),
        (
            in_place,
            "right, but it changes its input W: make a new tensor, W = W + ...,",
        ),
        (cut, "right, but the gradient does not get through to k: use tensor"),
        (lambda W, k: W, "not yet. It is called as write(W, k, v) -> W, but takes (W"),
        (3, "give the function itself, not its result: got int."),
        (lambda W, k, v: (W, v), "not yet. It returns 2 results: expected W."),
        (
            lambda *x: right_write(*x).tolist(),
            "not yet. It returns W as list: expected",
        ),
        (
            lambda *x: right_write(*x)[None],
            "not yet. Wrong shape: W is (1, 4, 4), expected (V, K) = (4, 4).",
        ),
        (
            lambda *x: right_write(*x).long(),
            "not yet. Wrong dtype: W is torch.int64, expected a floating-point one.",
        ),
        (
            lambda *x: right_write(*x).to(torch.complex64),
            "not yet. Wrong dtype: W is torch.complex64, expected a floating-point",
        ),
    ],
)
def test_form_is_judged(said, function, words):
    assert said("write", function).startswith(words)


def test_exception_is_told_with_its_line(said):
    line = broken.__code__.co_firstlineno + 2
    words = said("write", broken)
    assert words.startswith(
        f"not yet. It raises RuntimeError in line {line}, `return W.reshape(size + 1, "
        "-7)`: "
    )
    assert words.endswith("(here W is (4, 4), k is (4,), v is (4,)).")


def test_order_of_results_is_judged(said):
    def swapped(W, q, k, v, beta):
        return mutants_delta.ok(W, q, k, v, beta)[::-1]

    words = said("delta_step", swapped)
    assert words == "not yet. Results in the wrong order: return W, y."


def test_memory_between_calls_is_found(said):
    seen = []

    def remembers(k, v):
        seen.append(k)
        return v.T @ k * len(seen)

    assert "keeps something between calls" in said("store_all", remembers)


def test_unknown_mistake_comes_with_a_small_example(said):
    words = said("write", lambda W, k, v: W + torch.outer(v.abs(), k))
    assert words.startswith("not yet. No usual mistake. With\n  W = [[")
    names = [line.strip().split(" = ")[0] for line in words.split("\n")[1:]]
    assert names[:4] == ["W", "k", "v", "expected W"]
    assert names[4].startswith("got [[")
    assert "." not in words.split("\n", 1)[1]


def test_answers_do_not_depend_on_the_random_state(said):
    wrong = MUTANTS["dpfp", "roll missing"][0]
    torch.manual_seed(5)
    first, state = said("dpfp", wrong), torch.random.get_rng_state()
    assert said("dpfp", wrong) == first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_unknown_exercise_lists_the_known_ones():
    for door in (checks.describe, lambda name: check(name, stub)):
        with pytest.raises(ValueError, match="no exercise 'writ': there are backprop"):
            door("writ")


def test_a_chapter_can_add_an_exercise(said):
    halve = ("half for double", "multiply by two", lambda x: x / 2)
    spec = {"x": "T K positive"}, {"y": "T K"}
    checks.register("double", "Double x.", lambda x: 2 * x, *spec, [halve])
    try:
        assert said("double", lambda x: x + x) == "right."
        assert "Half for double: multiply by two." in said("double", lambda x: 0.5 * x)
        with pytest.raises(ValueError, match="there is an exercise 'double' already"):
            checks.register("double", "Again.", abs, *spec)
    finally:
        registry.pop("double")
    with pytest.raises(ValueError, match="x: no axis Q; axes are B T H K V M"):
        checks.register("q", "Q.", abs, {"x": "T Q"}, {"y": "T Q"})
