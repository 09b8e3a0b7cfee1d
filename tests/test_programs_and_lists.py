import pytest
import torch

from srwm_lite import list_ops, programs, programs_and_lists
from srwm_lite.programs_and_lists import CodeExecution, transcript

TASK = CodeExecution(2, 4)


def test_the_door_leads_to_both_tasks():
    assert programs_and_lists.CodeExecution is programs.CodeExecution
    assert programs_and_lists.ListOps is list_ops.ListOps
    assert all(hasattr(programs_and_lists, name) for name in programs_and_lists.__all__)


def test_a_transcript_by_hand():
    x = TASK.vocabulary.encode("x = 5 ; if x > 3 : x -- ; print x ; ·")
    python, model = torch.zeros(2, 16, dtype=torch.long).unbind()
    python[14], model[14], model[11] = (TASK.answers[w] for w in ("4", "5", "2"))
    assert transcript(TASK, x, python=python, model=model).split("\n") == [
        "                  python   model",
        "x = 5",
        "if x > 3: x -= 1               2",
        "print(x)               4       5",
    ]
    assert transcript(TASK, x) == "x = 5\nif x > 3: x -= 1\nprint(x)"


def test_a_column_has_an_answer_for_each_token():
    x = TASK.vocabulary.encode("x = 5 ;")
    with pytest.raises(ValueError, match=r"x and y must agree in \(T\): got x \(4,\)"):
        transcript(TASK, x, y=torch.zeros(3, dtype=torch.long))
