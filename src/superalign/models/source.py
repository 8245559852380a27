"""From the name a person types to a model in memory: known name, folder, GGUF file, PEFT adapter, hub name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from superalign.contracts.errors import FetchError, InputError, ModelError, UnknownName
from superalign.models import fetch, integrity
from superalign.models.endpoint import is_endpoint
from superalign.models.fetch import Say
from superalign.models.integrity import DELTA
from superalign.provenance.digest import digest

if TYPE_CHECKING:
    import torch

HUB_PREFIX = "hf/"


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from. `path` is set for what is on disk, `base` for what the model was trained from."""

    name: str
    kind: Literal["known", "folder", "gguf", "adapter", "delta", "hub", "endpoint"]
    path: Path | None = None
    base: ModelSource | None = None


@dataclass(frozen=True)
class Loaded:
    """A model in memory. `digest` names its weights, configuration and tokenizer, whatever folder they lie in.

    `over_base` is the folder of what lies over `model`, its base, and is not merged into it: an adapter that is at work
    only from where an answer begins, or tensors in place of the base's.
    """

    model: Any
    tokenizer: Any
    source: ModelSource
    digest: str
    over_base: Path | None = None


def resolve(name: str, base: str | None = None) -> ModelSource:
    """What `name` means, and that it looks whole, without loading it.

    A known name wins over a path; write `./name` for a folder of the same name. `base` names the model that this one
    was trained from; a PEFT adapter needs it unless its own configuration names one that is known or on this disk.
    UnknownName or ModelError when there is no such model.
    """
    origin = resolve(base) if base else None
    if name in fetch.KNOWN:
        return ModelSource(name, "known", base=origin)
    if name.startswith(HUB_PREFIX):
        if name.count("/") != 2 or not all(name.split("/")):
            raise ModelError(f"{name!r} is no hub name.", fix="Write hf/OWNER/NAME.")
        return ModelSource(name, "hub", base=origin)
    path = Path(name).expanduser()
    if path.is_dir():
        return _folder(name, path, origin)
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelError("A model file must be a .gguf.", where=name, fix="Else give the folder that holds it.")
        return ModelSource(name, "gguf", path, origin)
    if is_endpoint(name):
        return ModelSource(name, "endpoint", base=origin)
    if any(mark in name for mark in "/\\~") or path.suffix == ".gguf":
        raise ModelError(
            "There is no model at this path.",
            where=name,
            fix=f"For a model of the Hugging Face hub, write {HUB_PREFIX}OWNER/NAME.",
        )
    raise UnknownName("model", name, fetch.KNOWN)


def load(source: ModelSource, device: str = "cpu", dtype: torch.dtype | None = None, say: Say | None = None) -> Loaded:
    """The model in evaluation mode with its tokenizer; an adapter comes merged into its base.

    `dtype` is that of the stored weights unless given. A known or hub model is fetched where the cache lacks it.
    ModelError when files are missing, damaged or don't fit each other; FetchError when fetching fails.
    """
    check_device(device)
    if source.kind == "endpoint":
        raise ModelError(
            f"{source.name!r} is an endpoint: its weights are not to be had, so nothing can be trained from it.",
            fix="Name a model with open weights here, and give the endpoint to `superalign validate --model`.",
        )
    if source.kind == "adapter":
        return _load_adapter(source, device, dtype, say)
    if source.kind == "delta":
        return _load_delta(source, device, dtype, say)
    folder, content = _local(source, say)
    model = _load_weights(folder, dtype)
    lent = source.base if source.base and not integrity.has_tokenizer(folder) else None
    tokenizer = _load_tokenizer(_local(lent, say)[0] if lent else folder)
    return Loaded(model.to(device).eval(), tokenizer, source, content)


def digest_over_base(folder: Path, base: str) -> str:
    """The digest of the model that is an adapter in `folder`, or a delta, over the base with the digest `base`."""
    kind = "adapter" if (folder / "adapter_config.json").is_file() else "delta"
    return digest({kind: integrity.file_hashes(folder), "base": base})


def choose_device(device: str, say: Say) -> str:
    """`device`, or the fastest there is for "auto", saying why. InputError unless torch knows it and has it."""
    import torch

    if device != "auto":
        check_device(device)
        return device
    if torch.cuda.is_available():
        chosen, reason = "cuda", torch.cuda.get_device_name()
    elif torch.backends.mps.is_available():
        chosen, reason = "mps", "this machine's graphics processor"
    else:
        chosen, reason = "cpu", "torch finds no graphics processor"
    say(f"--device auto: {chosen} ({reason})")
    return chosen


