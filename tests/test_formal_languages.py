import re
from itertools import product

import pytest
import torch

from srwm_lite.formal_languages import LANGUAGES, RESETS, FormalLanguage
from srwm_lite.scores import IGNORED, sequence_accuracy

NAMES = pytest.mark.parametrize("name", LANGUAGES)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def words(name, number, low, high):
    batch = FormalLanguage(name, low, high).sample(number, generator())
    return zip(*batch, strict=True)


def reduced(word, *pairs):
    """Cancel brackets that stand side by side until nothing changes."""
    for pair in pairs:
        while pair in word:
            word = word.replace(pair, "")
    return word


def alone(word, pair):
    return reduced("".join(c for c in word if c in pair), pair)


def forgiven(word):
    *before, last = (reduced(part, "()") for part in word.split("#"))
    return not last and all(set(part) <= {"("} for part in before)


def blocks(word, letters):
    n = len(word) // len(letters)
    return n > 0 and word == "".join(letter * n for letter in letters)


BELONGS = {
    "parity": lambda w: re.fullmatch("(0|10*1)*", w),
    "(aa)*": lambda w: re.fullmatch("(aa)*", w),
    "(abab)*": lambda w: re.fullmatch("(abab)*", w),
    "counter-2": lambda w: blocks(w, "ab"),
    "counter-3": lambda w: blocks(w, "abc"),
    "shuffle-2": lambda w: not alone(w, "()") + alone(w, "[]"),
    "Dyck-1": lambda w: not reduced(w, "()"),
    "reset Dyck-1": forgiven,
}
ENDS = {
    "parity": ["1*"],
    "(aa)*": ["a*"],
    "(abab)*": ["b", "ab", "bab"],
    "counter-2": ["b*"],
    "counter-3": ["b*", "c*"],
    "shuffle-2": [")*", "]*"],
    "Dyck-1": [")*"],
    "reset Dyck-1": ["#"],
}


def endings(name, length):
    """Yield enough ends to complete whatever of this length can be completed."""
    yield ""
    stars = [end[0] for end in ENDS[name] if end[-1] == "*"]
    yield from (end for end in ENDS[name] if end[-1] != "*")
    for times in product(range(length + 2), repeat=len(stars)):
        yield "".join(c * n for c, n in zip(stars, times, strict=True))


def may_go_on(name, word):
    return any(BELONGS[name](word + end) for end in endings(name, len(word)))


def possible(name, word):
    """Return what may follow, by the definition: try it, and try to complete it."""
    symbols = LANGUAGES[name].symbols
    return {c for c in symbols if may_go_on(name, word + c)} | (
        {"$"} if BELONGS[name](word) else set()
    )


@NAMES
def test_every_target_is_the_set_of_symbols_that_can_be_completed(name):
    symbols, sets, *_ = LANGUAGES[name]
    for x, target in words(name, 12, 2, 12):
        word = "".join(symbols[i] for i in x)
        for t in range(int((target != IGNORED).sum())):
            assert set(sets[target[t]]) == possible(name, word[: t + 1]), word


@NAMES
def test_long_words_may_end_where_they_belong_to_the_language(name):
    symbols, sets, *_ = LANGUAGES[name]
    for x, target in words(name, 4, 200, 210):
        word = "".join(symbols[i] for i in x)
        for t in range(int((target != IGNORED).sum())):
            belongs = bool(BELONGS[name](word[: t + 1]))
            assert ("$" in sets[target[t]]) == belongs


@NAMES
def test_every_set_occurs_and_only_where_a_word_is(name):
    task = FormalLanguage(name, 3, 30)
    x, target = task.sample(500, generator())
    asked = target != IGNORED
    assert torch.equal(asked, asked.cummin(dim=1).values)
    assert set(target[asked].tolist()) == set(range(task.num_out))
    assert set(x[asked].tolist()) == set(range(task.num_in))
    assert x.shape[1] == asked.sum(dim=1).max()


