"""Products by oneDNN: the same as torch's, and so are the gradients that they pass on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from superalign.models.products import by_onednn, can_use_onednn

pytestmark = pytest.mark.skipif(not can_use_onednn(torch.zeros(1)), reason="torch has no oneDNN here")


@pytest.mark.parametrize("packed", (False, True))
@pytest.mark.parametrize("bias", (False, True))
def test_the_same_product_and_the_same_gradient_as_torch(packed: bool, bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(48, 80, bias=bias), nn.SiLU(), nn.Linear(80, 32, bias=bias)).requires_grad_(False)
    found = {}
    for name, layers in (("torch", plain), ("oneDNN", by_onednn(plain, packed=packed))):
        x = torch.linspace(-1, 1, 2 * 5 * 48).reshape(2, 5, 48).requires_grad_()
        y = layers(x)
        found[name] = (y.detach(), torch.autograd.grad(y.square().sum(), x)[0])
    for ours, theirs in zip(found["oneDNN"], found["torch"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_gradient_that_is_not_contiguous_is_passed_on() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(16, 24).requires_grad_(False)
    gradients = []
    for layer in (plain, by_onednn(plain, packed=True)):
        x = torch.ones(3, 16, requires_grad=True)
        gradients.append(torch.autograd.grad((layer(x).T @ torch.arange(3.0)).sum(), x)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)
