"""The report in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from superalign.contracts.readings import Inside, TokenHeat
from superalign.contracts.summary import Summary
from superalign.report.html import render

from .browser import check_report, find_browser, measure
from .example import example, generalization, nothing, only_validation, probe_reading, trial, undefined_pgr


@pytest.fixture(autouse=True)
def browser() -> None:
    if find_browser():
        return
    message = "the report is looked at in a browser: apt-get install chromium"
    pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


def written(folder: Path, summary: Summary) -> Path:
    report = folder / "report.html"
    report.write_text(render(summary), encoding="utf-8")
    return report


def test_a_whole_run_is_readable_at_every_width(tmp_path: Path) -> None:
    found = check_report(written(tmp_path, example()))
    assert len(found[0]["plots"]) == 9  # two of protocols, two forests, levels, layers, survival, a strip per detector


def test_long_names_many_subjects_and_many_layers_fit(tmp_path: Path) -> None:
    """Third parties' names and a cluster's numbers must not break the page."""
    long = "an-organism-family-with-a-name-longer-than-anyone-expected-and-without-a-space_" * 3
    crowd = tuple(
        subject.model_copy(update={"name": f"subject-{index}", "family": f"{long}{index % 14}"})
        for index, subject in enumerate(trial().subjects * 15)
    )
    results = generalization()
    levels = tuple(level.model_copy(update={"label": f"level {'x' * 40} {level.level}"}) for level in results.levels)
    reading = probe_reading(tuple(range(1, 81)))
    many = tuple(
        control.model_copy(update={"name": f"control number {index}"})
        for index, control in enumerate(reading.controls * 2)
    )
    endless = TokenHeat(
        tokens=("x" * 300,) * 9, values=(1.0,) * 9, layer=1, differs=True, said=1, answered=long, truth=True
    )
    inside = Inside(probe=reading.model_copy(update={"controls": many}), heat=(endless,))
    summary = example().model_copy(
        update={
            "name": "n" * 200,
            "model": "m" * 300,
            "trial": trial().model_copy(update={"subjects": crowd}),
            "generalization": results.model_copy(update={"levels": levels, "pgr": undefined_pgr()}),
            "inside": inside,
        }
    )
    check_report(written(tmp_path, summary))


@pytest.mark.parametrize(
    ("summary", "sections"),
    [(only_validation(), ("validate", "scores-and-thresholds", "thresholds", "limits")), (nothing(), ("limits",))],
    ids=["only validation", "nothing"],
)
def test_a_part_of_a_run_is_readable(tmp_path: Path, summary: Summary, sections: tuple[str, ...]) -> None:
    found = check_report(written(tmp_path, summary), sections=("bottom-line", "pipeline", "asked", "cost", *sections))
    assert not {"oversee", "generalize", "stress-test", "decide"} & set(found[0]["sections"])


def test_dark_is_dark_and_its_marks_keep_their_colours_apart(tmp_path: Path) -> None:
    report = written(tmp_path, example())
    light, dark = measure(report, (1200,)), measure(report, (1200,), "--blink-settings=preferredColorScheme=0")
    assert light[0]["background"] == "rgb(253, 252, 250)"
    assert dark[0]["background"] == "rgb(22, 24, 28)"
    assert dark[0]["colours"] == light[0]["colours"] > 8


def test_a_script_in_an_answer_does_not_run(tmp_path: Path) -> None:
    attack = '</title></style></textarea><script>document.body.innerHTML=""</script><img src=x onerror="alert(1)">'
    subjects = tuple(
        subject.model_copy(update={"name": attack, "family": attack, "reason": attack}) for subject in trial().subjects
    )
    evidence = tuple(
        item.model_copy(update={"answer": attack, "note": attack}) for item in trial().subjects[0].evidence
    )
    attacked = [result.model_copy(update={"evidence": evidence, "reason": attack}) for result in example().validation]
    summary = example().model_copy(
        update={
            "name": attack,
            "validation": tuple(attacked),
            "trial": trial().model_copy(update={"subjects": subjects}),
        }
    )
    check_report(written(tmp_path, summary))
