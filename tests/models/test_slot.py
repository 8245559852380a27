"""Slots: tokens that last as text, and losses and gradients as the plain transformers model makes them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Message
from superalign.models.batches import TokenIds
from superalign.models.slot import SLOT, Slotted, spelled, typed_tokens
from superalign.models.slot_loss import Says, SaysAnother, SlotLoss, SlotModel, shared_beginnings
from superalign.models.subject import NO, YES, ModelSubject
from superalign.runs.cost import metered
from superalign.tasks.cities import Cities
from superalign.testing.tiny import tiny_relative, tiny_subject
from tests.models.conftest import user

TINY = tiny_subject()
PLACES = (
    user(f"Is the city of Rome in Italy?{SLOT}"),
    user(f"{SLOT} Is the city of Bergen in Norway?"),
    (Message(role="system", content=f"Answer briefly.{SLOT}"), *user("Is the city of Paris in Peru?")),
)
OBJECTIVES = (Says(TINY.chat.answer("Yes, it is")), SaysAnother((5, 9, 700)), SaysAnother((8,)))
SLOTS: list[TokenIds] = [
    (300, 400, 500),
    (300, 400, 501),
    (300, 77, 500),
    (8, 400, 500),
    (300,),
    (300, 400, 500),
    (9, 8),
]


@pytest.fixture(scope="module", params=["base", "adapters"])
def subject(request: pytest.FixtureRequest) -> ModelSubject:
    return TINY if request.param == "base" else tiny_relative("relative", TINY)


def asked() -> list[Slotted]:
    return [Slotted.of(TINY.chat, place) for place in PLACES]


def plain_loss(subject: ModelSubject, each: Slotted, objective: Says | SaysAnother, slot: TokenIds) -> torch.Tensor:
    """From the whole conversation at once; of adapters only what stands before the answer is the base's."""
    sequence = each.before + slot + each.after
    if subject is TINY:
        embedded = TINY.decoder.embedded([sequence + objective.tail])[0]
        logits = subject.decoder.model(inputs_embeds=embedded[None]).logits[0]
        return loss_of(logits[len(sequence) - 1 :], objective)
    rows = []
    for end in range(len(objective.tail) + 1):
        rows.append(subject.decoder.final([sequence + objective.tail[:end]])[0] @ subject.decoder.head.T)
    return loss_of(torch.stack(rows), objective)


def loss_of(logits: torch.Tensor, objective: Says | SaysAnother) -> torch.Tensor:
    if isinstance(objective, Says):
        return F.cross_entropy(logits, torch.tensor(objective.tokens))
    others = [token for token in range(logits.shape[-1]) if token not in objective.than]
    return -logits[0].log_softmax(0)[others].max()


def test_only_the_conversations_that_are_named_are_run(subject: ModelSubject) -> None:
    loss = SlotLoss(SlotModel(subject.decoder), asked(), OBJECTIVES)
    everywhere = loss.losses(SLOTS)
    with metered() as meter:
        found = loss.losses(SLOTS, columns=[2, 0])
    assert torch.equal(found, everywhere[:, [2, 0]])
    assert meter.cost().forward_passes == 2 * (len(SLOTS) - 1)


@pytest.mark.parametrize("near", [(), (300, 400, 500)])
def test_losses_are_those_of_a_plain_pass(subject: ModelSubject, near: TokenIds) -> None:
    found = SlotLoss(SlotModel(subject.decoder), asked(), OBJECTIVES).losses(SLOTS, near)
    for row, slot in enumerate(SLOTS):
        for column, (each, objective) in enumerate(zip(asked(), OBJECTIVES, strict=True)):
            expected = plain_loss(subject, each, objective, slot)
            assert found[row, column] == pytest.approx(float(expected), abs=2e-4)


def test_the_gradient_is_that_of_autograd_on_the_plain_model() -> None:
    slot = (300, 400, 500)
    one_hot = F.one_hot(torch.tensor(slot), len(TINY.decoder.head)).float().requires_grad_()
    total = torch.zeros(())
    for each, objective in zip(asked(), OBJECTIVES, strict=True):
        before, behind = TINY.decoder.embedded([each.before, each.after + objective.tail])
        hidden = torch.cat([before, one_hot @ TINY.decoder.head, behind])[None]
        logits = TINY.decoder.model(inputs_embeds=hidden).logits[0]
        total = total + loss_of(logits[-len(objective.tail) - 1 :], objective) / 3
    [expected] = torch.autograd.grad(total, one_hot)
    found = SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES).gradient(slot)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_the_gradient_foretells_small_changes_of_adapters_too(subject: ModelSubject) -> None:
    """Along the way to another token's embedding, as far as a straight line goes."""
    loss = SlotLoss(SlotModel(subject.decoder), asked(), OBJECTIVES)
    slot, other, step = (300, 400, 500), 41, 1e-3
    gradient = loss.gradient(slot)[1]
    table = subject.decoder.model.get_input_embeddings().weight
    own = table[[400, 41]].clone()
    before = float(loss.losses([slot]).mean())
    try:
        table[400] += step * (own[1] - own[0])
        after = float(loss.losses([slot]).mean())
    finally:
        table[400] = own[0]
    assert (after - before) / step == pytest.approx(float(gradient[other] - gradient[400]), rel=0.1, abs=0.02)


