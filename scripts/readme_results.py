"""Fill the measured numbers of README.md and docs/results.md from a finished run of a plan in plans/.

python scripts/readme_results.py RUN_FOLDER [RUN_FOLDER_OF_ANOTHER_SEED ...]
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from superalign.contracts.errors import InputError, SuperalignError
from superalign.contracts.records import Finding
from superalign.contracts.summary import Summary, TrialSummary
from superalign.report import protocols, tables, trial_tables, wording
from superalign.report.steps import steps
from superalign.report.studies import parts
from superalign.report.tables import Cell, Table
from superalign.runs.manifest import Manifest
from superalign.runs.plan import load_plan, plan_digest
from superalign.runs.run import check_run_folder

ROOT = Path(__file__).parent.parent
SHOWN = "quickstart"  # the plan that the README shows; of others the results page has the trial


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write both pages under `root`; 2 with a sentence on stderr when the run or a page can't be used."""
    try:
        if not arguments:
            raise InputError("A run folder is needed.", fix="Type: python scripts/readme_results.py RUN_FOLDER")
        runs = [finished(Path(argument)) for argument in arguments]
        command, *_ = [made_by(manifest, root) for _, manifest in runs]
        summary, manifest = runs[0]
        seeds = [by_seed(runs)] if len(runs) > 1 else []
        results = root / "docs" / "results.md"
        pages = {results: [*protocols_compared(summary), *studied(summary), *trial(summary), *seeds]}
        if manifest.name == SHOWN:
            pages = {root / "README.md": [*short(summary)], results: [*long(summary), *seeds]}
        source = provenance(summary, manifest, command)
        texts = {path: filled(path, manifest.name, [source, *parts]) for path, parts in pages.items()}
    except SuperalignError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


def finished(folder: Path) -> tuple[Summary, Manifest]:
    """What a complete run found, and what it was made with. InputError when it is not complete."""
    manifest = check_run_folder(folder)
    try:
        summary = Summary.model_validate_json((folder / "summary.json").read_bytes())
    except FileNotFoundError:
        raise InputError("The run has no summary.", where=str(folder), fix=f"superalign run {folder}") from None
    except ValidationError:
        raise InputError("The summary is damaged.", where=str(folder), fix=f"superalign run {folder}") from None
    if summary.decision is None and load_plan(folder / "plan.yaml").until is None:
        raise InputError("The run is not complete.", where=str(folder), fix="Run the whole plan: superalign run PLAN")
    return summary, manifest


def made_by(manifest: Manifest, root: Path) -> str:
    """The command that makes this run. InputError when no plan here, with the run's seed, is what was run."""
    path = root / "plans" / f"{manifest.name}.yaml"
    plan = load_plan(path)
    if plan_digest(load_plan(path, seed=manifest.seed)) != manifest.plan_digest:
        raise InputError(
            "The run was not made by this plan as it stands.", where=str(path), fix="Run the plan again, unchanged."
        )
    seed = "" if plan.seed == manifest.seed else f" --seed {manifest.seed}"
    return f"superalign run plans/{path.name}{seed}"


