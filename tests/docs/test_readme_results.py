"""The numbers of README.md and docs/results.md: filled in from a run, from no other, and nowhere else on the page."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.report.test_studies import losses

from superalign.contracts.studies import Studies
from superalign.contracts.summary import Summary
from superalign.runs.plan import load_plan
from superalign.runs.progress import make_display
from superalign.runs.run import Run

ROOT = Path(__file__).parents[2]
PAGE = "# Title\n\n<!-- quickstart-results -->\nold\n<!-- /quickstart-results -->\n\nKept.\n"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_the_docs_tests", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load(ROOT / "scripts" / "readme_results.py")
example: Summary = load(ROOT / "tests" / "report" / "example.py").example()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the plan, its specification and two pages."""
    for folder in ("criteria", "plans", "specs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/results.md"):
        (tmp_path / page).write_text(PAGE, encoding="utf-8")
    return tmp_path


def run_of(root: Path, summary: Summary | None, *overrides: str, seed: int = 0, name: str = "quickstart") -> Path:
    plan = load_plan(root / "plans" / f"{name}.yaml", overrides, seed)
    with Run.open(root / "runs", plan, display=make_display("none")) as run:
        if summary:
            run.write("summary.json", summary.model_dump_json())
        return run.folder


def test_both_pages_get_the_numbers_and_keep_the_rest(root: Path) -> None:
    folder = run_of(root, example)
    assert script.main([str(folder)], root) == 0
    readme, results = ((root / page).read_text(encoding="utf-8") for page in ("README.md", "docs/results.md"))
    for page in (readme, results):
        assert page.startswith("# Title\n\n<!-- quickstart-results -->\nMeasured on 20")
        assert page.endswith("\n<!-- /quickstart-results -->\n\nKept.\n") and "\nold\n" not in page
        assert "by `superalign run plans/quickstart.yaml`, seed 0" in page
        assert "| student (trained on those labels) | 0.76 [" in page and "| 1 of 1 |" in page
        assert "undetermined" in page
    assert "| 0.12 | 0.16 | clear |" in results and "0.93 (at least 0.8)" in results and "| consistency | " in results
    assert len(results) > len(readme)


def test_filling_in_twice_changes_nothing(root: Path) -> None:
    folder = run_of(root, example)
    script.main([str(folder)], root)
    once = (root / "docs" / "results.md").read_text(encoding="utf-8")
    script.main([str(folder)], root)
    assert (root / "docs" / "results.md").read_text(encoding="utf-8") == once


def test_of_another_plan_the_results_page_gets_the_trial_in_its_own_place(root: Path) -> None:
    results = root / "docs" / "results.md"
    results.write_text(PAGE + PAGE.replace("quickstart", "suite"), encoding="utf-8")
    seed = load_plan(root / "plans" / "suite.yaml").seed
    assert (
        script.main([str(run_of(root, example.model_copy(update={"seed": seed}), name="suite", seed=seed))], root) == 0
    )
    page = results.read_text(encoding="utf-8")
    assert page.startswith(PAGE) and f"`superalign run plans/suite.yaml`, seed {seed}" in page
    assert "### Decision" in page and "0.93 (at least 0.8)" in page and "student (trained" not in page
    assert (root / "README.md").read_text(encoding="utf-8") == PAGE


def test_of_a_plan_that_ends_with_oversight_the_results_page_gets_the_comparison(root: Path) -> None:
    results = root / "docs" / "results.md"
    results.write_text(PAGE + PAGE.replace("quickstart", "oversight"), encoding="utf-8")
    oversight = Summary(
        name="oversight", model=example.model, specification=example.specification, seed=0,
        oversight=example.oversight, comparison=example.comparison, cost=example.cost,
    )  # fmt: skip
    assert script.main([str(run_of(root, oversight, name="oversight"))], root) == 0
    page = results.read_text(encoding="utf-8")
    assert "### passage" in page and "- Better than direct: " in page and "- Did not help" in page
    assert "| Judge's accuracy |" in page and "Decision" not in page


def test_of_a_plan_with_studies_the_results_page_gets_each_of_them(root: Path) -> None:
    results = root / "docs" / "results.md"
    results.write_text(PAGE + PAGE.replace("quickstart", "generalization"), encoding="utf-8")
    summary = example.model_copy(update={"studies": Studies(losses=losses())})
    assert script.main([str(run_of(root, summary, name="generalization"))], root) == 0
    page = results.read_text(encoding="utf-8")
    [part] = script.parts(summary.studies)
    assert "| student (trained" in page and f"### {part.title}\n\n- " in page
    assert all(script.markdown(table) in page for table in part.tables)


def test_another_seed_is_part_of_the_command(root: Path) -> None:
    folder = run_of(root, example.model_copy(update={"seed": 7}), seed=7)
    assert script.main([str(folder)], root) == 0
    assert "`superalign run plans/quickstart.yaml --seed 7`, seed 7" in (root / "README.md").read_text(encoding="utf-8")


def test_other_seeds_are_rows_of_one_table(root: Path) -> None:
    folders = [run_of(root, example.model_copy(update={"seed": seed}), seed=seed) for seed in (0, 1, 2)]
    assert script.main([str(folder) for folder in folders], root) == 0
    table = (root / "docs" / "results.md").read_text(encoding="utf-8").split("## By seed")[1]
    rows = [line.split(" | ") for line in table.splitlines() if line[:3] in ("| 0", "| 1", "| 2")]
    assert [row[0] for row in rows] == ["| 0", "| 1", "| 2"] and {len(row) for row in rows} == {11}
    assert "By seed" not in (root / "README.md").read_text(encoding="utf-8")


def test_text_of_a_run_stays_text(root: Path) -> None:
    attack = "a | b <script>x</script> ![i](http://x)\n| c |"
    result = example.validation[0].model_copy(update={"reason": attack})
    summary = example.model_copy(update={"validation": (result,)})
    script.main([str(run_of(root, summary))], root)
    page = (root / "docs" / "results.md").read_text(encoding="utf-8")
    assert "<script>" not in page.replace(r"\<script>", "") and "](" not in page.replace(r"\](", "")
    [row] = [line for line in page.splitlines() if line.startswith("| consistency |") and "script" in line]
    assert row.replace(r"\|", "").count("|") == 7


def damaged(root: Path) -> Path:
    folder = run_of(root, example)
    (folder / "summary.json").write_text('{"format": 1')
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: run_of(root, None), "superalign run"),
        (lambda root: run_of(root, example.model_copy(update={"decision": None})), "not complete"),
        (lambda root: run_of(root, example, "task.test_groups=100"), "not made by this plan"),
        (damaged, "damaged"),
        (lambda root: root / "nothing", "no run here"),
    ],
    ids=["no summary", "one step only", "changed plan", "damaged summary", "no run"],
)
def test_any_other_run_is_refused_and_the_pages_stay(
    root: Path, capsys: pytest.CaptureFixture[str], make: object, says: str
) -> None:
    assert script.main([str(make(root))], root) == 2  # type: ignore[operator]
    assert says in capsys.readouterr().err
    assert (root / "README.md").read_text(encoding="utf-8") == PAGE


def test_neither_page_is_written_when_one_has_no_place(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "docs" / "results.md").write_text("# Results\n")
    assert script.main([str(run_of(root, example))], root) == 2
    assert "results.md" in capsys.readouterr().err
    assert (root / "README.md").read_text(encoding="utf-8") == PAGE