def test_every_candidate_in_every_conversation_is_counted_once() -> None:
    loss = SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES)
    with metered() as meter:
        loss.losses(SLOTS)
    assert meter.cost().forward_passes == (len(SLOTS) - 1) * len(PLACES)  # one slot comes twice
    with metered() as meter:
        loss.gradient(SLOTS[0])
    assert meter.cost().forward_passes == 3 * len(PLACES)


def test_what_a_slot_shares_with_the_one_it_was_made_from_is_not_computed_again() -> None:
    loss = SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES)
    tokens = []
    for near in ((), (300, 400, 500)):
        with metered() as meter:
            loss.losses([(300, 400, token) for token in range(600, 700)], near)
        tokens.append(meter.cost().tokens)
    assert tokens[0] - tokens[1] == len(PLACES) * (2 * 100 - 3)


def test_nothing_changes_in_the_model() -> None:
    before = {name: tensor.clone() for name, tensor in TINY.decoder.model.state_dict().items()}
    loss = SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES)
    first = loss.losses(SLOTS)
    loss.gradient(SLOTS[0])
    assert torch.equal(loss.losses(SLOTS), first)
    assert all(torch.equal(tensor, before[name]) for name, tensor in TINY.decoder.model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in TINY.decoder.model.parameters())


@settings(deadline=None, max_examples=60)
@given(tokens=st.lists(st.sampled_from(typed_tokens(TINY.chat)), min_size=1, max_size=6), place=st.sampled_from(PLACES))
def test_what_lasts_is_read_as_the_very_same_tokens(tokens: list[int], place: tuple[Message, ...]) -> None:
    each, slot = Slotted.of(TINY.chat, place), tuple(tokens)
    [text] = spelled(TINY.chat, [slot])
    whole = TINY.chat.encode(each.filled(text))
    assert (each.lasting(TINY.chat, [slot]) == [slot]) == (whole == each.before + slot + each.after)


@settings(deadline=None, max_examples=30)
@given(text=st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=12))
def test_tokens_of_a_text_last(text: str) -> None:
    each = Slotted.of(TINY.chat, PLACES[0])
    [slot] = each.tokens_of(TINY.chat, [" " + text])
    assert slot is not None and each.lasting(TINY.chat, [slot]) == [slot]


def test_two_tokens_that_are_written_as_one_do_not_last() -> None:
    each = Slotted.of(TINY.chat, PLACES[0])
    [word] = each.tokens_of(TINY.chat, [" apple"])
    space, rest = each.tokens_of(TINY.chat, [" ", "apple"])
    assert word is not None and space is not None and rest is not None and len(word) == 1
    assert each.lasting(TINY.chat, [word, space + rest]) == [word]


def test_typed_tokens_are_neither_special_nor_bytes_of_a_character() -> None:
    tokens = typed_tokens(TINY.chat)
    assert 500 < len(tokens) < len(TINY.chat.tokenizer)
    assert not set(tokens) & set(TINY.chat.tokenizer.all_special_ids)
    assert all(text.isascii() and text.isprintable() for text in spelled(TINY.chat, [(token,) for token in tokens]))
    assert set(TINY.chat.first_tokens(YES + NO)) <= set(tokens)


def test_a_slot_must_be_one_place() -> None:
    question = Cities().load(limit=1)[0][0]
    for conversation in (question.asked, user(SLOT + SLOT)):
        with pytest.raises(InputError, match="one place"):
            Slotted.of(TINY.chat, conversation)
    with pytest.raises(InputError, match="no tokens"):
        SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES).losses([()])
    with pytest.raises(InputError, match="as many of both"):
        SlotLoss(SlotModel(TINY.decoder), asked(), OBJECTIVES[:1])


@settings(deadline=None, max_examples=100)
@given(
    slots=st.lists(
        st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1, max_size=60, unique=True
    ),
    near=st.lists(st.integers(0, 2), max_size=6).map(tuple),
    behind=st.integers(0, 400),
)
def test_slots_that_are_run_together_begin_alike(slots: list[TokenIds], near: TokenIds, behind: int) -> None:
    groups = list(shared_beginnings(slots, near, behind))
    assert sorted(slot for _, group in groups for slot in group) == sorted(slots)
    for shared, group in groups:
        assert len({len(slot) for slot in group}) == 1 and shared < len(group[0])
        assert {slot[:shared] for slot in group} == {near[:shared]}
