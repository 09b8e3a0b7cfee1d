import pytest
import torch

from srwm_lite.corpus import TextVocabulary, characters, corpus, spaced, split, words


def test_texts_are_cut_into_tokens():
    assert characters("ab c") == ["a", "b", " ", "c"]
    assert words('x_1 = "Käthe";\n\n  y-2\n') == [
        *["x_1", "=", '"', "Käthe", '"', ";", "\n", "\n", "y", "-", "2", "\n"]
    ]
    assert spaced(" = U.S. @-@ <unk> = \n \n x\n") == [
        *["=", "U.S.", "@-@", "<unk>", "=", "\n", "\n", "x", "\n"]
    ]


def test_frequent_tokens_come_first_and_rare_ones_are_unknown():
    vocabulary = TextVocabulary.of(list("banana<split>"), min_count=2)
    assert vocabulary.tokens == ("<unk>", "a", "n")
    ids = vocabulary.encode(list("nab"))
    assert ids.tolist() == [2, 1, 0]
    assert vocabulary.decode(ids) == ["n", "a", "<unk>"]
    assert len(vocabulary) == 3


def test_the_unknown_word_of_a_text_is_the_unknown_word():
    vocabulary = TextVocabulary.of(["a", "<unk>", "<unk>"])
    assert vocabulary.tokens == ("<unk>", "a")
    assert vocabulary.encode(["<unk>", "b"]).tolist() == [0, 0]


def test_the_vocabulary_knows_the_first_part_only():
    whole = corpus("ab" * 5, "abc", "cab", min_count=5)
    assert whole.vocabulary.tokens == ("<unk>", "a", "b")
    assert whole.valid.tolist() == [1, 2, 0]
    assert whole.unknown == pytest.approx(1 / 3)


def test_parts_follow_each_other():
    text = "".join(map(chr, range(100)))
    parts = split(text)
    assert "".join(parts) == text
    assert [len(part) for part in parts] == [80, 10, 10]
    assert [len(part) for part in split(text, 0.5, 0.3)] == [50, 30, 20]
    with pytest.raises(ValueError, match="sum_of_train_and_valid must be from 0 to 1"):
        split(text, 0.8, 0.3)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="min_count must be a whole number, positive"):
        TextVocabulary.of(["a"], min_count=0)
    with pytest.raises(ValueError, match="tokens in valid must be a whole number, 2"):
        corpus("abc", "", "abc")
    with pytest.raises(ValueError, match="ids must be from 0 to the size of the vocab"):
        TextVocabulary(("<unk>",)).decode(torch.tensor([1]))
