"""What a consultancy costs: one side is heard for the judgement, the other only to measure."""

from __future__ import annotations

import pytest

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement
from superalign.oversight.consultancy import Choice, Consultancy, one_side_of_two
from superalign.tasks.passage import PassageTask
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_subject


@pytest.mark.parametrize(("choosing", "arguing", "share"), [(0, 10, 0.5), (10, 20, 2 / 3), (0, 0, 0.5), (5, 0, 1)])
def test_who_chooses_a_side_pays_for_that_and_for_one_argument(choosing: int, arguing: int, share: float) -> None:
    assert one_side_of_two(choosing, arguing) == pytest.approx(share)


def test_an_open_consultant_costs_what_it_reads_to_make_up_its_mind_too() -> None:
    """Of two lines: it reads each and the bare question to choose, each again to argue, and the judge reads once."""
    questions, key = PassageTask().load(seed=0)
    easy = [question for question in questions if question.level == 0]
    given, asked = (
        tuple(easy[:8]),
        [question for question in easy[8:] if question.group not in {q.group for q in easy[:8]}],
    )
    trusted = Trusted(tiny_subject(), given, key.only(given), default_specification())

    def passes(choice: Choice) -> int:
        judged = Consultancy(choice=choice).learn(trusted).judge(asked[:12])
        return sum(each.cost.forward_passes for each in judged if isinstance(each, Judgement))

    assert (passes("assigned"), passes("open")) == (12 * 3, 12 * 6)