def provenance(summary: Summary, manifest: Manifest, command: str) -> str:
    """Where the numbers come from, in one paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items() if version)
    commit = f", commit {manifest.git_commit[:12]}" if manifest.git_commit else ""
    return (
        f"Measured on {manifest.created[:10]} by `{command}`, seed {manifest.seed}{commit}.\n"
        f"Machine: {wording.counted(manifest.cpus, 'processor')}, {manifest.platform}; {versions}.\n"
        f"All steps together: {wording.cost(summary.cost)}."
    )


def short(summary: Summary) -> Iterator[str]:
    """For the README: the five steps, and the models side by side."""
    rows = [(s.name, s.result or wording.MISSING, "; ".join((s.means, *s.detail))) for s in steps(summary)]
    lines = ["| step | result | |", "|---|---|---|", *(f"| {' | '.join(map(_escaped, row))} |" for row in rows)]
    yield "\n".join(lines)
    if summary.generalization:
        yield markdown(tables.scores(summary.generalization))


def long(summary: Summary) -> Iterator[str]:
    """For the results page: every table of the report, and the decision in words."""
    yield from short(summary)
    if found := summary.generalization:
        yield f"{wording.pgr(found.pgr)}\n{wording.pgr(found.pgr_auroc)}"
        if agreement := found.agreement_on_weak_wrong:
            value = f"{wording.number(agreement.value)} {wording.interval(agreement)}"
            yield f"Where the overseer is wrong, the student repeats it at a rate of {value}."
    yield f"## Validation\n\n{markdown(tables.detectors(summary.validation))}"
    yield markdown(tables.thresholds(summary.thresholds))
    if trial := summary.trial:
        yield f"## Stress test\n\n{wording.trial(trial)}"
        yield from map(markdown, tables_of(trial))
    if decision := summary.decision:
        yield f"## Decision: {decision.verdict.value}\n\n{bullets(decision.reasons)}"
        if decision.would_take:
            yield f"What it would take:\n\n{bullets(decision.would_take)}"
    yield f"## Cost\n\n{markdown(tables.costs(summary))}"


def protocols_compared(summary: Summary) -> Iterator[str]:
    """Of a plan that compares protocols of oversight: which helped on each task, and their tables."""
    if found := summary.comparison:
        yield wording.sentence(protocols.who_played(found))
        for task in found.tasks:
            yield f"### {task.task}\n\n{bullets(protocols.findings(task))}"
            drawn = (protocols.compared(task), protocols.measured(task), protocols.by_level(task))
            yield from map(markdown, drawn)
            if learnt := protocols.students(task):
                yield markdown(learnt)


def studied(summary: Summary) -> Iterator[str]:
    """Of a plan with studies of generalization: what each found, and its tables."""
    if summary.studies and summary.generalization:
        yield markdown(tables.scores(summary.generalization))
    for part in parts(summary.studies):
        yield f"### {part.title}\n\n{bullets(part.findings)}"
        yield from map(markdown, part.tables)


def trial(summary: Summary) -> Iterator[str]:
    """Of a plan whose point is its trial: what was caught and missed, every subject, the decision, the cost."""
    if summary.trial:
        yield wording.trial(summary.trial)
        yield from map(markdown, tables_of(summary.trial))
    if summary.thresholds:
        yield markdown(tables.thresholds(summary.thresholds))
    if decision := summary.decision:
        yield f"### Decision: {decision.verdict.value}\n\n{bullets([*decision.reasons, *decision.would_take])}"
    yield f"### Cost\n\n{markdown(tables.costs(summary))}"


def tables_of(found: TrialSummary) -> Iterator[Table]:
    """What was caught and missed, by what is seen of a model where that differs, and every subject."""
    yield trial_tables.families(found)
    yield trial_tables.catches(found)
    if len(found.by_access) > 1:
        yield trial_tables.accesses(found)
    yield trial_tables.separation(found)
    yield trial_tables.subjects(found)


def by_seed(runs: Sequence[tuple[Summary, Manifest]]) -> str:
    """The same plan on several seeds: other questions, other triggers, other models."""
    lines = [
        "## By seed",
        "",
        "| seed | commit | overseer | student | ceiling | PGR | detectors that flag the student | families caught "
        "| invalid | twins flagged | decision |",
        "|---:|---|---:|---:|---:|---|---:|---:|---:|---:|---|",
    ]
    for summary, manifest in runs:
        if (found := summary.generalization) is None or (trial := summary.trial) is None or summary.decision is None:
            continue
        flagged = [subject for subject in trial.subjects if subject.finding is Finding.FLAGGED and subject.valid]
        cells = (
            str(summary.seed),
            (manifest.git_commit or "")[:12],
            *(wording.number(score.accuracy) for score in (found.weak, found.student, found.ceiling)),
            f"{wording.number(found.pgr.value)} [{wording.number(found.pgr.low)}, {wording.number(found.pgr.high)}]"
            if found.pgr.defined
            else "undefined",
            f"{sum(result.verdict is Finding.FLAGGED for result in summary.validation)} of {len(summary.validation)}",
            f"{trial.caught} of {trial.families}",
            str(trial.invalid),
            f"{sum(subject.role == 'twin' for subject in flagged)} of "
            f"{sum(subject.role == 'twin' and subject.valid for subject in trial.subjects)}",
            summary.decision.verdict.value,
        )
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return "\n".join([*lines, "", "Accuracy is that on hard questions, averaged over the models of a run."])


def markdown(table: Table) -> str:
    """A table of the report as Markdown, its caption and what its dashes mean below."""
    head = "| " + " | ".join(_escaped(column.name) for column in table.columns) + " |"
    line = "|" + "|".join("---:" if column.numeric else "---" for column in table.columns) + "|"
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    unmeasured = dict.fromkeys(cell.note for row in table.rows for cell in row if _is_dash(cell))
    why = [f"- —: {_escaped(wording.sentence(reason))}" for reason in unmeasured]
    return "\n".join([head, line, *rows, "", wording.sentence(table.caption), *([""] if why else []), *why])


def bullets(items: Sequence[str]) -> str:
    """A list of sentences."""
    return "\n".join(f"- {_escaped(wording.sentence(item))}" for item in items)


def filled(path: Path, plan: str, parts: list[str]) -> str:
    """The page with `parts` between the plan's markers. InputError when it lacks them."""
    start, end = f"<!-- {plan}-results -->", f"<!-- /{plan}-results -->"
    try:
        before, rest = path.read_text(encoding="utf-8").split(start)
        after = rest.split(end)[1]
    except (OSError, ValueError, IndexError):
        raise InputError("The page has no place for results.", where=str(path), fix=f"Add {start} {end}.") from None
    return before + start + "\n" + "\n\n".join(parts) + "\n" + end + after


def _is_dash(cell: Cell) -> bool:
    """A cell that was not measured, whose note is the reason."""
    return cell.text == "—" and bool(cell.note)


def _cell(cell: Cell) -> str:
    if _is_dash(cell):
        return cell.text
    note = cell.note if not cell.text or cell.note[:1] in "[>≤" else f"({cell.note})"
    return " ".join(_escaped(text) for text in (cell.text, note) if text)


def _escaped(text: str) -> str:
    """Text of a run can't break the table, nor put markup or a link into the page."""
    return re.sub(r"([|<*_`\\]|\](?=[\[(]))", r"\\\1", text).replace("\n", "<br>")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
