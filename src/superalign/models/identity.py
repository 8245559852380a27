"""What activations follow from, as a digest: configuration and weights."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import nn

from superalign.provenance.digest import digest

# Where a model was loaded from and by which version says nothing about what it computes.
BESIDE = ("_name_or_path", "transformers_version")


def module_digest(module: nn.Module, config: Any) -> str:
    """Digest of all tensors of `module` and of the configuration that it was built from."""
    settings = {name: value for name, value in config.to_dict().items() if name not in BESIDE}
    return digest(
        {
            "config": json.loads(json.dumps(settings, default=str, sort_keys=True)),
            "tensors": {name: tensor_digest(tensor) for name, tensor in module.state_dict().items()},
        }
    )


def tensor_digest(tensor: torch.Tensor) -> str:
    """sha256 of a tensor's type, shape and values."""
    found = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
