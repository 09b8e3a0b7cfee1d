import pytest
import torch

from srwm_lite.statements import (
    ALWAYS,
    ASSIGN,
    DOWN,
    GREATER,
    LESS,
    PRINT,
    UP,
    Line,
    Statements,
    advance,
    execute,
    listing,
    look,
    spell,
    words,
)

# x = 5 ; if x < 6 : y = 3 ; y -- ; if y > 2 : x = 0 ; x ++ ; print x ;
ROWS = [
    (ASSIGN, 0, 5, ALWAYS, 0, 0),
    (ASSIGN, 1, 3, LESS, 0, 6),
    (DOWN, 1, 0, ALWAYS, 0, 0),
    (ASSIGN, 0, 0, GREATER, 1, 2),
    (UP, 0, 0, ALWAYS, 0, 0),
    (PRINT, 0, 0, ALWAYS, 0, 0),
]
TEXT = "x = 5 ; if x < 6 : y = 3 ; y -- ; if y > 2 : x = 0 ; x ++ ; print x ;"


def program(rows=ROWS):
    return Statements(*torch.tensor(rows).T[:, None])


def test_a_program_by_hand():
    value, runs = execute(program(), 2)
    assert value.tolist() == [[5, 3, 2, 5, 6, 6]]
    assert runs.tolist() == [[True, True, True, False, True, True]]


@pytest.mark.parametrize("guard", [LESS, GREATER])
def test_conditions_are_strict(guard):
    rows = torch.tensor([(UP, 0, 0, guard, 0, bound) for bound in (3, 4, 5)])
    values, runs = advance(torch.full((3, 1), 4), Statements(*rows.T))
    expected = [guard == GREATER, False, guard == LESS]
    assert runs.tolist() == expected
    assert values.flatten().tolist() == [4 + taken for taken in expected]


def test_a_statement_changes_no_other_variable():
    values = torch.arange(12).reshape(3, 4)
    actions = torch.tensor([ASSIGN, UP, DOWN])
    zero = torch.zeros(3, dtype=torch.long)
    name = torch.tensor([1, 2, 3])
    after, _ = advance(values, Statements(actions, name, zero, zero, zero, zero))
    assert look(after, name).tolist() == [0, 7, 10]
    assert (after != values).sum(dim=1).tolist() == [1, 1, 1]


def test_statements_are_spelled_with_the_words_they_need():
    word = words(2, 10)
    x, keep = spell(program(), word)
    assert x.shape == keep.shape == (1, 6, 9)
    assert " ".join(word.decode(x[keep])) == TEXT
    assert word.decode(x[..., 8].flatten()) == [";"] * 6


def test_a_listing_is_python_and_knows_its_tokens():
    tokens = TEXT.split()
    lines = listing([*tokens, "·", "·"])
    assert [line.source for line in lines] == [
        "x = 5",
        "if x < 6: y = 3",
        "y -= 1",
        "if y > 2: x = 0",
        "x += 1",
        "print(x)",
    ]
    assert lines[1] == Line("if x < 6: y = 3", 4, 13)
    assert [tokens[line.stop - 1] for line in lines] == [";"] * 6
    assert [t for line in lines for t in range(line.start, line.stop)] == [*range(31)]


def test_what_is_no_statement_is_not_listed():
    with pytest.raises(ValueError, match="no statement: 'x x'"):
        listing("x x ;".split())
