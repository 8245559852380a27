"""What training changed of a base's own tensors: the changed ones alone, put back over those that it shares with it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from superalign.contracts.errors import ModelError
from superalign.models.decoder import Decoder
from superalign.models.integrity import DELTA


def with_tensors(base: Decoder, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> Decoder:
    """`base` with `tensors` in place of its own of those names; it shares all others with it."""
    own = dict(base.model.named_parameters())
    kept = {id(tensor): tensor for tensor in (*own.values(), *base.model.buffers())}
    for name, tensor in tensors.items():
        parameter = own[name]
        kept[id(parameter)] = nn.Parameter(tensor.to(parameter.device, parameter.dtype), requires_grad=False)
    return Decoder(copy.deepcopy(base.model, kept))


def save_delta(base: Any, tensors: Mapping[str, Shaped[Tensor, "..."]], folder: Path) -> None:
    """Write those of `tensors` that differ from the model `base`'s own, in its type."""
    own = dict(base.named_parameters())
    as_stored = {name: tensor.detach().to(own[name].dtype).cpu().contiguous() for name, tensor in tensors.items()}
    changed = {name: tensor for name, tensor in as_stored.items() if not torch.equal(tensor, own[name].cpu())}
    save_file(changed, folder / DELTA)


def load_delta(base: Any, folder: Path) -> dict[str, Tensor]:
    """The tensors that `save_delta` wrote. ModelError when they are damaged or not those of the model `base`."""
    path = folder / DELTA
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ModelError("There is no delta to a base here.", where=str(folder)) from None
    except Exception as error:  # safetensors raises its own type for a damaged file
        raise ModelError(f"The delta can't be read: {error}.", where=str(path), fix="Copy or train it again.") from None
    own = {name: tensor.shape for name, tensor in base.named_parameters()}
    for name, tensor in tensors.items():
        if own.get(name) != tensor.shape:
            raise ModelError(
                f"The delta's {name} has no counterpart in the base.",
                where=str(path),
                fix="Open it on the model that it was trained from, which its card names.",
            )
    return tensors
