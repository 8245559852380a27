"""Streams as anyone may have written them: what can be read is read alike from all formats, the rest is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.control.fleet import reading
from superalign.control.fleet.counting import Counted, Layout, count
from superalign.control.fleet.events import BUCKETS, LONGEST_NAME, buckets, coded, direction, moments, numbers
from superalign.control.fleet.reading import Unreadable, blocks, files
from superalign.control.fleet.register import Register, read_register
from tests.control.fleet.fleets import KINDS, lines

LAYOUT = Layout(kinds=KINDS, edges={"score": (-1.0, 0.0, 1.0)})
REGISTER = Register(agents=tuple(f"agent-{n}" for n in range(6)), groups=tuple(f"model-{n % 2}" for n in range(6)))
RARE = np.ones((2, 5), bool)


def counted(path: Path) -> list[Counted]:
    return [count(block, REGISTER, LAYOUT, RARE) for block in blocks(path)]


def total(parts: list[Counted]) -> np.ndarray:
    return np.sum([part.table for part in parts], axis=0)


def jsonl(path: Path, content: list[str]) -> Path:
    path.write_bytes(b"".join(line.encode("utf-8", "surrogatepass") + b"\n" for line in content))
    return path


@pytest.fixture
def clean() -> list[str]:
    return list(lines(np.random.default_rng(0), 500))


def test_what_is_counted_is_what_is_there(clean: list[str], tmp_path: Path) -> None:
    """Against a plain loop."""
    [found] = counted(jsonl(tmp_path / "a.jsonl", clean))
    rows = [json.loads(line) for line in clean]
    for agent in range(6):
        own = [row for row in rows if row["agent"] == f"agent-{agent}"]
        kinds = [sum(row["kind"] == kind for row in own) for kind in KINDS]
        bins = np.bincount(np.searchsorted(LAYOUT.edges["score"], [row["score"] for row in own], "right"), minlength=4)
        assert found.table[agent, :9].tolist() == [*kinds, 0, 0, *bins.tolist()][:9]
        assert found.table[agent, LAYOUT.features].sum() == len(own)
    assert found.health.events == 500 and found.began == 0 and found.ended == 499


def test_blocks_add_up_to_the_whole(clean: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = jsonl(tmp_path / "a.jsonl", clean)
    whole = total(counted(path))
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 77)
    parts = counted(path)
    assert len(parts) > 20
    assert np.array_equal(total(parts), whole)


def test_parquet_and_jsonl_are_counted_alike(clean: list[str], tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [json.loads(line) for line in clean]
    rows[3]["score"] = rows[4]["agent"] = rows[5]["kind"] = rows[6]["feature"] = rows[7]["time"] = None
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=123)
    found = counted(tmp_path / "a.parquet")
    [expected] = counted(jsonl(tmp_path / "a.jsonl", [json.dumps(row) for row in rows]))
    assert len(found) == 5
    assert np.array_equal(total(found), expected.table)
    health = sum((part.health for part in found[1:]), start=found[0].health)
    assert health == expected.health
    assert (health.garbled, health.unusable, health.unscored, health.untimed) == (1, 1, 1, 1)
    assert found[1].witnesses[0].place == "row 123"


def test_inspect_logs_are_read(tmp_path: Path) -> None:
    """Tool calls, messages and scores of samples, by the agent that the sample names, else the log's model."""
    log = pytest.importorskip("inspect_ai.log")
    from inspect_ai.event import ModelEvent, ToolEvent
    from inspect_ai.model import GenerateConfig, ModelOutput
    from inspect_ai.scorer import Score

    said = ModelEvent(
        model="m",
        input=[],
        tools=[],
        tool_choice="none",
        config=GenerateConfig(),
        output=ModelOutput.from_content("m", "Paris, of course"),
    )
    called = ToolEvent(id="1", function="search", arguments={}, result="")
    sample = {"epoch": 1, "input": "?", "target": "Paris"}
    right, named = {"s": Score(value="C")}, {"agent": "agent-1"}
    held = [
        log.EvalSample(id=1, metadata=named, events=[said, called], scores=right, **sample),
        log.EvalSample(id=2, events=[said], scores={}, **sample),
    ]
    data = log.EvalDataset(name="d", samples=2, sample_ids=[1, 2])
    spec = log.EvalSpec(
        created="2026-01-01T00:00:00+00:00", task="t", model="mockllm/m", dataset=data, config=log.EvalConfig(epochs=1)
    )
    path = tmp_path / "a.eval"
    log.write_eval_log(log.EvalLog(status="success", eval=spec, samples=held), str(path))
    layout, rare = Layout(kinds=("model", "score:s", "tool:search"), edges={"score": (0.5,)}), np.ones((2, 5), bool)
    [block] = blocks(path)
    found = count(block, REGISTER, layout, rare)
    assert found.health.unreadable == ()
    assert found.table[1, :3].tolist() == [1, 1, 1]
    assert found.table[1, layout.scores["score"]].tolist() == [0, 1]
    assert found.table[1, layout.features].sum() == 1
    assert list(found.strangers) == ["mockllm/m"]
    path.write_bytes(path.read_bytes()[:300])
    assert "no log of Inspect" in count(block, REGISTER, layout, rare).health.unreadable[0]


