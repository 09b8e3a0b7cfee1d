"""Draw a nested list as a tree, with the value of every list at its node."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srwm_lite.plots.look import COLOURS, axes, style
from srwm_lite.trees import Node, drawing


def tree(node: Node) -> Figure:
    """Draw a tree: digits are leaves, every list shows its operator and its value."""
    depth = _depth(node)
    with style():
        figure, grid = axes(height=0.9 + 0.55 * depth)
        ax = grid[0, 0]
        ax.set_axis_off()
        _draw(ax, node, 0, 0)
        ax.set_ylim(-depth - 0.4, 0.4)
        ax.margins(x=0.05)
    return figure


def describe_tree(node: Node) -> str:
    """Say in words what `tree` draws, list by list as they are read."""
    lists = [n for n in _all(node) if n.arguments]
    said = [f"{n.name} of {_arguments(n)} is {n.value}" for n in lists]
    lines = len(drawing(node).split("\n")) - len(lists)
    return f"A tree of {len(lists)} lists and {lines} digits: {'; '.join(said)}."


def _arguments(node: Node) -> str:
    return " ".join(n.name if not n.arguments else "[...]" for n in node.arguments)


def _all(node: Node) -> list[Node]:
    return [node, *(n for argument in node.arguments for n in _all(argument))]


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, node.arguments)) if node.arguments else 0


def _draw(ax: Axes, node: Node, left: float, level: int) -> tuple[float, float]:
    """Draw a node and what is below it; return its place and the next free one."""
    places, at = [], left
    for argument in node.arguments:
        place, at = _draw(ax, argument, at, level + 1)
        places.append(place)
    x = sum(places) / len(places) if places else left
    for place in places:
        ax.plot([x, place], [-level, -level - 1], color="#999999", marker="", ls="-")
    colour = COLOURS[0] if places else "#333333"
    words = f"{node.name}\n{node.value}" if places else node.name
    box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": colour}
    ax.text(x, -level, words, ha="center", va="center", fontsize=8, bbox=box)
    return x, at if places else left + 1
