"""What a language model is told of a problem, of what was tried, and of the form that its answer must have."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, Outcome, ProblemCard, Program
from superalign.researcher.language import allowed
from superalign.researcher.notation import written
from superalign.researcher.proposers.genes import Gene

STATEMENT = 1_500  # characters
BEST = 5  # outcomes that are shown
FAILURES = 3
SOURCE = 3_000  # characters of an earlier program that are shown

PROGRAM_FORM = """Write one Python file that defines `solve(given)`. `given` is a dictionary of NumPy arrays; return a
dictionary of NumPy arrays. NumPy, SciPy and scikit-learn can be imported. There is no network and no file to read.
First write one line `HYPOTHESIS: ` with the reason why it should help, then the whole file in one code block that
begins with ```python and ends with ```. Be brief: what is cut off is lost."""


def told(card: ProblemCard, best: Sequence[Outcome], failed: Sequence[Outcome]) -> str:
    """The problem and what was tried. What others wrote is quoted line by line, so that it can't pass for our words."""
    better = "Larger is better." if card.larger_is_better else "Smaller is better."
    tried = "\n".join(f"{outcome.result:.4g}: {_shown(outcome)}" for outcome in best)
    parts = [
        f"# Problem: {card.title}\n\n{card.statement[:STATEMENT]}",
        f"# Metric\n\n{card.metric} From {card.lowest:g} to {card.highest:g}. {better}",
        f"# The baseline\n\n{written(card.baseline)}",
        f"# Tried so far, best first\n\n{tried or 'Nothing yet.'}",
    ]
    if failed:
        parts.append("# Failed\n\n" + "\n".join(f"{_shown(one)}\n{_quoted(_reason(one))}" for one in failed))
    return "\n\n".join(parts)


def decision(gene: Gene, decided: Sequence[tuple[Gene, object]], suggested: Expression | None) -> str:
    """The part of a question that is about one decision."""
    so_far = "\n".join(f"- {other.name} is {value}" for other, value in decided) or "Nothing yet."
    parts = [f"# Your solution so far\n\n{so_far}"]
    if suggested is not None:
        parts.append(f"# What an optimizer suggests\n\n{written(suggested)}")
    kind = f"Which part should stand at {gene.name}?" if gene.slot == 0 else f"Which value should {gene.name} have?"
    within = "" if gene.slot == 0 else f" ({allowed(gene.domain)})"
    return "\n\n".join([*parts, f"# Decide\n\n{kind}{within}"])


def program_question(card: ProblemCard, suggested: Expression | None) -> str:
    given = "\n".join(f"- {name}: {meaning}" for name, meaning in card.given.items())
    answer = "\n".join(f"- {name}: {meaning}" for name, meaning in card.answer.items())
    idea = f"# What an optimizer suggests\n\n{written(suggested)}\n\n" if suggested else ""
    return f"{idea}# Given\n\n{given}\n\n# To be returned\n\n{answer}\n\n# Your answer\n\n{PROGRAM_FORM}"


def _shown(outcome: Outcome) -> str:
    solution = outcome.proposal.solution
    if isinstance(solution, Expression):
        return written(solution)
    if isinstance(solution, Program):
        return f"a program\n{_quoted(solution.source[:SOURCE])}"
    return "no solution"


def _reason(outcome: Outcome) -> str:
    return outcome.result.reason[:200] if isinstance(outcome.result, Unscored) else ""


def _quoted(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
