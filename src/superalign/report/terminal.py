"""The end of a run in a terminal of 80 columns: the bottom line, the steps, and what was caught."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from superalign.contracts.actions import AlarmStudy, ControlStudy
from superalign.contracts.attacks import Attacks
from superalign.contracts.attribution import AttributionStudy
from superalign.contracts.channels import ChannelStudy
from superalign.contracts.egress import EgressReport
from superalign.contracts.summary import Claim, DecisionSummary, Summary
from superalign.report import attacks as attack_tables
from superalign.report import channels, control, egress, protocols, tables, trial_tables, wording
from superalign.report.steps import Step, steps
from superalign.report.studies import parts
from superalign.report.tables import TONES, Cell, Table

STYLES = {"good": "bold green", "bad": "bold red", "open": "bold yellow", "muted": "dim", "": "bold"}


def render(summary: Summary, only: str | None = None, width: int | None = None) -> str:
    """The text to print: the whole run, or the step `only`. Colours when stdout is a terminal that wants them."""
    return _printed(_parts(summary, only), width)


def render_attacks(found: Attacks, width: int | None = None) -> str:
    """The text to print of a trial's detectors under attack."""
    return _printed(_attacks(found), width)


def render_control(found: ControlStudy, budget: float, width: int | None = None) -> str:
    """The text to print of control protocols at one budget."""
    return _printed(_control(found, budget), width)


def render_alarms(found: AlarmStudy, width: int | None = None) -> str:
    """The text to print of alarms on attacks of held-out kinds."""
    return _printed(_alarms(found), width)


def render_channels(found: ChannelStudy, width: int | None = None) -> str:
    """The text to print of hidden channels."""
    return _printed(_channels(found), width)


def render_egress(found: EgressReport, width: int | None = None) -> str:
    """The text to print of what leaves with outputs."""
    parts = [*_section("Outputs", egress.outputs(found)), *_section("What can leak", egress.leaks(found))]
    return _printed(iter(parts), width)


def render_attribution(found: AttributionStudy, width: int | None = None) -> str:
    """The text to print of whether answers come from their model."""
    parts = [*_section("Drawn again", egress.sources(found)), *_section("Told apart", egress.told_apart(found))]
    return _printed(iter(parts), width)


def _printed(parts: Iterator[RenderableType], width: int | None) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _attacks(found: Attacks) -> Iterator[RenderableType]:
    yield Text(f"{plain(found.name)}: {plain(found.model)}", style="bold")
    yield from _section("Detectors under attack", attack_tables.table(found))
    yield from _bullets(attack_tables.sentences(found))
    if found.rates:
        yield from _section("Chosen attacks", attack_tables.choices(found))
        yield from _section("Is the misbehaviour still there?", attack_tables.rates(found))


def _control(found: ControlStudy, budget: float) -> Iterator[RenderableType]:
    yield Text(f"Control protocols: {plain(found.setting)}", style="bold")
    yield from _bullets(control.alone(found))
    for agent in dict.fromkeys(point.agent for point in found.points):
        yield from _section(f"Against the agent: {agent}", control.at_budget(found, budget, agent))
    if found.collusion:
        yield from _section("Collusion", control.collusion(found.collusion))
    yield from _bullets(control.reasons(found))


def _alarms(found: AlarmStudy) -> Iterator[RenderableType]:
    yield from _section("Alarms on attacks that they have not learnt from", control.alarms(found))
    yield from _bullets([*control.together(found), *control.reasons(found)])


def _channels(found: ChannelStudy) -> Iterator[RenderableType]:
    yield Text(f"Hidden channels: {plain(found.setting)}", style="bold")
    for sender in dict.fromkeys(one.sender for one in found.capacities):
        yield from _section(f"Sender: {sender}", channels.capacities(found, sender))
    yield from _bullets(channels.reasons(found))


