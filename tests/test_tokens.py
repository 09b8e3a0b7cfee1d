import pytest
import torch

from srwm_lite.tokens import Vocabulary, pack


def test_a_vocabulary_counts_its_words():
    word = Vocabulary(("a", "b", "."))
    assert len(word) == 3
    assert word["b"] == 1
    assert word.places("b", "a").tolist() == [1, 0]
    assert word.encode("a . b").tolist() == [0, 2, 1]
    assert word.decode(word.encode("b b .")) == ["b", "b", "."]
    assert word.decode([2, 0]) == [".", "a"]
    assert word.decode(word.encode("")) == word.decode([]) == []


def test_strange_words_are_refused():
    with pytest.raises(ValueError, match="every word stands once: 'a' comes again"):
        Vocabulary(("a", "b", "a"))
    word = Vocabulary(("a", "b"))
    with pytest.raises(ValueError, match="no word 'c': there are a b"):
        word.encode("a c")
    with pytest.raises(
        ValueError, match=r"from 0 to number of words - 1 = 1: got .* 2"
    ):
        word.decode([0, 2])


def test_pack_by_hand():
    x = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]])
    keep = torch.tensor([[0, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]]).bool()
    expected = [[2, 4, 0], [5, 6, 7], [0, 0, 0]]
    assert pack(x, keep, 0).tolist() == expected


def test_nothing_kept_is_nothing_long():
    empty = pack(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool), 0)
    assert empty.shape == (2, 0)


def test_pack_wants_a_decision_for_each_place():
    with pytest.raises(ValueError, match=r"x and keep must agree in \(B, N\)"):
        pack(torch.ones(2, 3), torch.ones(2, 4, dtype=torch.bool), 0)
