"""The KL divergence of policies, against what transformers makes of the same texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superalign.models.batches import TokenIds
from superalign.models.generate import Sampling, generate
from superalign.models.policy_distance import divergences
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject
from tests.models.conftest import user

PROMPTS = ["Name colours.", "Name colours.", "Say a few words of anything."]


@pytest.fixture(scope="module")
def two() -> tuple[ModelSubject, ModelSubject]:
    return tiny_subject(), tiny_subject(seed=1)


def asked(subject: ModelSubject) -> list[TokenIds]:
    return [subject.chat.encode(user(prompt)) for prompt in PROMPTS]


def test_it_is_that_of_the_next_tokens_summed_over_the_answer(two: tuple[ModelSubject, ModelSubject]) -> None:
    policy, first = two
    prompts, temperature = asked(first), 0.7
    answers = generate(policy.decoder, prompts, 5, stops=(), sampling=Sampling(temperature))
    answers[1] = answers[1][:1]
    expected = []
    for prompt, answer in zip(prompts, answers, strict=True):
        tokens = torch.tensor([[*prompt, *answer]])
        ours, theirs = (
            (own.decoder.model(tokens).logits[0, len(prompt) - 1 : -1] / temperature).log_softmax(-1) for own in two
        )
        expected.append(float((ours.exp() * (ours - theirs)).sum()))
    found = divergences(policy.decoder, first.decoder, prompts, answers, temperature)
    assert found == pytest.approx(expected, rel=1e-3) and (found > 0).all()


def test_a_policy_has_none_from_itself(two: tuple[ModelSubject, ModelSubject]) -> None:
    policy, _ = two
    prompts = asked(policy)
    assert divergences(policy.decoder, policy.decoder, prompts, [[5, 6], [7], [8]], 1.0) == pytest.approx(np.zeros(3))


def test_its_mean_is_that_of_the_log_ratios(two: tuple[ModelSubject, ModelSubject]) -> None:
    """Both estimate the same; of 400 answers of three tokens the log-ratios' mean has an error that is known."""
    policy, first = two
    prompts = asked(first)[:1] * 400
    answers = generate(policy.decoder, prompts, 3, stops=(), sampling=Sampling(1.0))
    tokens = torch.tensor([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)])
    at = len(prompts[0]) - 1
    ratios = [
        own.decoder.model(tokens).logits[:, at:-1].log_softmax(-1).gather(-1, tokens[:, at + 1 :, None])[..., 0].sum(1)
        for own in two
    ]
    ratio = (ratios[0] - ratios[1]).numpy()
    found = divergences(policy.decoder, first.decoder, prompts, answers, 1.0)
    assert abs(found.mean() - ratio.mean()) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert found.std() < ratio.std()
