"""`superalign robustness judge-agreement` and `audit-count`: judges of conversations, and the logs of audits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superalign.cli.options import AsJson, Device
from superalign.cli.output import Row, print_facts, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.contracts.protocols import Subject
    from superalign.robustness.agreement import Confusion

EXAMPLES = """Examples:

superalign robustness judge-agreement refusal.csv --judge openai/gpt-4o --json | tee agreement.json

superalign robustness judge-agreement refusal.csv --judge phrases
"""
EXAMPLE = "Example: superalign robustness audit-count logs/audit.eval --agreement agreement.json"
PHRASES = "phrases"


def judge_agreement(
    labelled: Annotated[Path, typer.Argument(metavar="CSV", help="Answers that people labelled, as PyRIT has them.")],
    judge: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help=f"A model or an endpoint that grades by the rubric; or {PHRASES}, which looks for those of refusals.",
        ),
    ],
    rubric: Annotated[
        str, typer.Option(metavar="NAME", help="What it grades by: one of ours, or a .md file.")
    ] = "refusal",
    base: Annotated[str | None, typer.Option(metavar="NAME", help="What MODEL was trained from.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """How well a judge agrees with people: accuracy, kappa, alpha, sensitivity and specificity, with intervals."""
    from superalign.robustness.judge import ModelJudge, RefusalPhrases, read_rubric
    from superalign.robustness.labelled import judge_agreement, read_labelled

    answers = read_labelled(labelled)
    chosen = None if judge == PHRASES else read_rubric(rubric)
    judging = RefusalPhrases() if chosen is None else ModelJudge(_model(judge, base, device), chosen)
    found = judge_agreement(judging, answers)
    known = {
        "judge": judge,
        "rubric": chosen and chosen.id,
        "file": str(labelled),
        "answers": len(answers.conversations),
    }
    content = found.model_dump(mode="json")
    print_facts({**known, **(content if as_json else _readable(content))}, as_json=as_json)


def audit_count(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A log of superalign/audit or superalign/truthfulness.")],
    agreement: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What judge-agreement --json said of its judge, to correct the rate by."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count a log's samples: violated, kept, or unscored with the reason. One whose log does not show that the model
    under test answered is unscored, whatever its score.
    """
    try:
        from superalign.robustness.audit_log import count_log
    except ImportError:
        raise InputError("A log of Inspect needs Inspect AI.", fix="Run: pip install 'superalign[endpoints]'") from None
    content = count_log(log, _confusion(agreement) if agreement else None).model_dump(mode="json")
    print_facts({"log": str(log), **(content if as_json else _readable(content))}, as_json=as_json)


def _model(name: str, base: str | None, device: str) -> Subject:
    from superalign.models.endpoint import EndpointSubject
    from superalign.models.handle import open_alone
    from superalign.models.source import choose_device, resolve

    if resolve(name, base).kind == "endpoint":
        return EndpointSubject(name)
    return open_alone(name, base, device=choose_device(device, say))[0]


def _confusion(path: Path) -> Confusion:
    from pydantic import ValidationError

    from superalign.robustness.agreement import Confusion

    try:
        [content] = json.loads(path.read_text(encoding="utf-8"))
        return Confusion.model_validate(content["confusion"])
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        raise InputError(
            f"This file does not hold a judge's agreement: {type(error).__name__}.",
            where=str(path),
            fix="Write it with: superalign robustness judge-agreement CSV --judge MODEL --json",
        ) from None


def _readable(content: dict[str, Any]) -> Row:
    """Intervals and reasons as a person reads them."""
    return {key: _shown(value) for key, value in content.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, dict) and "low" in value:
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    if isinstance(value, dict) and "reason" in value:
        return f"unscored: {value['reason']}"
    if isinstance(value, dict):
        return [f"{number} {key.replace('_', ' ')}" for key, number in value.items()]
    return f"{value:.3f}" if isinstance(value, float) else value
