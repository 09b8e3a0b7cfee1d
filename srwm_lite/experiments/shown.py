"""Read stored results for the chapters: by model, as a table, with their spread.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py

A result is named by its setting (such as ``"parity"``), its test (such as
``"words 61-80"``, the headline if omitted) and a switch: ``"scores"`` for the model as
it is, ``"writes off"`` or ``"recurrence off"``.
"""

from collections.abc import Sequence
from pathlib import Path

from srwm_lite.experiments.jobs import file_name
from srwm_lite.experiments.store import RESULTS, Record, load
from srwm_lite.plots.words import listing

AS_IT_IS = "scores"
SWITCHES = ("recurrence off", "writes off")
Groups = dict[str, list[float]]
Named = str | Sequence[str]  # one setting, or several with the same tests


def results(name: str, preset: str = "laptop", folder: Path | None = None) -> Record:
    """Read what an experiment stored.

    Parameters
    ----------
    name : str
        Such as ``"state_tracking"``.
    preset : str
    folder : path, optional
        Where the file lies; ``benchmarks/results`` of the repository if omitted.

    Returns
    -------
    dict
        ``device``, ``date``, ``commit``, ``torch``, ``preset``, ``seconds`` (of all
        trainings), ``chosen`` (how the learning rates were), ``settings``, ``summary``
        (mean and spread) and ``runs``, one entry for each training.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    folder = RESULTS if folder is None else Path(folder)
    return load(folder / f"{file_name(name, preset)}.json")


def headline(result: Record, setting: Named) -> str:
    """Return the test of a setting that counts most: its first."""
    return next(iter(_setting(result, setting)["tests"]))


def groups(
    result: Record,
    setting: Named,
    test: str | None = None,
    switch: str = AS_IT_IS,
    models: Sequence[str] | None = None,
) -> Groups:
    """Return the numbers of every model, one for each seed, as `plots.bars` takes them.

    Models without the switch, and those not run yet, are left out. Of several settings,
    one that comes later has the last word on a model.
    """
    test = test or headline(result, setting)
    if test not in _setting(result, setting)["tests"]:
        known = listing(_setting(result, setting)["tests"])
        raise ValueError(f"{setting} has no test {test!r}: use {known}")
    found: Groups = {}
    if not isinstance(setting, str):
        for one in setting:
            found |= groups(result, one, test, switch, models)
        return found
    for run in result["runs"]:
        if run["setting"] == setting and test in run.get(switch, {}):
            found.setdefault(run["model"], []).append(run[switch][test])
    return {name: found[name] for name in models or found if name in found}


def series(
    result: Record,
    setting: Named,
    tests: Sequence[str],
    switch: str = AS_IT_IS,
    models: Sequence[str] | None = None,
) -> dict[str, list[list[float]]]:
    """Return one row of `tests` for every seed of every model, for `plots.curves`."""
    columns = [groups(result, setting, test, switch, models) for test in tests]
    return {
        name: [list(row) for row in zip(*(c[name] for c in columns), strict=True)]
        for name in columns[0]
    }


def means(result: Record, setting: Named, tests: Sequence[str]) -> dict[str, float]:
    """Return ``{"test model": mean over the seeds}``, as `plots.glue_all` takes it."""
    return {
        f"{test} {model}": sum(scores) / len(scores)
        for test in tests
        for model, scores in groups(result, setting, test).items()
    }


def table(
    result: Record,
    setting: Named,
    tests: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    switches: Sequence[str] = SWITCHES,
) -> str:
    """Return a table in Markdown: means with both ends, and some of the switches.

    The columns of the switches are of the first test, or of the headline.
    """
    told = _setting(result, setting)["tests"]
    tests = list(tests or told)
    shown = [(test, test, AS_IT_IS) for test in tests]
    for switch in switches:
        if groups(result, setting, tests[0], switch, models):
            shown.append((f"{tests[0]}, {switch}", tests[0], switch))
    columns = [
        (groups(result, setting, test, switch, models), told[test]["unit"])
        for _, test, switch in shown
    ]
    heads = ["model", "seeds", *(head for head, _, _ in shown)]
    lines = [_row(heads), _row(["---", *["---:"] * len(heads[1:])])]
    for name, scores in columns[0][0].items():
        cells = [_cell(column.get(name), unit) for column, unit in columns]
        lines.append(_row([name, str(len(scores)), *cells]))
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(scores: list[float] | None, unit: str) -> str:
    if not scores:
        return "–"
    low, mean, high = (
        _few(x, unit) for x in (min(scores), sum(scores) / len(scores), max(scores))
    )
    return mean if low == high else f"{mean} ({low} to {high})"


def _few(x: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * x:.1f} %"
    return f"{x:,.0f} {unit}" if unit == "/s" else f"{x:.3f}"


def origin(result: Record) -> str:
    """Say in a sentence where, when and with what the results were measured."""
    seeds = len({run["seed"] for run in result["runs"]})
    days = sorted({run["date"] for run in result["runs"]})
    commits = sorted({run["commit"] for run in result["runs"]})
    return (
        f"Stored run, preset {result['preset']}: {len(result['runs'])} trainings with "
        f"{seeds} seeds, {result['seconds'] / 60:.0f} minutes on {result['device']}, "
        f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, "
        f"commit {listing(commits)}, torch {result['torch']}."
    )


def _setting(result: Record, setting: Named) -> Record:
    setting = setting if isinstance(setting, str) else setting[0]
    if setting not in result["settings"]:
        known = listing(result["settings"])
        raise ValueError(f"there is no setting {setting!r}: use {known}")
    return result["settings"][setting]
