"""A run of debates over the endpoint that the environment names, each a step: killed by a test, and gone on with."""

from __future__ import annotations

from pathlib import Path

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Cost, Judgement, Question, Record, Unscored
from superalign.oversight.debate import Debate
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.tasks.passage import PassageTask
from superalign.tasks.specification import default_specification

ENDPOINT = "openai-api/loopback/m"
PARTS = 2


class Heard(Record):
    judged: tuple[Judgement | Unscored, ...]


def hear(folder: Path, questions: tuple[Question, ...]) -> Heard:
    nothing = Trusted(None, (), AnswerKey(truth={}), default_specification())  # type: ignore[arg-type]
    return Heard(judged=tuple(Debate(judge="scripted", expert=ENDPOINT).learn(nothing).judge(questions)))


def held(root: Path) -> tuple[list[Heard], Cost]:
    """What came of all parts, and what they took."""
    plan = Plan.model_validate({"name": "debates", "specification": default_specification().model_dump()})
    questions, _ = PassageTask().load(limit=4 * PARTS, seed=0)
    with Run.open(root, plan, display=NoDisplay()) as run:
        parts = [run.step(f"part {n}", hear, questions=tuple(questions[n::PARTS])) for n in range(PARTS)]
        return [part.value for part in parts], run.cost()
