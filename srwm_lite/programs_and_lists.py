"""Programs and lists: the two tasks of chapter 8, and how to look at them.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_programs_and_lists.py, and those of the modules below

`srwm_lite.programs`    code execution; `srwm_lite.statements` has the machine
`srwm_lite.list_ops`    nested lists; `srwm_lite.trees` has their arithmetic
"""

from torch import Tensor

from srwm_lite.arguments import check_agree
from srwm_lite.list_ops import ListOps, Node, drawing, parse
from srwm_lite.programs import CodeExecution, Line, Statements, execute, listing
from srwm_lite.tokens import Vocabulary

__all__ = [
    "CodeExecution",
    "Line",
    "ListOps",
    "Node",
    "Statements",
    "Vocabulary",
    "drawing",
    "execute",
    "listing",
    "parse",
    "transcript",
]


def transcript(task: CodeExecution, x: Tensor, **answers: Tensor) -> str:
    """Return a program as text, and beside each line what is said at its end.

    Parameters
    ----------
    task : CodeExecution
    x : Tensor of integers, (T,)
        One program.
    **answers : Tensor of integers, (T,)
        One column each, such as ``python=target`` or ``model=y.argmax(dim=-1)``.
    """
    check_agree("T", x=x, **answers)
    lines = task.listing(x)
    width = max(len(line.source) for line in lines)
    rows = [" " * width + "".join(f"  {name:>6}" for name in answers)] * bool(answers)
    for line in lines:
        said = task.answers.decode([int(a[line.stop - 1]) for a in answers.values()])
        columns = "".join(f"  {word if word != '_' else '':>6}" for word in said)
        rows.append((line.source.ljust(width) + columns).rstrip())
    return "\n".join(rows)
