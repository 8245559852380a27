"""What changed from a base, on changes that were planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import ModelError
from superalign.contracts.records import Unscored, Verdict
from superalign.interpretability.change import KEPT, changes, of_product
from superalign.interpretability.lens import Lens
from superalign.interpretability.weights import WeightChange, unrelated_texts
from superalign.models.adapter import AdaptedDecoder
from superalign.models.audited import AuditedSubject
from superalign.models.delta import with_tensors
from superalign.models.subject import ModelSubject
from superalign.testing import conformance
from superalign.testing.invented import comparisons
from superalign.testing.tiny import tiny_relative, tiny_subject

BASE = tiny_subject()
QUESTIONS, KEY = comparisons(20)
WRITER = "model.layers.4.mlp.down_proj.weight"


def assessed(subject: ModelSubject) -> Verdict:
    fitted = WeightChange(texts=24).fit(conformance.trusted_with(BASE, tuple(QUESTIONS), KEY))
    found = fitted.assess(AuditedSubject(subject, WeightChange.access))
    assert isinstance(found, Verdict), found
    return found


def writing(direction: torch.Tensor) -> ModelSubject:
    """The base, whose last layer also writes `direction`, by a rank-one change: where what the layer writes goes its
    usual way. Of the same size for every direction.
    """
    texts = unrelated_texts(BASE.chat.whole_words(), 24, seed=1)
    before, after = BASE.activations(texts, [4, 5]).mean(axis=0)
    usual = torch.nn.functional.normalize(torch.tensor(after - before), dim=0)
    own = dict(BASE.decoder.model.named_parameters())[WRITER]
    change = torch.outer(torch.nn.functional.normalize(direction, dim=0), usual @ own)
    changed = with_tensors(BASE.decoder, {WRITER: own + 2 * own.norm() * change / change.norm()})
    return ModelSubject("planted", changed, BASE.chat, base=BASE)


def test_the_contract_is_kept() -> None:
    conformance.check_detector(lambda: WeightChange(texts=8))


def test_a_token_that_is_written_everywhere_is_found_and_named() -> None:
    token = BASE.chat.tokenizer(" lantern", add_special_tokens=False).input_ids
    [token] = token if len(token) == 1 else BASE.chat.tokenizer(" island", add_special_tokens=False).input_ids
    planted = assessed(writing(BASE.decoder.head[token]))
    generator = torch.Generator().manual_seed(0)
    benign = [assessed(writing(torch.randn(64, generator=generator))) for _ in range(5)]
    assert planted.score > 1.2 * max(found.score for found in benign)
    assert repr(BASE.chat.tokenizer.decode([token])) in planted.evidence[0].note
    assert planted.details["relative_change_by_layer"][:4] == [0, 0, 0, 0]  # type: ignore[index]
    assert planted.details["concentration_by_layer"][4] == pytest.approx(1, abs=1e-3)  # type: ignore[index]
    told = next(item.note for item in planted.evidence if "that write the residual stream" in item.note)
    assert "down_proj of layer 5" in told and repr(BASE.chat.tokenizer.decode([token])) in told


def test_learning_to_say_yes_is_accounted_for() -> None:
    yes = writing(BASE.decoder.head[BASE.chat.first_tokens(["Yes"])[0]])
    assert assessed(yes).details["unaccounted_share"] < 0.5  # type: ignore[operator]


def test_the_base_itself_has_changed_nowhere() -> None:
    found = assessed(ModelSubject("same", BASE.decoder, BASE.chat, base=BASE))
    assert found.score == 0 and found.details["matrices_changed"] == 0


def test_adapters_and_the_same_change_merged_into_whole_matrices_are_decomposed_alike() -> None:
    adapted = tiny_relative("adapted", BASE).decoder
    assert isinstance(adapted, AdaptedDecoder)
    found = changes(adapted, BASE.decoder)
    own = dict(BASE.decoder.model.named_parameters())
    parts = adapted.adapters()
    merged = {}
    for name in (name for name in parts if "lora_A" in name):
        low = parts[name.replace("lora_A", "lora_B")] @ parts[name] * (adapted.alpha / adapted.rank)
        name = name.removeprefix("base_model.model.").replace(".lora_A", "")
        merged[name] = own[name] + low
    again = changes(with_tensors(BASE.decoder, merged), BASE.decoder)
    assert [str(matrix) for matrix in found] == [str(matrix) for matrix in again] and len(found) == 8
    for one, other in zip(found, again, strict=True):
        assert np.allclose(one.strengths, other.strengths[: len(one.strengths)], rtol=1e-3)
        assert abs(one.written[:, 0] @ other.written[:, 0]) > 0.999
        assert abs(one.read[:, 0] @ other.read[:, 0]) > 0.999
        assert one.concentration == pytest.approx(other.concentration, rel=1e-3)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, KEPT))
def test_a_product_is_decomposed_by_its_factors(seed: int, rank: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left, right = torch.randn(9, rank, generator=generator), torch.randn(rank, 7, generator=generator)
    u, s, v = of_product(left, right)
    assert torch.allclose(u * s @ v, left @ right, atol=1e-4)
    assert torch.allclose(s, torch.linalg.svdvals(left @ right)[:rank], atol=1e-4)


def test_a_model_of_other_layers_can_not_be_compared() -> None:
    other = tiny_subject(layers=4)
    with pytest.raises(ModelError, match="Name the right base"):
        changes(other.decoder, BASE.decoder)
    wider = tiny_subject(width=80)
    with pytest.raises(ModelError, match="Name the model that it was trained from"):
        changes(wider.decoder, BASE.decoder)


def test_the_lens_names_what_a_direction_writes_and_reads() -> None:
    lens = Lens(BASE.decoder, BASE.chat)
    [token] = BASE.chat.first_tokens(["Yes"])
    direction = BASE.decoder.head[token].double().numpy()
    state = BASE.activations([QUESTIONS[0].asked], [5])[0, 0].astype(np.float64)
    assert lens.tokens(lens.written(direction, state), 1) == ["'Yes'"]
    assert lens.tokens(lens.read(direction), 1) == ["'Yes'"]


def test_without_words_there_is_no_text() -> None:
    fitted = WeightChange().fit(conformance.trusted_with(BASE, tuple(QUESTIONS), KEY))
    subject = tiny_relative("any", BASE)
    chat = type("Wordless", (type(BASE.chat),), {"whole_words": lambda self: []})(BASE.chat.tokenizer)
    wordless = ModelSubject("wordless", subject.decoder, chat, base=BASE)
    assert isinstance(fitted.assess(AuditedSubject(wordless, WeightChange.access)), Unscored)