@NAMES
def test_all_lengths_of_the_bin_are_as_likely(name):
    task = FormalLanguage(name, 6, 23)
    lengths = (task.sample(9000, generator())[1] != IGNORED).sum(dim=1)
    values, counts = lengths.unique(return_counts=True)
    unit = {"counter-2": 2, "counter-3": 3}.get(name, 1)
    assert values.tolist() == [n for n in range(6, 24) if n % unit == 0]
    wanted = torch.full((len(counts),), 9000 / len(counts))
    torch.testing.assert_close(counts.float(), wanted, rtol=0.2, atol=0)


@NAMES
def test_the_generator_decides(name):
    task = FormalLanguage(name)
    one, same, other = (task.sample(40, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert one[1].shape != other[1].shape or not torch.equal(one[1], other[1])


def test_random_symbols_come_as_often_as_stated():
    x, _ = FormalLanguage("reset Dyck-1", 50, 50).sample(2000, generator())
    assert abs((x == 2).double().mean() - RESETS) < 0.005
    x, _ = FormalLanguage("parity", 50, 50).sample(2000, generator())
    assert abs(x.double().mean() - 1 / 2) < 0.005
    x, _ = FormalLanguage("shuffle-2", 50, 50).sample(2000, generator())
    assert abs((x < 2).double().mean() - 1 / 2) < 0.005
    # a walk of 50 steps ends 0.8 times the root of 50 from its start, on average
    depth = 1 - 2.0 * FormalLanguage("Dyck-1", 50, 50).sample(4000, generator())[0]
    assert abs(depth.sum(dim=1).mean() - (2 * 50 / torch.pi) ** 0.5) < 0.2


def test_the_ceiling_is_what_can_be_derived():
    # parity: repeat the bit; right at the first step, and a coin afterwards
    assert abs(FormalLanguage("parity", 2, 20).ceiling - 12 / 22) < 0.01
    # (aa)*: always answer "odd"; the mean over n of ceil(n / 2), by the mean of n
    odd = sum((n + 1) // 2 for n in range(2, 21)) / sum(range(2, 21))
    assert abs(FormalLanguage("(aa)*", 2, 20).ceiling - odd) < 0.01
    # counter-2: all is right but the end, which comes once in 2 n steps
    assert abs(FormalLanguage("counter-2", 10, 10).ceiling - 9 / 10) < 1e-6


@NAMES
def test_no_answer_from_the_symbol_alone_is_above_the_ceiling(name):
    task = FormalLanguage(name)
    x, target = task.sample(1000, generator(1))
    ceiling = task.ceiling
    for table in product(range(task.num_out), repeat=task.num_in):
        answer = torch.eye(task.num_out)[torch.tensor(table)[x]]
        right = sequence_accuracy(lambda x, answer=answer: (answer, None), x, target)
        assert right < ceiling + 0.02


def test_longer_bins_follow_one_another():
    task = FormalLanguage("counter-3", 3, 20)
    assert task.longer(1) == task
    assert [(task.longer(n).low, task.longer(n).high) for n in (2, 4)] == [
        (21, 40),
        (61, 80),
    ]


def test_a_word_is_shown_with_what_may_follow():
    task = FormalLanguage("counter-2", 4, 4)
    x, target = task.sample(1, generator())
    lines = ["read  a a b b", "next  a a b $", "      b b"]
    assert task.pretty(x[0], target[0]).splitlines() == lines
    longer = torch.cat([target[0], torch.tensor([IGNORED])])
    assert task.pretty(torch.tensor([0, 0, 1, 1, 0]), longer).splitlines() == lines


def test_impossible_languages_are_refused():
    with pytest.raises(ValueError, match=r"one of parity, \(aa\)\*.*: got 'Parity'"):
        FormalLanguage("Parity")
    with pytest.raises(ValueError, match=r"low=4 to high=5 symbols: .* multiples of 3"):
        FormalLanguage("counter-3", 4, 5)
    with pytest.raises(ValueError, match="low=9 to high=3 symbols"):
        FormalLanguage("parity", 9, 3)
    with pytest.raises(ValueError, match="low must be a whole number, positive: got 0"):
        FormalLanguage("parity", 0)
    with pytest.raises(ValueError, match=r"times must be a whole .* got 0"):
        FormalLanguage("parity").longer(0)
    with pytest.raises(ValueError, match=r"batch must be a whole .* got 2\.5"):
        FormalLanguage("parity").sample(2.5)
