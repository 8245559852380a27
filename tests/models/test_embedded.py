"""The embedded model itself, on few questions: our passes are right on it, and it knows more than it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superalign.interpretability.probes import probe_auroc
from superalign.models.handle import identify, open_base
from superalign.models.subject import NO, YES, ModelSubject
from superalign.tasks.cities import Cities
from superalign.tasks.metrics import auroc, point
from superalign.tasks.splits import by_group

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def embedded() -> ModelSubject:
    return open_base(identify("smollm2-135m"))


def test_yes_logits_equal_a_plain_pass(embedded: ModelSubject) -> None:
    """Up to the rounding of bfloat16, in which margins of several units are steps of 1/32."""
    asked = [question.asked for question in Cities().load(limit=5)[0]]
    yes, no = embedded.chat.first_tokens(YES), embedded.chat.first_tokens(NO)
    expected = []
    for conversation in asked:
        tokens = torch.tensor([embedded.chat.encode(conversation)])
        with torch.no_grad():
            logits = embedded.decoder.model(tokens, logits_to_keep=1).logits[0, -1].float()
        expected.append(float(logits[yes].logsumexp(0) - logits[no].logsumexp(0)))
    assert np.allclose(embedded.yes_logits(asked), expected, atol=0.25)


def test_it_knows_more_than_it_says(embedded: ModelSubject) -> None:
    """60 famous cities: asked as such its answers are near chance, while a probe half-way up reads the truth."""
    questions, key = Cities().load(limit=300)
    famous = [question for question in questions if question.level == 0]
    asked, truth = [question.asked for question in famous], key.of(famous)
    layer = round(0.6 * embedded.layers)
    known = probe_auroc(embedded.activations(asked, [layer])[:, 0], truth, by_group(famous))
    said = point(auroc, embedded.yes_logits(asked), truth)
    assert 0.35 < said < 0.65
    assert known > 0.7
