"""The import order is the reading order: a module may import only earlier ones."""

import ast
from pathlib import Path

import pytest

ORDER = """
scan arguments backends feature_maps
outer_product fast_weights linear_attention parallel_delta delta_rule
delta_rnn recurrent_delta delta_lstm delta_mlp delta_delta recurrent_fwp
self_reference srwm vsml vsml_learner introspection message_cells sweeps
associative_memory baselines models scores tokens tasks boolean_rules chains statements
programs trees list_ops programs_and_lists formal_languages state_tracking data text
ngrams carried_state corpus language_model strokes omniglot episodes stems few_shot
few_shot_weights task_switch image_sets vector_tasks
online_tasks online_gradient online_nets online_learners online_scores
schedules identity distributed shared_norms checkpoints logbook training
evolution cloning
trace plots widgets experiments checks
""".split()
ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(ROOT.glob("srwm_lite/**/*.py")) + sorted(ROOT.glob("kernels/**/*.py"))


def imported(source):
    """Yield the dotted name of everything that a module imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def too_early(name, source):
    """Return what `name` imports although it comes later in the reading order."""
    ours = {m.split(".")[1] for m in imported(source) if m.startswith("srwm_lite.")}
    earlier = ORDER[: ORDER.index(name)]
    return sorted(ours & set(ORDER) - {*earlier, name})


def outsiders(source):
    """Return what a kernel's launcher imports from the reference or the book."""
    names = set(imported(source))
    return sorted(
        n
        for n in names
        if n.split(".")[0] in {"chapters", "tests", "matplotlib"}
        or (n.startswith("srwm_lite") and not n.startswith("srwm_lite.kernels"))
    )


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_import_only_earlier_modules(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    source = file.read_text(encoding="utf-8")
    if parts[0] == "kernels":
        assert outsiders(source) == []
    elif parts[1] != "__init__":
        assert too_early(parts[1], source) == []


def test_every_module_has_its_place():
    modules = {f.relative_to(ROOT).parts[1].removesuffix(".py") for f in FILES}
    files = {f for f in modules if (ROOT / "srwm_lite" / f"{f}.py").exists()}
    assert files - {"__init__"} <= set(ORDER)


def test_a_planted_import_is_found():
    assert too_early("outer_product", "from srwm_lite import delta_rule") == [
        "delta_rule"
    ]
    assert too_early("delta_rule", "import srwm_lite.scan") == []
    assert outsiders("from srwm_lite.scan import scan") == ["srwm_lite.scan.scan"]
    assert outsiders("import torch") == []
