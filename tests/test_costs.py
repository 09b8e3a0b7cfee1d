from types import SimpleNamespace

from srwm_lite.plots import costs


def cost(**given):
    usual = {"line": 7, "space": "global", "array": "W", "access": "read"}
    return SimpleNamespace(**usual | {"requests": 4, "units": 32, "ideal": 4} | given)


REPORT = SimpleNamespace(costs=[cost(), cost(line=9, space="shared", array="w")])


def test_a_row_for_each_line():
    assert costs.by_line(REPORT).split("\n") == [
        "line  7  read  W       4 requests,   8 sectors each, 1 would do",
        "line  9  read  w       4 requests,   8 waves each, 1 would do",
    ]
    assert costs.by_line(REPORT, "w").startswith("line  9")
    assert costs.by_line(REPORT, "x") == ""


def test_totals_and_their_table():
    found = costs.totals({"one": REPORT, "empty": SimpleNamespace(costs=[])})
    assert found["one"] == {"sectors": 32, "waves": 32, "requests": 8}
    head, one, empty = costs.table(found).split("\n")
    assert head.split() == ["sectors", "waves", "requests"]
    assert one.split() == ["one", "32", "32", "8"]
    assert empty.split() == ["empty", "0", "0", "0"]
    assert len(head) == len(one) == len(empty)
