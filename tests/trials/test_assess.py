"""One detector on one subject: whatever goes wrong has measured nothing, and says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from pydantic import ValidationError

from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Access, Cost, Evidence, Finding, Unscored, Verdict
from superalign.contracts.registry import detectors
from superalign.contracts.summary import Threshold
from superalign.models.handle import ModelIdentity
from superalign.runs.cost import count
from superalign.runs.store import Done
from superalign.tasks.specification import default_specification
from superalign.trials import assess as module
from superalign.trials.assess import Auditor, access_of, assess, detector_result, finding
from superalign.trials.present import Presented

from ..scripted import ScriptedSubject, World, one_sided
from .planted import threshold

BASE = ModelIdentity(name="base", digest="0" * 64, device="cpu")
WORLD = World(30)
AUDITOR = Auditor(questions=tuple(WORLD.questions), key=WORLD.key, specification=default_specification(), seed=0)
LIMIT = threshold("planted", [0.1, 0.5])


class Planted:
    """A detector that does what the test says."""

    name = "planted"
    access = frozenset({Access.BLACK_BOX})

    def __init__(self, assessing: Callable[[Subject], Any], fitting: Callable[[Trusted], Any] | None = None) -> None:
        self._assessing, self._fitting = assessing, fitting

    def fit(self, trusted: Trusted) -> Self:
        if self._fitting:
            self._fitting(trusted)
        return self

    def assess(self, subject: Subject) -> Any:
        return self._assessing(subject)


@pytest.fixture(autouse=True)
def nothing_fitted() -> Iterator[None]:
    module._fitted.cache_clear()
    yield
    module._fitted.cache_clear()


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Verdict | Unscored]:
    """What comes of a detector that does this on a subject with that access."""
    detectors.names()

    def look(
        assessing: Callable[[Subject], Any],
        fitting: Callable[[Trusted], Any] | None = None,
        *,
        access: frozenset[Access] = frozenset(Access),
        needs: frozenset[Access] = Planted.access,
        level: Access = Access.BASE,
        unit: str = "any",
    ) -> Verdict | Unscored:
        subject = ScriptedSubject(WORLD.honest, access=access)
        monkeypatch.setattr(module, "open_base", lambda _: subject)
        monkeypatch.setattr(Planted, "access", needs)
        monkeypatch.setattr(Planted, "unit", unit, raising=False)
        monkeypatch.setitem(detectors._factories, "planted", lambda: Planted(assessing, fitting))
        auditor = AUDITOR.model_copy(update={"access": level})
        return assess(tmp_path, detector="planted", code="1", auditor=auditor, base=BASE).result

    return look


def crash(_: Any) -> None:
    raise ZeroDivisionError("by nothing")


def test_a_verdict_comes_with_what_it_took(look: Callable[..., Verdict | Unscored]) -> None:
    def counts(_: Subject) -> Verdict:
        count(tokens=7, forward_passes=2)
        return Verdict(score=0.3)

    found = look(counts, lambda _: count(tokens=1000))
    assert isinstance(found, Verdict)
    # What fitting takes falls on whichever step comes first in a process: in the cost, a killed run would show.
    assert (found.score, found.cost.tokens, found.cost.forward_passes) == (0.3, 7, 2)


def test_a_crash_is_unscored_wherever_it_happens(look: Callable[..., Verdict | Unscored]) -> None:
    for found in (look(crash), look(lambda _: Verdict(score=0), crash)):
        assert isinstance(found, Unscored)
        assert "ZeroDivisionError: by nothing" in found.reason
        module._fitted.cache_clear()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_verdict_has_a_score_that_is_no_number(look: Callable[..., Verdict | Unscored], value: float) -> None:
    with pytest.raises(ValidationError):
        Verdict(score=value)
    assert isinstance(look(lambda _: Verdict(score=value)), Unscored)


class Extended(Verdict):
    more: str = "than a verdict may say"


@pytest.mark.parametrize(
    ("returned", "where"),
    [
        (Verdict(score=0).model_copy(update={"score": np.nan}), "score"),
        (Verdict.model_construct(score="high"), "score"),  # type: ignore[arg-type]
        (Verdict(score=0).model_copy(update={"details": {"mean": np.inf}}), "details.mean"),
        (Verdict(score=0).model_copy(update={"evidence": (Evidence.model_construct(note=3),)}), "evidence.0"),  # type: ignore[arg-type]
        (Extended(score=0), "more"),
        (Unscored.model_construct(reason=""), "reason"),
    ],
)
def test_a_verdict_made_without_the_checks_is_none(
    look: Callable[..., Verdict | Unscored], returned: Verdict | Unscored, where: str
) -> None:
    found = look(lambda _: returned)
    assert isinstance(found, Unscored)
    assert f"that is none: {where}" in found.reason


@pytest.mark.parametrize(("unit", "measured"), [("share", False), ("any", True)])
def test_a_score_that_is_not_the_share_that_it_is_said_to_be(
    look: Callable[..., Verdict | Unscored], unit: str, measured: bool
) -> None:
    found = look(lambda _: Verdict(score=1.5), unit=unit)
    assert isinstance(found, Verdict) == measured
    assert measured or "score of 1.5 is not the share" in found.reason  # type: ignore[union-attr]
    module._fitted.cache_clear()
    assert isinstance(look(lambda _: Verdict(score=-1.0), unit=unit), Verdict)


def test_a_detector_that_ends_the_program_has_measured_nothing(look: Callable[..., Verdict | Unscored]) -> None:
    found = look(lambda _: sys.exit(0))
    assert isinstance(found, Unscored) and "SystemExit: 0" in found.reason


@pytest.mark.parametrize("returned", [None, 0.0, "clear", (), False])
def test_what_is_no_verdict_is_unscored(look: Callable[..., Verdict | Unscored], returned: object) -> None:
    found = look(lambda _: returned)
    assert isinstance(found, Unscored)
    assert type(returned).__name__ in found.reason


def test_access_that_a_subject_does_not_allow_is_not_taken(look: Callable[..., Verdict | Unscored]) -> None:
    found = look(
        crash, access=frozenset({Access.BLACK_BOX}), needs=frozenset({Access.BLACK_BOX, Access.LOGPROBS, Access.BASE})
    )
    assert isinstance(found, Unscored)
    assert "base, logprobs" in found.reason and "black-box" not in found.reason


@pytest.mark.parametrize("level", list(Access))
def test_a_detector_is_handed_what_it_declares_within_the_level(
    look: Callable[..., Verdict | Unscored], level: Access
) -> None:
    handed: list[Subject] = []

    def keeps(subject: Subject) -> Verdict:
        handed.append(subject)
        return Verdict(score=0)

    needs = frozenset({Access.BLACK_BOX, Access.ACTIVATIONS})
    found = look(keeps, needs=needs, level=level)
    assert isinstance(found, Verdict) == (needs <= level.and_less)
    for subject in handed:
        assert (subject.name, subject.access) == ("subject", needs)


def test_a_reach_beyond_what_was_declared_is_unscored(look: Callable[..., Verdict | Unscored]) -> None:
    found = look(lambda subject: subject.yes_logits([]), level=Access.TRAINING_DATA)
    assert isinstance(found, Unscored)
    assert "beyond the access that it declares" in found.reason and "logprobs" in found.reason


def test_what_the_user_must_mend_is_raised(look: Callable[..., Verdict | Unscored]) -> None:
    def finds_it_damaged(_: Subject) -> None:
        raise ModelError("The model is damaged.")

    with pytest.raises(ModelError):
        look(finds_it_damaged)


@pytest.mark.parametrize("whose", ["trained", "user_model"])
def test_a_subject_that_can_not_be_opened_is_unscored_unless_it_is_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whose: str
) -> None:
    """One damaged subject must not cost the trial, and must not pass as clear either."""

    def damaged(*_: object) -> None:
        raise ModelError("The adapter can't be read.")

    monkeypatch.setattr(module, "open_base", lambda _: ScriptedSubject(WORLD.honest))
    monkeypatch.setattr(module, "open_trained", damaged)
    monkeypatch.setattr(module, "open_user_model", damaged)
    done: Any = Done("key", tmp_path, Presented(files=()), Cost(), "digest") if whose == "trained" else BASE
    arguments: Any = {whose: done}

    def verdict() -> Verdict | Unscored:
        return assess(tmp_path, detector="consistency", code="1", auditor=AUDITOR, base=BASE, **arguments).result

    if whose == "user_model":
        with pytest.raises(ModelError):
            verdict()
    else:
        assert verdict() == Unscored(reason="the subject can't be opened: The adapter can't be read.")


@pytest.mark.parametrize("detector", ["consistency", "knowledge"])
@pytest.mark.parametrize("answer", [True, False])
def test_trusted_facts_with_one_answer_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, detector: str, answer: bool
) -> None:
    """Nothing can be probed; what needs no truth goes on."""
    subject = ScriptedSubject(WORLD.honest, WORLD.knowing())
    monkeypatch.setattr(module, "open_base", lambda _: subject)
    auditor = AUDITOR.model_copy(update={"key": one_sided(WORLD.questions, answer)})
    found = assess(tmp_path, detector=detector, code="1", auditor=auditor, base=BASE).result
    assert isinstance(found, Unscored) == (detector == "knowledge")


@pytest.mark.parametrize(
    ("found", "limit", "expected", "word"),
    [
        (Verdict(score=0.5), LIMIT, Finding.CLEAR, "threshold of 0.50"),
        (Verdict(score=0.5001), LIMIT, Finding.FLAGGED, "highest of 2 benign"),
        (Verdict(score=0.9, caveat="its base does so too"), LIMIT, Finding.UNDETERMINED, "its base does so too"),
        (Verdict(score=0.2, caveat="its base does so too"), LIMIT, Finding.CLEAR, ""),
        (Unscored(reason="it crashed"), LIMIT, Finding.UNDETERMINED, "it crashed"),
        (
            Verdict(score=-9), threshold("planted", []),
            Finding.UNDETERMINED, "no threshold",
        ),
    ],
)  # fmt: skip
def test_nothing_is_clear_without_a_score_below_a_threshold(
    found: Verdict | Unscored, limit: Threshold, expected: Finding, word: str
) -> None:
    said, reason = finding(found, limit)
    assert said is expected
    assert word in reason
    kept = detector_result("knowledge", found, limit)
    assert (kept.verdict, kept.reason) == (expected, reason)
    assert (kept.score is None) == isinstance(found, Unscored)


def test_access_is_named_from_least_to_most() -> None:
    assert access_of("knowledge") == (Access.BLACK_BOX, Access.LOGPROBS, Access.ACTIVATIONS)
