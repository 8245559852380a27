"""Hearings as a log of Inspect AI, for `inspect view`: a sample for each question, with what its judge said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from superalign.contracts.records import Judgement, Question, Unscored
from superalign.models.endpoint import chat_messages
from superalign.oversight.measure import Judgements
from superalign.provenance.digest import digest
from superalign.runs.disk import disk_errors
from superalign.runs.store import Done
from superalign.tasks.splits import Splits

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample

SCORER = "right"


def write_hearings(
    folder: Path, task: str, protocol: str, model: str, said: Sequence[Done[Judgements]], splits: Sequence[Splits]
) -> Path | None:
    """Leave `TASK-PROTOCOL-DIGEST.eval` in `folder`, for the tests of all seeds, unless it is there; where it is.

    None where Inspect AI, which comes with the extra `endpoints`, is not installed.
    """
    if find_spec("inspect_ai") is None:
        return None
    name = "-".join(re.findall(r"[a-z0-9.]+", f"{task} {protocol}".lower()))
    path = folder / f"{name}-{digest([done.digest for done in said])[:8]}.eval"
    if not path.exists():
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
            write(path, f"{task}/{protocol}", model, list(samples(said, splits)))
    return path


def write(path: Path, task: str, model: str, held: list[EvalSample]) -> None:
    """A log of samples that are scored already."""
    from inspect_ai.log import (
        EvalConfig,
        EvalDataset,
        EvalLog,
        EvalMetric,
        EvalResults,
        EvalScore,
        EvalSpec,
        EvalStats,
        write_eval_log,
    )

    now = datetime.now(UTC).isoformat()
    scores = [float(sample.scores[SCORER].value) for sample in held if sample.scores]  # type: ignore[arg-type]  # ours
    metrics = {"accuracy": EvalMetric(name="accuracy", value=sum(scores) / len(scores))} if scores else {}
    score = EvalScore(
        name=SCORER,
        scorer=SCORER,
        scored_samples=len(scores),
        unscored_samples=len(held) - len(scores),
        metrics=metrics,
    )
    spec = EvalSpec(
        created=now,
        task=task,
        model=model,
        dataset=EvalDataset(name=task.partition("/")[0], samples=len(held), sample_ids=[one.id for one in held]),
        config=EvalConfig(epochs=1),
    )
    log = EvalLog(
        status="success",
        eval=spec,
        results=EvalResults(total_samples=len(held), completed_samples=len(scores), scores=[score]),
        stats=EvalStats(started_at=now, completed_at=now),
        samples=held,
    )
    unfinished = path.with_suffix(".unfinished.eval")
    write_eval_log(log, unfinished, format="eval")
    unfinished.replace(path)


def samples(said: Sequence[Done[Judgements]], splits: Sequence[Splits]) -> Iterator[EvalSample]:
    """One for each question that was asked."""
    for number, (done, own) in enumerate(zip(said, splits, strict=True)):
        for question, judged in zip(own.test, done.value.judged, strict=True):
            yield sample(question, judged, own.key.truth[question.id], number)


def sample(question: Question, judged: Judgement | Unscored, truth: bool, seed: int) -> EvalSample:
    """A question with its hearing; without a score where there is no judgement."""
    from inspect_ai.event import InfoEvent
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Score

    metadata = {"seed": seed, "level": question.level, "group": question.group, "evidence": list(question.evidence)}
    if isinstance(judged, Unscored):
        metadata["unscored"] = judged.reason
    transcript = judged.transcript if isinstance(judged, Judgement) else ()
    found = EvalSample(
        id=question.id,
        epoch=1,
        input=question.prompt,
        target="yes" if truth else "no",
        messages=chat_messages(transcript),
        # The viewer opens on a sample's events, so that every turn is one.
        events=[
            InfoEvent(source="judge" if turn.role == "assistant" else "hearing", data=turn.content)
            for turn in transcript
        ],
        metadata=metadata,
    )
    if isinstance(judged, Judgement):
        leaning = 0.5 if judged.probability == 0.5 else float((judged.probability > 0.5) == truth)
        said = {"probability of yes": judged.probability} | {
            f"if {side} is argued": probability for side, probability in judged.if_argued.items()
        }
        answer = "yes" if judged.probability > 0.5 else "no"
        found.scores = {SCORER: Score(value=leaning, answer=answer, metadata=said)}
    return found
