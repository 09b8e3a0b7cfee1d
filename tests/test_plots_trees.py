from srwm_lite import plots
from srwm_lite.trees import parse

NODE = parse("[MAX 4 [MIN 7 2 ] [FIRST 3 9 [SM 6 5 ] ] ]".split())


def texts():
    return {t.get_text(): t.get_position() for t in plots.tree(NODE).axes[0].texts}


def test_every_node_is_drawn_once_with_its_value():
    assert sorted(texts()) == sorted(
        ["MAX\n4", "4", "MIN\n2", "7", "2", "FIRST\n3", "3", "9", "SM\n1", "6", "5"]
    )


def test_leaves_stand_in_reading_order_and_lists_above_them():
    place = texts()
    assert [place[digit][0] for digit in "4723965"] == [0, 1, 2, 3, 4, 5, 6]
    assert place["MIN\n2"] == (1.5, -1)
    assert place["SM\n1"] == (5.5, -2)
    assert place["MAX\n4"][1] == 0
    lines = plots.tree(NODE).axes[0].lines
    assert len(lines) == len(place) - 1


def test_a_tree_is_said_in_words():
    assert plots.describe_tree(NODE) == (
        "A tree of 4 lists and 7 digits: MAX of 4 [...] [...] is 4; MIN of 7 2 is 2; "
        "FIRST of 3 9 [...] is 3; SM of 6 5 is 1."
    )
