"""The write-up of a research run, in Markdown and HTML: every number in it is a reference to the run's ledger.

The text is written with `{entry.path}` where a number belongs: the number of a ledger entry, and the way to a value in
its body. A number that is written out fails the build, and so does a reference to what is not there: what is not in the
ledger was not measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import accumulate
from typing import Any

from markdown_it import MarkdownIt

from superalign.contracts.errors import RunError
from superalign.contracts.records import Unscored
from superalign.contracts.research import ProblemCard, Solution
from superalign.provenance.ledger import Entry
from superalign.report import charts
from superalign.researcher.folder import ResearchRun, Side, Trial, best
from superalign.researcher.person import RESULT
from superalign.researcher.progress import shown

REFERENCE = re.compile(r"\{(\d+)((?:\.[\w -]+)*)(?::([+.\d]*f|s|d))?\}")
QUOTED = re.compile(r"`[^`\n]*`")
NUMBER = re.compile(r"(?<![\w{.])[+-]?\d+(?:\.\d+)?(?!\w*\})")


def write_up(run: ResearchRun, card: ProblemCard) -> None:
    """`report.md` and `report.html` of a finished run. RunError when a number in them has no entry."""
    entries = run.ledger.entries()
    text = f"# {_plain(card.title)}\n\n" + built("\n".join(_text(run, card, entries)), entries)
    run.write("report.md", text + "\n")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    style = files("superalign.report").joinpath("style.css").read_text(encoding="utf-8")
    run.write(
        "report.html",
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(card.title)}</title><style>{style}</style></head>"
        f"<body><main>{body}{_figure(run, card)}</main></body></html>\n",
    )


def _text(run: ResearchRun, card: ProblemCard, entries: Sequence[Entry]) -> Iterator[str]:
    """The write-up below its title, with references where numbers belong."""
    kinds = ("proposal", "trial", "decision", "final", "stopped")
    of = {kind: [entry for entry in entries if entry.kind == kind] for kind in kinds}
    for first in of["proposal"][:1]:  # what was committed to before anything ran
        better = "larger" if card.larger_is_better else "smaller"
        yield f"Measured: {{{first.seq}.analysis.metric}}; {better} is better.\n"
    if of["decision"]:
        yield from _decision(of["decision"][-1], of["final"][-1], entries)
    else:
        yield "**Nothing was decided**: no proposal got as far as the final samples.\n"
    yield "\n## What was tried\n"
    yield from _tried(run, card, of["trial"])
    for stopped in of["stopped"][-1:]:
        yield f"\nIt stopped because {{{stopped.seq}.why}}."


def _decision(decision: Entry, final: Entry, entries: Sequence[Entry]) -> Iterator[str]:
    at, body = decision.seq, decision.body
    yield f"**{'Accepted' if body['accepted'] else 'Rejected'}.** " + (
        "The improvement over the baseline holds on final samples that nothing was chosen by."
        if body["accepted"]
        else "No improvement over the baseline is shown on final samples that nothing was chosen by."
    )
    if body["accepted"]:
        yield (
            "It is credited to the proposer: it also beats what random search found with as many trials.\n"
            if body["credited"]
            else "It is not credited to the proposer: random search with as many trials may have done as well.\n"
        )
        yield _person(entries)
    yield "\n| gain over | mean | lower bound |\n|---|---:|---:|"
    for name, words in (("over_baseline", "the baseline"), ("over_control", "random search, as many trials")):
        if "mean" in body[name]:
            yield f"| {words} | {{{at}.{name}.mean:+.3f}} | {{{at}.{name}.low:+.3f}} |"
        else:
            yield f"| {words} | not measured | |"
    yield f"\nThis decision may err with probability {{{at}.level:.4f}}; every opening of final samples spends some."
    for number in range(len(body["reasons"])):
        yield f"\n- {{{at}.reasons.{number}}}"
    yield "\n## What was compared, on the final samples\n\n| solution | mean score | by chance |\n|---|---:|---:|"
    opening = next(entry for entry in reversed(entries) if entry.kind == "opening" and entry.seq < final.seq)
    for number, name in enumerate(opening.body["names"]):
        mean, chance = (_where_measured(final, f"{key}.{number}") for key in ("means", "chance_best"))
        yield f"| `{_quotable(name)}` | {mean} | {chance} |"


def _person(entries: Sequence[Entry]) -> str:
    """What a person said of it: nothing is taken over on the word of the criteria alone."""
    said = [entry for entry in entries if entry.kind == "review" and entry.body["kind"] == RESULT]
    if said:
        verdict = "approved it" if said[-1].body["state"] == "approved" else "did not approve it"
        return f"A person {verdict}: {{{said[-1].seq}.reason}} (`{_quotable(said[-1].body['reviewer'])}`)\n"
    asked = [entry for entry in entries if entry.kind == "asked"]
    where = f": it is item {{{asked[-1].seq}.item}} of the review queue" if asked else ""
    return f"No person has approved it yet{where}.\n"


def _where_measured(entry: Entry, path: str) -> str:
    """A reference, or a dash where nothing was measured."""
    key, _, number = path.partition(".")
    return f"{{{entry.seq}.{path}:.3f}}" if entry.body[key][int(number)] is not None else "—"


def _tried(run: ResearchRun, card: ProblemCard, trials: Sequence[Entry]) -> Iterator[str]:
    seq = {entry.body["outcome"]["number"]: entry.seq for entry in trials}
    yield "| by | solution | on development samples |\n|---|---|---:|"
    rows = [(known.outcome.proposal.proposer, known) for known in run.of("baseline")]
    sides: tuple[tuple[Side, str], ...] = (("proposer", run.settings.proposer.name), ("control", "random, the control"))
    for side, words in sides:
        top = best(run.of(side), larger_is_better=card.larger_is_better)
        rows += [(f"{words}, best", top)] if top else []
    for words, trial in rows:
        score = _result(trial, seq[trial.outcome.number])
        yield f"| {words} | `{_code(trial.outcome.proposal.solution)}` | {score} |"
    failed = [trial for trial in run.trials if not isinstance(trial.outcome.result, float)]
    if failed:
        yield "\nNot scored, and kept:\n"
        for trial in failed[:10]:
            yield f"- proposal `{trial.outcome.number}`: {{{seq[trial.outcome.number]}.outcome.result.reason}}"
        if len(failed) > 10:
            yield "- and others, in the ledger"


def _result(trial: Trial, entry: int) -> str:
    """A reference to what was scored, or a dash."""
    return f"{{{entry}.outcome.result:.3f}}" if isinstance(trial.outcome.result, float) else "—"


def _figure(run: ResearchRun, card: ProblemCard) -> str:
    """The best score so far by number of trials, of both sides: read off the same trials as the table."""
    better = max if card.larger_is_better else min
    sides: tuple[tuple[Side, str], ...] = (("proposer", run.settings.proposer.name), ("control", "random, the control"))
    curves = []
    for side, words in sides:
        scores = [trial.outcome.result for trial in run.of(side)]
        so_far = list(accumulate((score for score in scores if isinstance(score, float)), better))
        if len(so_far) > 1:
            curves.append(charts.Curve(words, range(1, len(so_far) + 1), so_far))
    if not curves:
        return ""
    return charts.curves("best", "The best so far, on development samples", curves, x="scored trials", y=card.metric)


def _code(solution: Solution | Unscored) -> str:
    return _quotable(shown(solution))


def _quotable(text: str) -> str:
    """Text of others between backquotes, where it can't be markup or a reference."""
    return text.translate(str.maketrans("`|{}\n", "'/() "))


def _plain(text: str) -> str:
    """Text of others can't be markup or a reference."""
    return re.sub(r"([|<*_`\\\[\]{}])", " ", text)


def built(text: str, entries: Sequence[Entry]) -> str:
    """The text with its references filled in from the ledger.

    RunError for a number that is written out outside of quoted code, or a reference to what the ledger does not hold.
    """
    bare = NUMBER.search(REFERENCE.sub("", QUOTED.sub("", text)))
    if bare:
        raise RunError(
            f"The write-up has a number that no ledger entry vouches for: {bare.group()!r}.",
            fix="Refer to the entry that holds it, as in {12.over_baseline.mean}, or leave it out.",
        )
    return REFERENCE.sub(lambda found: _value(found, entries), text)


def _value(found: re.Match[str], entries: Sequence[Entry]) -> str:
    number, path, form = int(found[1]), found[2], found[3]
    value: Any = entries[number].body if number < len(entries) else None
    for step in path.removeprefix(".").split(".") if path else []:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = None
    if value is None or isinstance(value, Mapping | list):
        raise RunError(
            f"The write-up refers to {found.group()}, which the ledger does not hold.",
            fix="Name an entry of this run's ledger and the way to a value in it.",
        )
    return f"{value:{form}}" if form else str(value)
