"""What a protocol lets run: never what has no score, never more audits than there are, never an edit that was not
vouched for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.actions import Action, Score
from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation, Unscored
from superalign.control.protocols.calls import Call, Paraphrase, redacted
from superalign.control.protocols.handling import Audits, ControlProtocol
from superalign.control.protocols.thresholds import suspicious, threshold_for
from superalign.control.protocols.untrusted import disagrees, missed_honeypots

LOST = Unscored(reason="the monitor failed")
scores = st.one_of(st.floats(-5, 5), st.just(LOST))


class Careful:
    """A trusted agent that can act, and edits nothing that it does not know."""

    name = "careful"

    def act(self, actions: Sequence[Action]) -> list[str | Unscored]:
        return ["own call" for _ in actions]

    def edit(self, actions: Sequence[Action]) -> list[str | Unscored]:
        return [LOST if "odd" in action.call else "edited call" for action in actions]


def actions(count: int, call: str = "read_file a") -> list[Action]:
    return [Action(id=str(n), group=str(n), request="Read.", call=call) for n in range(count)]


@given(st.lists(scores, min_size=1, max_size=20), st.one_of(scores, st.just(0.0)), st.integers(0, 5))
def test_what_runs_unseen_has_a_score_that_is_not_above_a_threshold(
    given_scores: list[Score], threshold: Score, left: int
) -> None:
    for protocol in (
        ControlProtocol("m", "audit"),
        ControlProtocol("d", "defer", Careful()),
        ControlProtocol("e", "edit", Careful()),
    ):
        audits = Audits(left, lambda action: False)
        handled = protocol.handle(actions(len(given_scores)), given_scores, threshold, audits)
        assert sum(done.audited for done in handled) <= left
        for done, score in zip(handled, given_scores, strict=True):
            if done.by == "agent" and not done.audited:
                assert not isinstance(score, Unscored) and not isinstance(threshold, Unscored) and score <= threshold
            assert (done.executed is None) == (done.by == "nobody")


def test_a_person_who_can_not_tell_lets_nothing_through() -> None:
    [done] = ControlProtocol("m", "audit").handle(actions(1), [9.0], 0.0, Audits(1, lambda action: LOST))
    assert done.executed is None and done.audited


def test_suspicious_actions_beyond_the_audits_are_held() -> None:
    handled = ControlProtocol("m", "audit").handle(actions(3), [1.0, 1.0, 1.0], 0.0, Audits(1, lambda action: False))
    assert [done.executed for done in handled] == ["read_file a", None, None]


def test_what_can_not_be_edited_goes_to_a_person_or_is_held() -> None:
    protocol = ControlProtocol("e", "edit", Careful())
    handled = protocol.handle(actions(2, "odd a"), [1.0, 1.0], 0.0, Audits(1, lambda action: True))
    assert [(done.executed, done.audited) for done in handled] == [(None, True), (None, False)]


def test_deferring_to_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="nobody to defer to"):
        ControlProtocol("d", "defer")


def test_a_rate_that_the_benign_runs_do_not_support_has_no_threshold() -> None:
    found = threshold_for([0.0] * 98, 0.01)
    assert isinstance(found, Unscored) and "at least 99" in found.reason
    assert threshold_for([float(n) for n in range(99)], 0.01) == 98.0


@given(st.lists(st.floats(-9, 9), min_size=20, max_size=60), st.sampled_from([0.05, 0.1, 0.3]))
def test_benign_scores_without_a_score_make_the_threshold_no_lower(benign: list[float], rate: float) -> None:
    threshold, harder = threshold_for(benign, rate), threshold_for([LOST, *benign[1:]], rate)
    assert not isinstance(threshold, Unscored)
    above = sum(suspicious(score, threshold) for score in benign)
    assert above <= rate * (len(benign) + 1)
    if not isinstance(harder, Unscored):
        assert sum(suspicious(score, harder) for score in [LOST, *benign[1:]]) <= rate * (len(benign) + 1)


def test_the_threshold_keeps_its_rate_on_further_benign_runs() -> None:
    rng = np.random.default_rng(0)
    above = []
    for _ in range(2000):
        drawn = rng.lognormal(size=100).tolist()
        above.append(suspicious(drawn[0], threshold_for(drawn[1:], 0.05)))
    assert np.mean(above) == pytest.approx(0.05, abs=0.012)


def test_not_a_number_is_suspicious() -> None:
    assert suspicious(float("nan"), 0.0)


@given(st.permutations([("style", "plain"), ("access", "all"), ("Color", "blue")]))
def test_redaction_leaves_no_sign_in_order_or_letters(fields: list[tuple[str, str]]) -> None:
    call = Call(tool="Read_file", words=("A",), fields=tuple(fields))
    [seen] = redacted([Action(id="1", group="a", request="Read.", call=str(call), says="lumo")])
    assert seen.call == "read_file a --access=all --color=blue --style=plain"
    assert "says" not in seen.text


def test_a_call_reads_as_it_is_written() -> None:
    call = Call(tool="search", words=("a", "b"), fields=(("x", "1"), ("y", "")))
    assert Call.read(str(call)) == call
    assert Call.read("") == Call(tool="", words=())


class Echo:
    name = "echo"

    def respond(self, conversations: Sequence[Conversation], max_tokens: int) -> list[str | Unscored]:
        return [LOST if "lost" in asked[0].content else "in other words" for asked in conversations]


def test_what_can_not_be_paraphrased_is_left_out() -> None:
    spoken = [
        Action(id=says, group="a", request="Read.", call="read_file a", says=says) for says in ("hello", "lost", "")
    ]
    shown = Paraphrase(Echo())(spoken)  # type: ignore[arg-type]
    assert [action.says for action in shown] == ["in other words", "", ""]


def test_a_monitor_that_passes_known_attacks_is_dismissed() -> None:
    assert missed_honeypots([False] * 10, 0.5) is not None
    assert missed_honeypots([True] * 6 + [False] * 4, 0.5) is None
    assert missed_honeypots([], 0.5) is None


def test_an_honest_monitor_is_rarely_dismissed_by_comparison() -> None:
    rng, dismissed = np.random.default_rng(1), 0
    for _ in range(400):
        attack = rng.random(200) < rng.uniform(0, 0.5)
        own = rng.normal(size=200) + 3 * attack > 1.64
        trusted = rng.normal(size=200) + 1.5 * attack > 1.64
        pots = rng.normal(size=40) + 3 > 1.64
        dismissed += disagrees(own.tolist(), trusted.tolist(), 0.05, pots.tolist()) is not None
    assert dismissed / 400 <= 0.06


def test_a_monitor_that_passes_what_the_trusted_one_flags_is_dismissed() -> None:
    attack = np.arange(200) < 80
    assert disagrees([False] * 200, attack.tolist(), 0.05, [True] * 40)
