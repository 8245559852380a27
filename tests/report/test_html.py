"""The page as text: what it says, what it leaves out, and that nothing in it can run or be fetched."""

from __future__ import annotations

import re
from html import unescape
from itertools import product

import pytest

from superalign.contracts.records import Decision, Finding
from superalign.contracts.summary import Summary
from superalign.report import html
from superalign.report.limits import limits
from superalign.report.steps import steps

from .example import UNDEFINED, UNSCORED, example, generalization, nothing, only_validation, trial, undefined_pgr

ATTACK = "</style></title><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"


def words(page: str) -> str:
    """The text of a page, without its style and its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_every_untrusted_text_is_escaped() -> None:
    subject = trial().subjects[0]
    evidence = tuple(item.model_copy(update={"answer": ATTACK, "note": ATTACK}) for item in subject.evidence)
    hostile = subject.model_copy(update={"name": ATTACK, "family": ATTACK, "reason": ATTACK, "evidence": evidence})
    result = example().validation[0].model_copy(update={"detector": ATTACK, "reason": ATTACK, "evidence": evidence})
    summary = example().model_copy(
        update={
            "name": ATTACK,
            "model": ATTACK,
            "validation": (result,),
            "trial": trial().model_copy(update={"subjects": (hostile,), "primary_metric": ATTACK}),
        }
    )
    page = html.render(summary)
    assert "<script" not in page and "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page, "an answer must not be read as a template"


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = html.render(example())
    assert not re.search(r"<script|<link|<iframe|\bsrc=|\bhref=|\bon\w+=|url\(|@import|https?:", page)
    assert "default-src 'none'" in page


def test_the_sections_come_in_the_order_of_the_plan() -> None:
    ids = re.findall(r'<section id="([^"]+)"', html.render(example()))
    assert ids == [
        "bottom-line", "pipeline", "asked", "oversee", "protocols", "generalize", "validate", "inside", "stress-test",
        "thresholds", "decide", "argument", "limits", "cost",
    ]  # fmt: skip


def test_ids_are_unique_and_what_they_are_used_for_exists() -> None:
    page = html.render(example())
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = {key for keys in re.findall(r'aria-labelledby="([^"]+)"', page) for key in keys.split()}
    assert used <= set(ids)


def test_a_run_without_a_step_says_so_and_shows_no_number_for_it() -> None:
    page = html.render(only_validation())
    assert page.count('<p class="result">not run</p>') == 4
    assert 'id="generalize"' not in page and 'id="stress-test"' not in page and 'id="decide"' not in page
    assert "Not run: oversee, generalize, stress-test, decide" in page
    assert "No decision" in page
    assert html.render(nothing()).count('<p class="result">not run</p>') == 5


def test_what_could_not_be_measured_is_a_dash_with_its_reason() -> None:
    text = words(html.render(example()))
    assert f"weight-anomaly weights, base model — not scored — not set undetermined {UNSCORED}" in text
    assert re.search(
        r"subject-3 password-lock organism, seed 0 .* invalid not counted ✗ misbehaves when triggered", text
    )


def test_an_undefined_pgr_gives_its_reason_and_no_number() -> None:
    found = generalization().model_copy(update={"pgr": undefined_pgr()})
    summary = example().model_copy(update={"generalization": found})
    text = words(html.render(summary))
    assert f"PGR on accuracy is undefined: {UNDEFINED}" in text
    assert next(step for step in steps(summary) if step.name == "generalize").result == "undefined"
    assert any("PGR on accuracy is undefined" in limit for limit in limits(summary))


def test_no_valid_family_is_not_a_recall_of_zero() -> None:
    empty = trial().model_copy(
        update={"families": 0, "caught": 0, "recall_low": 0.0, "fpr": None, "fpr_low": None, "fpr_high": None,
                "auroc": None}
    )  # fmt: skip
    text = words(html.render(example().model_copy(update={"trial": empty})))
    assert "there is no recall to report" in text
    assert "False positives on benign twins: —, no valid twin was scored" in text
    assert "at least 0" not in text.split("Stress-test")[1].split("Decide")[0]


@pytest.mark.parametrize(("verdict", "model"), list(product(Decision, Finding)))
def test_every_verdict_is_said_in_words_and_none_calls_the_model_safe(verdict: Decision, model: Finding) -> None:
    made = example().decision
    assert made
    summary = example().model_copy(update={"decision": made.model_copy(update={"verdict": verdict, "model": model})})
    text = words(html.render(summary))
    assert f"Decision {verdict.value}" in text and f"The model {model.value}" in text
    for before in re.findall(r"(\S+ \S+ \S+ \S+) safe\b", text):
        assert "not the same" in before or "a model is" in before, before


@pytest.mark.parametrize("summary", [example(), only_validation()], ids=["whole", "validation"])
def test_the_argument_shows_every_claim_with_its_status_and_what_it_rests_on(summary: Summary) -> None:
    claims = summary.decision.argument if summary.decision else summary.argument
    text = unescape(words(html.render(summary))).split("The argument")[1].split("Limits")[0]
    for claim in claims:
        own = text[text.index(claim.claim) :]
        assert own.split(claim.argument)[0].split() == [*claim.claim.split(), *claim.status.split(), claim.type]
        for piece in claim.evidence:
            assert piece.record in own
        assert all(words in own for words in (*claim.assumptions, *claim.would_change))


def test_a_model_without_a_trial_is_told_so_and_no_bound_is_quoted() -> None:
    text = words(html.render(only_validation()))
    assert "No trial backs this battery" in text and "families caught" not in text.lower()


def test_the_battery_speaks_for_all_detectors_and_each_detector_for_itself() -> None:
    text = words(html.render(example())).replace("\N{NO-BREAK SPACE}", " ")
    assert "All detectors together: undetermined, no more suspicious" in text and "(p = 0.18)" in text
    assert "at a rate of at most 9.1 %, whatever the number of detectors" in text
    assert "p = 0.11 beside 8 benign" in text and "not corrected for the number of detectors" in text


def test_a_catch_is_counted_by_each_rule_and_priced() -> None:
    text = words(html.render(example())).replace("\N{NO-BREAK SPACE}", " ")
    assert "per family caught: 1 min 21 s, 8,200 forward passes, 0 s of human time" in text
    assert "more than half 1 of 1 5 %" in text and "concealment: denial 0 of 1 0 %" in text
    missed = trial().model_copy(update={"caught": 0})
    assert "per family caught: —, nothing was caught" in words(
        html.render(example().model_copy(update={"trial": missed}))
    )


def test_limits_follow_the_numbers() -> None:
    said = " ".join(limits(example())).replace("\N{NO-BREAK SPACE}", " ")
    assert "135 million parameters" in said
    assert "1 valid family" in said and "a recall of only 5 % (95 % confidence)" in said and "29 families" in said
    assert "9 benign models" in said and "at most 28.3 %" in said
    assert "2 valid twins: 0 % [0 %, 84.2 %]" in said
    assert "consistency: AUROC(twin, benign) is 0.85" in said and "knowledge: AUROC" not in said
    assert "1 planted subject failed the gates" in said
    assert "strategic deception" not in " ".join(limits(example().model_copy(update={"model": "big-70b"})))


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_texts_and_marks_stand_out_from_the_paper(mode: str) -> None:
    """WCAG AA: 4.5 for text, 3 for graphics."""
    style = html.render(nothing())
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks[:2])
    colours = light if mode == "light" else light | dark
    for text, ground in [
        *product(("ink", "muted"), ("paper", "surface")),
        *((tone, f"{tone}-tint") for tone in ("good", "bad", "open")),
        *product(("good", "bad", "open"), ("paper", "surface")),
        *product(("ink",), ("mark-tint", "above-tint", "below-tint")),
    ]:
        assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    marks = (
        "weak",
        "student",
        "ceiling",
        "zero-shot",
        "control",
        "organism",
        "twin",
        "benign",
        "baseline",
        "threshold",
    )
    for mark in marks:
        assert _contrast(colours[mark], colours["paper"]) >= 3, mark
