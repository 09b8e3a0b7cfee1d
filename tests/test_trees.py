import pytest
import torch

from srwm_lite.trees import Level, Node, drawing, evaluate, measure, parse, place

TEXT = "[MAX 4 [MIN 7 [SM 6 5 ] 2 ] [FIRST 3 9 ] 0 ]"
MAX, MIN, FIRST, SM = 10, 11, 12, 13


def levels():
    """Return the trees of TEXT and of ``[FIRST 8 1 ]``, as they are drawn."""
    rows = [
        ([MAX, FIRST], [4, 2]),
        ([4, MIN, FIRST, 0, 8, 1], [0, 3, 2, 0, 0, 0]),
        ([7, SM, 2, 3, 9], [0, 2, 0, 0, 0]),
        ([6, 5], [0, 0]),
    ]
    return [Level(*map(torch.tensor, row)) for row in rows]


def test_values_by_hand():
    expected = [[4, 8], [4, 1, 3, 0, 8, 1], [7, 1, 2, 3, 9], [6, 5]]
    assert [value.tolist() for value in evaluate(levels())] == expected


def test_lengths_and_places_by_hand():
    sizes = measure(levels())
    assert [size.tolist() for size in sizes] == [
        [16, 4],
        [1, 8, 4, 1, 1, 1],
        [1, 4, 1, 1, 1],
        [1, 1],
    ]
    starts = place(levels(), sizes, torch.tensor([0, 100]))
    assert [start.tolist() for start in starts] == [
        [0, 100],
        [1, 2, 10, 14, 101, 102],
        [3, 4, 8, 11, 12],
        [5, 6],
    ]


def test_a_list_is_parsed_with_its_tokens():
    words = TEXT.split()
    node = parse([*words, "·", "·"])
    assert (node.name, node.value, node.start, node.stop) == ("MAX", 4, 0, 16)
    inner = node.arguments[1]
    assert " ".join(words[inner.start : inner.stop]) == "[MIN 7 [SM 6 5 ] 2 ]"
    assert [argument.value for argument in node.arguments] == [4, 1, 3, 0]
    assert inner.arguments[0] == Node("7", 7, 3, 4)


def test_a_drawing_by_hand():
    assert drawing(parse("[MAX 4 [MIN 7 2 ] 0 ]".split())).split("\n") == [
        "MAX = 4",
        "├─ 4",
        "├─ MIN = 2",
        "│  ├─ 7",
        "│  └─ 2",
        "└─ 0",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[MAX 3 4", r"the list does not end: \[MAX 3 4"),
        ("] 3", "word 0 fits in no list: ']'"),
        ("[MAX ]", "word 1 fits in no list: ']'"),
        ("[MAX 3 x ]", "word 2 fits in no list: 'x'"),
    ],
)
def test_what_is_no_list_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text.split())