def _parts(summary: Summary, only: str | None) -> Iterator[RenderableType]:
    shown = [step for step in steps(summary) if only is None or step.name.startswith(only)]
    yield Text(f"{plain(summary.name)}: {plain(summary.model)}", style="bold")
    yield _overview(shown)
    names = {step.name for step in shown if step.result is not None}
    if "oversee" in names and summary.comparison:
        for task in summary.comparison.tasks:
            yield from _section(f"Oversight protocols on {task.task}", protocols.in_short(task))
            if learnt := protocols.students(task):
                yield from _section("What their students are worth", learnt, without="AUROC")
            yield from _bullets(protocols.findings(task))
    if "generalize" in names and summary.generalization:
        yield from _section("Generalize", tables.scores(summary.generalization))
        yield from _bullets([wording.pgr(summary.generalization.pgr), wording.pgr(summary.generalization.pgr_auroc)])
    if "generalize" in names:
        for part in parts(summary.studies):
            yield from _section(part.title, part.in_short)
            yield from _bullets(part.findings)
    if "validate" in names:
        yield from _section("Validate", tables.detectors(summary.validation), without="Sees")
        if summary.battery:
            yield from _bullets([wording.battery(summary.battery)])
        yield from _argument(summary.argument)
    if "stress-test" in names and summary.trial:
        yield from _section("Stress-test", trial_tables.families(summary.trial))
        yield from _bullets([wording.search(found) for found in summary.trial.searches])
    if "decide" in names and summary.decision:
        yield from _decision(summary.decision)
        yield from _argument(summary.decision.argument)


def _overview(shown: Sequence[Step]) -> RenderableType:
    """One row per step: its name, its key result, and the rest in words."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for style in ("", "bold", ""):
        grid.add_column(style=style, no_wrap=False)
    for step in shown:
        if step.result is None:
            grid.add_row(Text(step.name, style="dim"), Text(wording.MISSING, style="dim"), Text("not run", style="dim"))
            continue
        words = "; ".join([step.means, *step.detail])
        grid.add_row(step.name, Text(step.result, style=STYLES[step.tone]), Text(plain(words)))
    return grid


def _section(title: str, table: Table, without: str = "") -> Iterator[RenderableType]:
    """A table under its title, `without` the column of that name."""
    kept = [index for index, column in enumerate(table.columns) if column.name != without]
    yield Text(f"\n{title}", style="bold")
    yield Text(plain(table.caption), style="dim")
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in (table.columns[index] for index in kept):
        drawn.add_column(column.name, justify="right" if column.numeric else "left", overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_cell(row[index]) for index in kept))
    yield drawn


def _cell(cell: Cell) -> Text:
    tone = TONES.get(cell.text, cell.tone)
    text = Text(plain(cell.text), style=STYLES[tone] if tone else "")
    note = cell.note if not cell.note or cell.note.startswith("[") else f"({cell.note})"
    return text.append(f" {plain(note)}", style="dim") if note else text


def _decision(found: DecisionSummary) -> Iterator[RenderableType]:
    verdict = Text("\nDecision: ").append(found.verdict.value, style=STYLES[TONES[found.verdict.value]])
    yield verdict.append("   The model: ").append(found.model.value, style=STYLES[TONES[found.model.value]])
    yield from _bullets(found.reasons)
    if found.capability:
        yield from _section("Capability", tables.capability(found.capability))
    if found.would_take:
        yield Text("What it would take", style="bold")
        yield from _bullets(found.would_take)


def _argument(claims: Sequence[Claim]) -> Iterator[RenderableType]:
    """The safety case in short: each claim, whether it is supported, and the first piece of its evidence."""
    if not claims:
        return
    yield Text("\nThe argument", style="bold")
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for claim in claims:
        says = f" {wording.sentence(claim.evidence[0].says)}" if claim.evidence else ""
        status = Text(claim.status, style=STYLES[TONES[claim.status]])
        grid.add_row(status, Text(plain(claim.claim)).append(plain(says), style="dim"))
    yield Padding(grid, (0, 0, 0, 2))


def _bullets(items: Sequence[str]) -> Iterator[RenderableType]:
    for item in items:
        grid = RichTable.grid(padding=(0, 1, 0, 0))
        grid.add_row("-", Text(plain(wording.sentence(item))))
        yield Padding(grid, (0, 0, 0, 2))


def plain(text: str) -> str:
    """`text` without control characters: a name or a reason must not be able to steer the terminal."""
    return "".join(" " if unicodedata.category(character) in ("Cc", "Cf") else character for character in text)
