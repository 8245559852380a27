"""Open models by what they are: a base, one that this project trained from it, or one that somebody else did."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Record
from superalign.models.decoder import Decoder
from superalign.models.endpoint import EndpointSubject, is_endpoint
from superalign.models.lessons import Recipe
from superalign.models.source import Loaded, load, resolve
from superalign.models.subject import Chat, ModelSubject, full_subject
from superalign.models.train import trained_decoder
from superalign.models.training_data import training_data_in
from superalign.provenance.digest import digest
from superalign.runs.quiet import quiet_libraries
from superalign.runs.training import TrainingPlan

# In float32 an answer does not depend on those that are written beside it; bfloat16 rounds so coarsely that it may.
DTYPES = ("bfloat16", "float32")


class ModelIdentity(Record):
    """A model by the name given for it and the digest of its weights; what a step's key is made of."""

    name: str
    digest: str
    device: str


def identify(name: str, base: str | None = None, *, device: str = "cpu") -> ModelIdentity:
    """Find, fetch if need be, and load the model `name`; later calls in this process find it open. Of an endpoint there
    is only the name.
    """
    if is_endpoint(name) and resolve(name).kind == "endpoint":
        return ModelIdentity(name=name, digest=digest({"endpoint": name}), device=device)
    return ModelIdentity(name=name, digest=loaded(name, base, device).digest, device=device)


@lru_cache(maxsize=1)
def open_base(model: ModelIdentity) -> ModelSubject:
    """The model that everything of this run is trained from. ModelError when another one goes by its name here."""
    found = as_identified(model)
    return ModelSubject(model.name, Decoder(found.model), Chat(found.tokenizer))


def open_user_model(model: ModelIdentity, base: ModelIdentity) -> Subject:
    """A model that somebody else made from `base`: full weights, an adapter, or an endpoint. ModelError as for
    `open_base`.
    """
    if resolve(model.name, base.name).kind == "endpoint":
        return EndpointSubject(model.name)
    return _open_user_model(model, base)


def open_alone(
    name: str, base: str | None = None, *, device: str = "cpu", dtype: str = "bfloat16"
) -> tuple[ModelSubject, str]:
    """Any model whose weights are to be had, to be asked and no more, and its digest. `dtype` is one of DTYPES.

    ModelError as for `load`.
    """
    import torch

    if dtype not in DTYPES:
        raise InputError(f"Models are not opened in {dtype!r}.", fix=f"Take one of: {', '.join(DTYPES)}.")
    with TemporaryDirectory() as scratch, quiet_libraries(Path(scratch) / "libraries.log"):
        found = load(resolve(name, base), device, getattr(torch, dtype))
    decoder = Decoder(found.model, remembered_bytes=0)  # who asks next asks something else
    if found.over_base:
        decoder = trained_decoder(decoder, found.over_base)
    return ModelSubject(name, decoder, Chat(found.tokenizer)), found.digest


def open_trained(base: ModelSubject, folder: Path, name: str) -> ModelSubject:
    """A model that training left in `folder`, under `name`."""
    return ModelSubject(name, adapted(base, folder), base.chat, base=base, training_data=training_data_in(folder))


@lru_cache(maxsize=16)
def adapted(base: ModelSubject, folder: Path) -> Decoder:
    """`base` with what was trained of it; each costs only that, a few megabytes for adapters."""
    return trained_decoder(base.decoder, folder)


def recipe(training: TrainingPlan, base: ModelSubject) -> Recipe:
    """The plan's recipe for a model of this depth."""
    return Recipe(
        first_layer=min(base.layers - 1, round(training.first_layer * base.layers)),
        rank=training.rank,
        steps=training.steps,
        batch=training.batch,
        learning_rate=training.learning_rate,
        bundle=training.bundle,
        backend=training.backend,
        trained=training.trained,
        targets=training.targets,
        patience=training.patience,
        watched=training.watched,
        processes=training.processes,
    )


@lru_cache(maxsize=2)
def loaded(name: str, base: str | None, device: str) -> Loaded:
    """The model in bfloat16, which this project computes in: twice as fast as float32 and as good for probes."""
    import torch

    return load(resolve(name, base), device, torch.bfloat16)


def as_identified(model: ModelIdentity, base: str | None = None) -> Loaded:
    """The model of that name, whose weights must be those that were identified: on another machine they may not be."""
    found = loaded(model.name, base, model.device)
    if found.digest != model.digest:
        raise ModelError(
            f"The model here is not the one that the run was started on: its digest is {found.digest[:12]}, "
            f"not {model.digest[:12]}.",
            where=model.name,
            fix="Put the same files wherever workers run.",
        )
    return found


@lru_cache(maxsize=1)
def _open_user_model(model: ModelIdentity, base: ModelIdentity) -> ModelSubject:
    found = as_identified(model, base.name)
    if found.over_base:
        return open_trained(open_base(base), found.over_base, model.name)
    data = training_data_in(found.source.path)
    return full_subject(model.name, open_base(base), Decoder(found.model), Chat(found.tokenizer), data)
