"""What a detector is handed shows what its access allows, under a name that tells nothing, and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from superalign.contracts.errors import AccessError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Access, Conversation
from superalign.models.audited import AuditedSubject
from superalign.models.subject import ModelSubject
from superalign.testing import conformance
from superalign.testing.tiny import tiny_relative, tiny_subject

REACHES: dict[Access, list[Callable[[Any, list[Conversation]], Any]]] = {
    Access.BLACK_BOX: [lambda subject, asked: subject.respond(asked)],
    Access.LOGPROBS: [lambda subject, asked: subject.yes_logits(asked)],
    Access.ACTIVATIONS: [lambda subject, asked: subject.activations(asked, [1])],
    Access.WEIGHTS: [lambda subject, _: subject.decoder, lambda subject, _: subject.chat],
    Access.TRAINING_DATA: [lambda subject, _: subject.training_data()],
}


def test_levels_go_from_least_to_most() -> None:
    assert Access.BLACK_BOX.and_less == {Access.BLACK_BOX}
    assert Access.TRAINING_DATA.and_less == set(Access)
    for less, more in zip(list(Access), list(Access)[1:], strict=False):
        assert less.and_less < more.and_less


@pytest.mark.parametrize("level", list(Access))
def test_no_more_is_shown_than_the_level_allows(level: Access, tiny: ModelSubject, asked: list[Conversation]) -> None:
    subject = tiny_relative("conditional-lying organism", tiny)
    audited = AuditedSubject(subject, level.and_less)
    assert isinstance(audited, Subject) and audited.name == "subject"
    for access, reaches in REACHES.items():
        for reach in reaches:
            if access in level.and_less:
                assert np.array_equal(reach(audited, asked), reach(subject, asked))
            else:
                with pytest.raises(AccessError, match=f"does not allow {access}"):
                    reach(audited, asked)
    assert (audited.base is tiny) == (Access.BASE in level.and_less)


def test_what_a_subject_does_not_allow_no_level_opens(tiny: ModelSubject) -> None:
    audited = AuditedSubject(tiny, frozenset(Access))
    assert audited.access == set(Access) - {Access.BASE, Access.TRAINING_DATA}
    with pytest.raises(AccessError):
        audited.training_data()


@pytest.mark.parametrize("level", [Access.BLACK_BOX, Access.ACTIVATIONS, Access.TRAINING_DATA])
def test_what_detectors_are_handed_conforms(level: Access) -> None:
    conformance.check_subject(lambda: AuditedSubject(tiny_relative("relative", tiny_subject()), level.and_less))
