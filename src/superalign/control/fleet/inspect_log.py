"""Events in the logs of Inspect AI, one sample in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from superalign.contracts.errors import InputError
from superalign.contracts.fleet import Block
from superalign.control.fleet.events import Events
from superalign.control.fleet.reading import Unreadable, from_rows

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample


def log_events(block: Block, scores: Sequence[str] | None) -> Iterator[Events]:
    """The events of each sample. The agent is `agent` of the sample's metadata, else of the log's, else the model.

    Unreadable when the log is no log, or cut off.
    """
    try:
        from inspect_ai.log import read_eval_log, read_eval_log_samples
    except ImportError:
        raise InputError(
            "Logs of Inspect are read by inspect-ai, which is not installed.",
            fix="pip install 'superalign[endpoints]'",
        ) from None
    try:
        log = read_eval_log(block.path, header_only=True)
        agent = (log.eval.metadata or {}).get("agent", log.eval.model)
        samples = read_eval_log_samples(block.path, all_samples_required=False)
        for number, sample in enumerate(samples):
            rows = list(_rows(sample, agent))
            yield from_rows(rows, [number] * len(rows), scores)
    except Exception as error:  # others' code on a file that anyone may have written
        raise Unreadable(f"is cut off or no log of Inspect: {type(error).__name__}") from None


def _rows(sample: EvalSample, agent: str) -> Iterator[dict[str, Any]]:
    """A tool call is of the kind `tool:NAME`, a score `score:NAME`, all else what Inspect calls it. A message's feature
    is the word that it opens with.
    """
    who = (sample.metadata or {}).get("agent", agent)
    for event in sample.events:
        if event.event == "score":
            continue  # among the sample's scores, too
        row = {"agent": who, "time": event.timestamp.timestamp(), "kind": event.event}
        match event.event:
            case "tool":
                row["kind"] = f"tool:{event.function}"
            case "model":
                row["feature"] = next(iter(event.output.completion.split()), None)
        yield row
    for name, score in (sample.scores or {}).items():
        yield {"agent": who, "kind": f"score:{name}", "score": _score(score.value)}


def _score(value: Any) -> Any:
    """As Inspect's own metrics read it: C and I are right and wrong."""
    return {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}.get(value, value) if isinstance(value, str) else value
