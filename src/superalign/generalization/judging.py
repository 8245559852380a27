"""Where studies get weak labels from. Oversight is no part of generalization: the pipeline brings the two together."""

from __future__ import annotations

from typing import Any, Protocol

from superalign.contracts.records import Question
from superalign.models.handle import ModelIdentity
from superalign.runs.chosen import Chosen
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits


class Judging(Protocol):
    """A step in which an overseer is given the splits' labels on `task`, and judges sets of questions."""

    def __call__(
        self,
        run: Run,
        name: str,
        overseer: Chosen,
        model: ModelIdentity,
        splits: Splits,
        questions: tuple[tuple[Question, ...], ...],
        *,
        task: str,
        seed: int,
    ) -> Done[Any]:
        """The value's `judged` holds an opinion, or its absence, for each question of each set in turn."""
        ...