def check_device(device: str) -> None:
    """InputError unless torch knows `device` and has it."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise InputError(f"There is no device {device!r} here.", fix="Use cpu, or see `superalign doctor`.") from None


def _folder(name: str, path: Path, base: ModelSource | None) -> ModelSource:
    if (path / "adapter_config.json").is_file():
        _adapter_shapes(path)
        return ModelSource(name, "adapter", path, base or _base_of_adapter(path))
    if (path / DELTA).is_file():
        integrity.check_safetensors(path / DELTA, fix="Copy or train it again.")
        return ModelSource(name, "delta", path, base)
    if (path / "config.json").is_file():
        # Fine-tuned weights are often saved alone; their tokenizer is then their base's.
        integrity.check_folder(path, tokenizer=base is None)
        return ModelSource(name, "folder", path, base)
    if len(ggufs := sorted(path.glob("*.gguf"))) == 1:
        return ModelSource(name, "gguf", ggufs[0], base)
    raise ModelError(
        "The folder holds no model.",
        where=name,
        fix="It must have config.json and safetensors, or adapter_config.json, or one .gguf file.",
    )


def _base_of_adapter(path: Path) -> ModelSource:
    config = integrity.read_json(path / "adapter_config.json", fix="Copy the adapter again.")
    named = str(config.get("base_model_name_or_path") or "")
    for model in fetch.KNOWN.values():
        if named in (model.name, model.hub):
            return ModelSource(model.name, "known")
    if named and Path(named).is_dir():
        return _folder(named, Path(named), None)
    raise ModelError(
        f"The adapter was trained from {named or 'a base that it does not name'}, which is not known here.",
        where=str(path),
        fix="Say which model that is: --base NAME or --base PATH.",
    )


def _local(source: ModelSource, say: Say | None) -> tuple[Path, str]:
    """A checked folder with the model, and its digest."""
    if source.kind in ("known", "gguf"):
        known = source.kind == "known"
        folder = fetch.pull(source.name, say=say) if known else fetch.pull_gguf(_path(source), say=say)
        record = integrity.read_json(folder / "source.json", fix="Remove the folder.")
        return folder, str(record["digest"])
    folder = _hub_snapshot(source.name, say) if source.kind == "hub" else _path(source)
    return folder, digest(integrity.file_hashes(folder))


def _path(source: ModelSource) -> Path:
    if source.path is None:
        raise ModelError(f"{source.name!r} has no path.")
    return source.path


def _hub_snapshot(name: str, say: Say | None) -> Path:
    from huggingface_hub import snapshot_download

    if say:
        say(f"Fetching {name} from the hub")
    try:
        patterns = [f"*{suffix}" for suffix in integrity.MODEL_SUFFIXES]
        folder = Path(snapshot_download(name.removeprefix(HUB_PREFIX), allow_patterns=patterns))
    except Exception as error:  # the client raises its own errors, its transport's and the system's
        raise FetchError(
            f"{name} could not be fetched from the hub: {_first_line(error)}",
            fix="Check the name and the network, or give the path of a folder that holds the model.",
        ) from error
    integrity.check_folder(folder)
    return folder


def _load_weights(folder: Path, dtype: torch.dtype | None) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype or "auto",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # a configuration of any content makes the library fail in any way
        raise ModelError(
            f"The model can't be loaded: {_first_line(error)}",
            where=str(folder),
            fix="Its configuration and weights must fit each other and need no code of their own.",
        ) from error
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"The weights lack {len(missing)} of the tensors that the configuration asks for, such as {missing[0]}.",
            where=str(folder),
            fix="Untrained numbers would take their place. Copy the model again.",
        )
    return model


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as above
        raise ModelError(
            f"The tokenizer can't be loaded: {_first_line(error)}",
            where=str(folder),
            fix="Save it again beside the weights: tokenizer.save_pretrained(folder).",
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _load_adapter(source: ModelSource, device: str, dtype: torch.dtype | None, say: Say | None) -> Loaded:
    """The base with the adapter merged in, after checking that every tensor of the adapter found its place."""
    from peft import PeftModel, get_peft_model_state_dict

    path = _path(source)
    if source.base is None:
        raise ModelError("An adapter needs a base.", where=str(path), fix="Say which: --base NAME or --base PATH.")
    stored = set(_adapter_shapes(path))
    base = load(source.base, device, dtype, say)
    content = digest_over_base(path, base.digest)
    if integrity.is_activated(path):
        return Loaded(base.model, base.tokenizer, source, content, over_base=path)
    try:
        adapted = PeftModel.from_pretrained(base.model, path, is_trainable=False, torch_device=device)
        placed = set(get_peft_model_state_dict(adapted, save_embedding_layers=False))
        merged = adapted.merge_and_unload()
    except Exception as error:  # wrong shapes, unknown layers, a configuration of any content
        raise _misfit(source, _first_line(error)) from error
    if placed != stored:
        raise _misfit(source, f"{len(placed ^ stored)} tensors have no counterpart.")
    tokenizer = _load_tokenizer(path) if integrity.has_tokenizer(path) else base.tokenizer
    return Loaded(merged.eval(), tokenizer, source, content)


def _load_delta(source: ModelSource, device: str, dtype: torch.dtype | None, say: Say | None) -> Loaded:
    """The base, and where the tensors are that take the place of some of its own."""
    path = _path(source)
    if source.base is None:
        raise ModelError("A delta needs a base.", where=str(path), fix="Say which: --base NAME or --base PATH.")
    base = load(source.base, device, dtype, say)
    return Loaded(base.model, base.tokenizer, source, digest_over_base(path, base.digest), over_base=path)


def _adapter_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelError(
            "The adapter has no adapter_model.safetensors.",
            where=str(path),
            fix="Save it with model.save_pretrained(folder); pickle files are not opened.",
        )
    return integrity.check_safetensors(weights, fix="Copy the adapter again from where it came from.")


def _misfit(source: ModelSource, reason: str) -> ModelError:
    base = source.base.name if source.base else "its base"
    return ModelError(
        f"The adapter does not fit {base}: {reason}",
        where=source.name,
        fix="Name the model that it was trained from: --base NAME or --base PATH.",
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
