"""What is harvested is what a plain pass has there, however it was cut up, stored, stopped or gone on with."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel

from superalign.contracts.errors import InputError, RunError
from superalign.models import batches
from superalign.models import harvest as module
from superalign.models.adapter import AdaptedDecoder
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.harvest import Harvest, Positions, harvest
from superalign.models.sites import Site
from superalign.provenance.digest import file_digests
from superalign.runs.cost import metered
from superalign.testing.tiny import build, tiny_relative, tiny_subject
from tests.models.test_decoder import DEPTH, SUPPORTED, close, conversations, copied, make
from tests.models.test_intervene import SITES, plain

EVERY = [
    Site("residual", 0),
    *(Site(kind, k) for k in range(1, DEPTH + 1) for kind in ("residual", "attention", "mlp")),
]
SEQUENCES: list[TokenIds] = [(*range(3, 25), *range(30, 31 + i % 5)) for i in range(40)]


def wanted(positions: Positions, i: int, length: int) -> list[int]:
    """By hand."""
    match positions:
        case "all":
            return list(range(length))
        case "last":
            return [length - 1]
        case int():
            return list(range(length))[-positions:]
        case _:
            return [range(length)[position] for position in positions[i]]


@st.composite
def places(draw: st.DrawFn, sequences: Sequence[TokenIds]) -> Positions:
    listed = [draw(st.lists(st.integers(-len(s), len(s) - 1), max_size=4)) for s in sequences]
    found: Positions = draw(st.sampled_from(["all", "last", 1, 3, 100, listed]))
    return found


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=12, deadline=None)
@given(
    sequences=conversations(),
    sites=st.sets(SITES, min_size=1, max_size=4),
    pass_tokens=st.sampled_from([8, 40, 4096]),
    shard_tokens=st.sampled_from([1, 50, 1000]),
    shard_bytes=st.sampled_from([1, 1000, 10**6]),
    data=st.data(),
)
def test_any_sites_and_positions_equal_a_plain_pass(
    family: str,
    sequences: list[TokenIds],
    sites: set[Site],
    pass_tokens: int,
    shard_tokens: int,
    shard_bytes: int,
    data: st.DataObject,
) -> None:
    positions = data.draw(places(sequences))
    with (
        TemporaryDirectory() as folder,
        patch.object(batches, "PASS_TOKENS", pass_tokens),
        patch.multiple(module, SHARD_TOKENS=shard_tokens, SHARD_BYTES=shard_bytes),
    ):
        found = harvest(Decoder(copied(family)), sequences, list(sites), positions, folder=Path(folder))
        assert len(found) == len(sequences) and found.sites == sorted(sites)
        for site in sites:
            assert torch.equal(found.load(site), torch.cat(found.shards(site)))
        for i, sequence in enumerate(sequences):
            expected, at = plain(make(family), [], sequence)[1], wanted(positions, i, len(sequence))
            assert found.positions[found.offsets[i] : found.offsets[i + 1]].tolist() == at
            for site in sites if at else ():
                scale = expected[site].abs().max()
                assert torch.allclose(found.of(i, site), expected[site][at], rtol=0, atol=float(2e-5 * scale))
                assert torch.equal(found.load(site)[found.offsets[i] : found.offsets[i + 1]], found.of(i, site))


@pytest.mark.parametrize("family", SUPPORTED)
def test_the_stream_is_the_sum_of_what_is_added_to_it(family: str, tmp_path: Path) -> None:
    """With norms behind the blocks and with parallel blocks, too."""
    found = harvest(Decoder(copied(family)), SEQUENCES[:9], EVERY, "all", folder=tmp_path)
    stream = found.load(Site("residual", 0))
    for k in range(1, DEPTH + 1):
        stream = stream + found.load(Site("attention", k)) + found.load(Site("mlp", k))
        assert close(stream, found.load(Site("residual", k)))


def test_last_states_and_harvest_are_the_same(tmp_path: Path) -> None:
    decoder = Decoder(copied("llama"))
    found = harvest(decoder, SEQUENCES, [Site("residual", 2), Site("residual", DEPTH)], folder=tmp_path)
    states = decoder.last_states(SEQUENCES, [2, DEPTH])
    assert torch.equal(found.load(Site("residual", 2)), states[:, 0])
    assert torch.equal(found.load(Site("residual", DEPTH)), states[:, 1])


def test_adapters_are_at_work_from_the_invocation_on(tmp_path: Path) -> None:
    """As peft runs them; before, the positions are the base's."""
    relative = tiny_relative("relative", tiny_subject(), first_layer=2)
    assert isinstance(relative.decoder, AdaptedDecoder)
    invocation = relative.decoder.invocation
    sequences = [(*range(3, 20 + i % 3), *invocation, *range(70, 70 + i % 4)) for i in range(12)]
    sites = [Site("residual", 1), Site("attention", 4), Site("mlp", 4), Site("residual", 5)]
    found = harvest(relative.decoder, sequences, sites, "all", folder=tmp_path / "found")
    relative.decoder.save(tmp_path / "adapter", base_name="tiny")
    theirs: Any = PeftModel.from_pretrained(build(0, 5, 64, torch.float32), tmp_path / "adapter").eval()
    base = harvest(relative.decoder.base, sequences, sites, "all", folder=tmp_path / "base")
    top = relative.decoder.last_states(sequences, [5])[:, 0]
    for i, sequence in enumerate(sequences):
        cut = len(sequence) - relative.decoder.own(sequence)
        for site in sites:
            assert close(found.of(i, site)[:cut], base.of(i, site)[:cut])
        for site in sites[1:]:
            assert not close(found.of(i, site)[cut:], base.of(i, site)[cut:])
        assert close(found.of(i, sites[-1])[-1], top[i])
        with torch.no_grad():
            states = theirs(torch.tensor([sequence]), output_hidden_states=True).hidden_states
        assert torch.allclose(found.of(i, Site("residual", 1)), states[1][0], atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_precision_is_what_is_asked_for(dtype: torch.dtype, tmp_path: Path) -> None:
    site, decoder = Site("residual", 3), Decoder(copied("llama"))
    found = harvest(decoder, SEQUENCES, [site], folder=tmp_path, dtype=dtype).load(site)
    assert found.dtype == dtype
    assert torch.equal(found, decoder.last_states(SEQUENCES, [3])[:, 0].to(dtype))


def test_what_overflows_is_told(tmp_path: Path) -> None:
    from superalign.models.intervene import Steer, intervene

    changed = intervene(Decoder(copied("llama")), [Steer(Site("residual", 2), torch.full((32,), 1e5), 1.0)])
    with pytest.raises(InputError, match=r"do not fit into float16.*bfloat16"):
        harvest(changed, SEQUENCES, [Site("residual", 2)], folder=tmp_path, dtype=torch.float16)


class Killed(BaseException):
    """Nothing may catch it."""


def begin(folder: Path, sequences: Sequence[TokenIds] = SEQUENCES, **changes: Any) -> Harvest:
    arguments = {"sites": [Site("residual", 2), Site("mlp", 3)], "positions": "all", "folder": folder} | changes
    with patch.object(module, "SHARD_TOKENS", 200):
        return harvest(Decoder(copied("llama")), sequences, **arguments)


def kept(folder: Path) -> dict[str, str]:
    return {name: sha for name, sha in file_digests(folder).items() if name != ".lock"}


@pytest.mark.parametrize("shards", [0, 2])
def test_a_stopped_harvest_goes_on_and_leaves_the_same_files(shards: int, tmp_path: Path) -> None:
    begin(tmp_path / "whole")
    done = []
    original = module.Plan.rows

    def rows(plan: Any, start: int, stop: int) -> Any:
        if len(done) == shards:
            raise Killed
        done.append(start)
        return original(plan, start, stop)

    with patch.object(module.Plan, "rows", rows), pytest.raises(Killed):
        begin(tmp_path / "stopped")
    with pytest.raises(InputError, match="has not been finished"):
        Harvest.open(tmp_path / "stopped")
    stops: list[int] = []
    with patch.object(
        module.Plan, "rows", lambda plan, start, stop: stops.append(start) or original(plan, start, stop)
    ):
        begin(tmp_path / "stopped")
    assert not set(done) & set(stops)
    assert kept(tmp_path / "stopped") == kept(tmp_path / "whole") and len(kept(tmp_path / "whole")) > 4


JOB = """
import os, signal, sys
from pathlib import Path
from superalign.models import harvest as module
from tests.models.test_harvest import begin
left = int(sys.argv[2])
write = module.write_tensors
def write_tensors(path, tensors):
    global left
    left -= 1
    found = write(path, tensors)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
module.write_tensors = write_tensors
begin(Path(sys.argv[1]))
"""


def test_a_killed_process_leaves_what_the_next_one_goes_on_with(tmp_path: Path) -> None:
    """Killed after its second shard was put in place and before that was noted."""
    command = [sys.executable, "-c", JOB, str(tmp_path / "killed"), "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
    assert subprocess.run(command, env=environment, capture_output=True).returncode == -signal.SIGKILL
    begin(tmp_path / "whole")
    begin(tmp_path / "killed")
    assert kept(tmp_path / "killed") == kept(tmp_path / "whole")


@pytest.mark.parametrize("name", ["shard-00001.safetensors", "rows.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_made_again(name: str, damage: str, tmp_path: Path) -> None:
    begin(tmp_path)
    before, path = kept(tmp_path), tmp_path / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-7] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    if damage != "changed":  # which only its digest shows
        with pytest.raises(InputError, match=r"truncated|has not been finished"):
            Harvest.open(tmp_path)
    begin(tmp_path)
    assert kept(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sites": [Site("residual", 2)]}, "sites"),
        ({"positions": "last"}, "positions"),
        ({"dtype": torch.bfloat16}, "dtype"),
        ({"sequences": SEQUENCES[1:]}, "sequences"),
    ],
)
def test_a_folder_is_good_for_one_harvest(changes: dict[str, Any], named: str, tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(InputError, match=f"with other {named}.*another folder"):
        begin(tmp_path, **changes)


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    for seed in (0, 1):
        decoder = Decoder(build(seed, 3, 32, torch.float32))
        if seed:
            with pytest.raises(InputError, match="with other model"):
                harvest(decoder, SEQUENCES, [Site("residual", 1)], folder=tmp_path)
        else:
            harvest(decoder, SEQUENCES, [Site("residual", 1)], folder=tmp_path)
    upper = build(0, 3, 32, torch.float32)
    upper.model.layers[2].mlp.up_proj.weight.mul_(2)
    harvest(Decoder(upper), SEQUENCES, [Site("residual", 1)], folder=tmp_path)  # nothing of it was run


def test_a_full_disk_is_told_and_nothing_finished_is_lost(tmp_path: Path) -> None:
    from safetensors import torch as safetensors_torch

    save, left = safetensors_torch.save_file, [3]

    def save_file(tensors: Any, path: Path) -> None:
        left[0] -= 1
        if not left[0]:
            path.write_bytes(b"part of it")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(tensors, path)

    with patch.object(safetensors_torch, "save_file", save_file), pytest.raises(RunError, match="disk ran full"):
        begin(tmp_path / "full")
    assert set(kept(tmp_path / "full")) == {"harvest.json", "rows.safetensors", "shard-00000.safetensors"}
    begin(tmp_path / "full")
    begin(tmp_path / "whole")
    assert kept(tmp_path / "full") == kept(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequences": []}, "nothing to harvest"),
        ({"sequences": [()]}, "nothing to harvest"),
        ({"sites": []}, "nothing to harvest"),
        ({"sites": [Site("residual", DEPTH + 1)]}, "no residual-5"),
        ({"positions": 0}, "no last 0 positions"),
        ({"positions": "first"}, "no positions 'first'"),
        ({"positions": [[0]]}, "not listed for each"),
        ({"positions": [[99]] * len(SEQUENCES)}, "Conversation 0 has 23 positions"),
        ({"dtype": torch.int8}, "not stored as"),
    ],
)
def test_what_makes_no_sense_is_told(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        begin(tmp_path, **changes)
    assert not any(tmp_path.iterdir())


def test_a_folder_without_a_harvest_and_a_site_that_was_not_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no harvest here"):
        Harvest.open(tmp_path)
    with pytest.raises(InputError, match="attention-1 was not harvested"):
        begin(tmp_path).of(0, Site("attention", 1))
    (tmp_path / "harvest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Harvest.open(tmp_path)


def test_work_is_counted(tmp_path: Path) -> None:
    with metered() as meter:
        begin(tmp_path)
    assert meter.cost().tokens == sum(map(len, SEQUENCES))


MEMORY = """
import sys
from pathlib import Path
import psutil, torch
from superalign.models import harvest as module
from superalign.models.harvest import harvest
from superalign.models.sites import Site
from superalign.testing.tiny import tiny_subject
decoder = tiny_subject(layers=2, width=128).decoder
sequences = [(*range(3, 20), *((7 * i + j) % 1000 + 20 for j in range(60))) for i in range(1500)]
sites = [Site(kind, layer) for kind in ("residual", "attention", "mlp") for layer in (1, 2)]
module.SHARD_BYTES = 2**24
harvest(decoder, sequences[:60], sites, "all", folder=Path(sys.argv[1]) / "warm")
process = psutil.Process()
before = process.memory_info().rss
harvest(decoder, sequences, sites, "all", folder=Path(sys.argv[1]) / "found")
print(process.memory_info().rss - before)
"""


def test_memory_does_not_grow_with_what_is_harvested(tmp_path: Path) -> None:
    """355 MB of activations in shards of 17 MB."""
    environment = os.environ | {"PYTHONPATH": "src"}
    command = [sys.executable, "-c", MEMORY, str(tmp_path)]
    grown = int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    stored = sum(path.stat().st_size for path in (tmp_path / "found").glob("shard-*"))
    assert stored > 350e6 and grown < stored / 2


def test_views_are_of_the_files(tmp_path: Path) -> None:
    """Opening reads nothing; numpy sees the same memory."""
    found = begin(tmp_path)
    rows = found.shards(Site("mlp", 3))[0]
    assert np.shares_memory(rows.numpy(), found.of(0, Site("mlp", 3)).numpy())
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(tmp_path / "shard-00000.safetensors") in maps.read_text()