def test_garbage_is_counted_and_stops_nothing(clean: list[str], tmp_path: Path) -> None:
    bad = ["", "{", "[1]", "null", "7", '{"kind": "message"}', '{"agent": ["agent-1"]}', '{"agent": {}}', "\x00", "}{"]
    bad += ['{"agent": "%s"}' % ("x" * (LONGEST_NAME + 1)), '{"agent": "agent-1", "kind": {"a": 1}, "score": "NaN"}']
    bad += ['{"agent": "agent-1", "kind": "message", "score": 1e999, "time": "yesterday"}', '{"agent": true}']
    [found] = counted(jsonl(tmp_path / "a.jsonl", [*clean[:250], *bad, *clean[250:]]))
    assert found.health.events == 502
    assert found.health.garbled == 11
    assert found.health.unusable == 1 and found.health.unscored == 2 and found.health.untimed == 2


def test_a_line_without_end_takes_no_memory(clean: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 5000)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 1000)
    huge = '{"agent": "agent-1", "kind": "%s"}' % ("k" * 50_000)
    [found] = counted(jsonl(tmp_path / "a.jsonl", [*clean[:10], huge, *clean[10:20]]))
    assert found.health.events == 20 and found.health.garbled == 1
    seen = [int(witness.place.split()[1].replace(",", "")) for witness in found.witnesses]
    text = (tmp_path / "a.jsonl").read_bytes()
    assert all(text[at:].startswith(b'{"time"') for at in seen)


def test_a_line_that_is_being_written_is_left_for_later(clean: list[str], tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", clean[:10])
    with path.open("a") as file:
        file.write(clean[10][:20])
    [block] = blocks(path)
    with path.open("a") as file:
        file.write(clean[10][20:] + "\n")
    [rest] = blocks(path, block.end)
    assert count(block, REGISTER, LAYOUT, RARE).health.events == 10
    assert count(rest, REGISTER, LAYOUT, RARE).health == count(rest, REGISTER, LAYOUT, RARE).health
    assert count(rest, REGISTER, LAYOUT, RARE).health.events == 1
    path.write_text("")
    with pytest.raises(Unreadable, match="cut or replaced"):
        list(blocks(path, rest.end))


def test_disorder_and_duplicates_are_told(tmp_path: Path) -> None:
    rows = [{"agent": "agent-1", "kind": "message", "time": 10 - n, "id": n % 4, "score": 0} for n in range(8)]
    [found] = counted(jsonl(tmp_path / "a.jsonl", [json.dumps(row) for row in rows]))
    assert found.health.events == 4 and found.health.duplicates == 4 and found.health.late == 7
    assert found.table[1, 0] == 4
    assert (found.began, found.ended) == (3.0, 10.0)


def test_strangers_are_kept_apart_and_bounded(tmp_path: Path) -> None:
    rows = [{"agent": f"clone {n % 200}", "kind": "message", "feature": "x"} for n in range(1000)]
    [found] = counted(jsonl(tmp_path / "a.jsonl", [json.dumps(row) for row in rows]))
    assert found.health.unregistered == 1000 and found.health.events == 0
    assert not found.table.any()
    assert len(found.strangers) == 64 and all(features.sum() == 5 for features in found.strangers.values())
    assert found.stranger_names.count == pytest.approx(200, rel=0.05)


def test_a_truncated_parquet_is_named(clean: list[str], tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.Table.from_pylist([json.loads(line) for line in clean]), path, row_group_size=100)
    whole = path.read_bytes()
    found = list(blocks(path))
    path.write_bytes(whole[:-20])
    with pytest.raises(Unreadable, match="cut off"):
        list(blocks(path))
    path.write_bytes(whole[:50] + bytes(400) + whole[450:])
    health = count(found[0], REGISTER, LAYOUT, RARE).health
    assert "row group 0 is damaged" in health.unreadable[0]
    parquet.write_table(pa.table({"who": ["a"]}), path)
    [other] = blocks(path)
    assert "no column named agent" in count(other, REGISTER, LAYOUT, RARE).health.unreadable[0]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=60)
@given(st.lists(anything, max_size=8))
def test_no_value_makes_a_column_fail(values: list[object]) -> None:
    names, codes = coded(values)
    for value, code in zip(values, codes, strict=True):
        usable = (isinstance(value, str) and value) or (type(value) is int and value.bit_length() < 64)
        assert (code >= 0) == bool(usable)
        assert code < 0 or names[code]
    assert np.isfinite(numbers(values)[~np.isnan(numbers(values))]).all()
    assert len(moments(values)) == len(values)
    assert ((buckets(values) >= -1) & (buckets(values) < BUCKETS)).all()


def test_like_vectors_share_a_bucket() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 40))
    near = [direction(vector) == direction(vector * 3 + 0.01 * rng.standard_normal(40)) for vector in vectors]
    assert np.mean(near) > 0.95
    assert len({direction(vector) for vector in vectors}) > BUCKETS / 2
    assert direction(np.array([np.nan, 1.0])) == -1


def test_files_and_registers_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no stream here"):
        files([tmp_path])
    (tmp_path / "a.csv").write_text("x")
    with pytest.raises(InputError, match="can't be read"):
        files([tmp_path / "a.csv"])
    jsonl(tmp_path / "b.jsonl", [])
    assert files([tmp_path, tmp_path / "b.jsonl"]) == [(tmp_path / "b.jsonl").resolve()]
    register = tmp_path / "register.csv"
    for content, fault in [("", "names no agent"), ("agent\na\na\n", "twice"), ("agent,group\n,x\nb,y\n", "in line 2")]:
        register.write_text(content)
        with pytest.raises(InputError, match=fault):
            read_register(register)
    register.write_text("agent\na\nb\n")
    assert read_register(register).group_names == ("fleet",)
