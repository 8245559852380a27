"""The likeliest token by rough products first: always one that float32 finds likeliest too, up to its own rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.models import likeliest
from superalign.models.likeliest import Screen, below


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(1, 6),
    width=st.sampled_from([8, 64, 96]),
    spread=st.sampled_from([0.0, 1e-3, 1e-2, 1.0]),
    scale=st.sampled_from([1e-3, 1.0, 300.0]),
)
def test_nothing_is_likelier(seed: int, rows: int, width: int, spread: float, scale: float) -> None:
    """Down to tokens so alike (`spread`) that bfloat16 can't tell them apart."""
    draw = torch.Generator().manual_seed(seed)
    head = torch.randn(1, width, generator=draw) + spread * torch.randn(500, width, generator=draw)
    states = scale * torch.randn(rows, width, generator=draw)
    found = Screen(head).likeliest(states)
    logits = states.double() @ head.double().T
    chosen = logits[torch.arange(rows), found]
    rounding = 2.0**-22 * width * states.double().norm(dim=1) * head.double().norm(dim=1).max()
    assert (chosen >= logits.amax(1) - rounding).all()


def test_of_equals_the_first_is_taken() -> None:
    head = torch.eye(8)[[0, 1, 1, 2]]
    assert Screen(head).likeliest(torch.eye(8)[[1, 2]]).tolist() == [1, 3]


def test_few_tokens_are_computed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be saved: with no room for candidates, the answer is that of the whole matrix."""
    draw = torch.Generator().manual_seed(0)
    head, states = torch.randn(4000, 64, generator=draw), torch.randn(16, 64, generator=draw)
    plain = (states @ head.T).argmax(1)
    looked_at = torch.zeros(1)
    nonzero = torch.Tensor.nonzero

    def counted(mask: torch.Tensor, as_tuple: bool) -> tuple[torch.Tensor, ...]:
        looked_at.add_(mask.sum())
        return nonzero(mask, as_tuple=as_tuple)

    monkeypatch.setattr(torch.Tensor, "nonzero", counted)
    assert torch.equal(Screen(head).likeliest(states), plain)
    assert 16 <= looked_at.item() < 16 * likeliest.FEW
    monkeypatch.setattr(likeliest, "FEW", 0)
    assert torch.equal(Screen(head).likeliest(states), plain)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6, width=32))
def test_rounding_never_raises_the_bar(value: float) -> None:
    given_value = torch.tensor([[value]])
    assert below(given_value).float() <= given_value
