"""Watching: alarms are the same whoever counts, survive a kill, and are never about the reference itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from superalign.cli.app import app
from superalign.contracts.errors import InputError, RunError, SuperalignError
from superalign.control.fleet import reading, saved
from superalign.control.fleet import watch as watching
from superalign.control.fleet.baseline import Baseline, fit
from superalign.control.fleet.monitor import Monitor
from superalign.control.fleet.register import read_register
from superalign.control.fleet.sight import report
from superalign.control.fleet.watch import begin, opened, watch
from superalign.runs.launch import Launch
from tests.control.fleet.fleets import lines, write, write_register

EVENTS = 6000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A register, a reference, a clean stream and one with something rare, a stranger and garbage."""
    folder, rng = tmp_path_factory.mktemp("scene"), np.random.default_rng(0)
    write_register(folder / "register.csv")
    write(folder / "reference.jsonl", lines(rng, 40_000))
    write(folder / "clean.jsonl", lines(rng, EVENTS))
    write(folder / "bad.jsonl", lines(rng, EVENTS, bad=0.01))
    with (folder / "bad.jsonl").open("a") as file:
        file.writelines(f"{line}\n" for line in lines(rng, 300, agents=1, names="clone"))
        file.write("garbage\n")
    return folder


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100_000)


@pytest.fixture(scope="module")
def baseline(scene: Path) -> Baseline:
    return fit([scene / "reference.jsonl"], read_register(scene / "register.csv"), 0.01)[0]


def started(folder: Path, baseline: Baseline) -> Path:
    folder.mkdir()
    saved.save_baseline(folder, baseline)
    return folder


def told(monitor: Monitor) -> str:
    return report(monitor).model_copy(update={"seconds": 0}).model_dump_json()


def test_a_clean_stream_raises_nothing_and_says_what_would_be_seen(
    scene: Path, baseline: Baseline, tmp_path: Path, small_blocks: None
) -> None:
    found = report(watch(started(tmp_path / "w", baseline), [scene / "clean.jsonl"]))
    assert found.alarms == () and found.blocks > 4 and found.health.events == EVENTS
    smallest = {(sight.level, sight.what): sight.smallest for sight in found.sight}
    assert smallest["fleet", "rate of a new kind"] < smallest["agent", "rate of a new kind"] < 1  # type: ignore[operator]


def test_a_bad_stream_raises_alarms_with_evidence(
    scene: Path, baseline: Baseline, tmp_path: Path, small_blocks: None
) -> None:
    """Each witness is looked up."""
    monitor = watch(started(tmp_path / "w", baseline), [scene / "bad.jsonl"])
    found = {(alarm.what, alarm.level): alarm for alarm in report(monitor).alarms}
    assert set(found) >= {("rare", "fleet"), ("unregistered", "agent")}
    text = (scene / "bad.jsonl").read_bytes()
    for witness in found["rare", "fleet"].witnesses:
        row = json.loads(text[int(witness.place.split()[1].replace(",", "")) :].split(b"\n")[0])
        assert (row["agent"], row["kind"]) == (witness.agent, "tool:exfiltrate")
    assert found["rare", "fleet"].witnesses
    assert "it is like model-0; 1 of 2 groups are ruled out" in found["unregistered", "agent"].says
    health = report(monitor).health
    assert (health.unregistered, health.garbled) == (300, 1)
    assert any("name no agent" in line for line in report(monitor).not_covered)


def test_workers_and_pauses_change_nothing(
    scene: Path, baseline: Baseline, tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = told(watch(started(tmp_path / "here", baseline), [scene / "bad.jsonl"]))
    folder = started(tmp_path / "workers", baseline)
    assert told(watch(folder, [scene / "bad.jsonl"], Launch(jobs=2))) == whole
    assert not list((folder / "steps").iterdir())  # the disk does not fill up
    folder, take, taken = started(tmp_path / "killed", baseline), Monitor.take, 0

    def killed(*arguments: object) -> object:
        nonlocal taken
        taken += 1
        if taken == 4:
            raise KeyboardInterrupt
        return take(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(watching, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(Monitor, "take", killed)
    with pytest.raises(KeyboardInterrupt):
        watch(folder, [scene / "bad.jsonl"])
    monkeypatch.undo()
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100_000)
    assert opened(folder).state.blocks == 3
    assert told(watch(folder, [scene / "bad.jsonl"])) == whole
    assert told(watch(folder, [scene / "bad.jsonl"])) == whole  # nothing is counted twice


def test_state_does_not_grow_with_the_stream(
    scene: Path, baseline: Baseline, tmp_path: Path, small_blocks: None
) -> None:
    sizes = []
    for many in (1, 4):
        stream = tmp_path / f"{many}.jsonl"
        stream.write_bytes((scene / "clean.jsonl").read_bytes() * many)
        watch(started(tmp_path / f"w{many}", baseline), [stream])
        sizes.append((tmp_path / f"w{many}" / saved.STATE).stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 200


def test_a_reference_with_unlike_agents_is_refused(scene: Path, tmp_path: Path) -> None:
    """One of them scores higher: a clean stream of theirs would raise alarms."""
    rng = np.random.default_rng(1)
    odd = [line.replace("agent-0", "agent-2") for line in lines(rng, 3000, agents=1, shift=1.0)]
    stream = write(tmp_path / "odd.jsonl", iter([*lines(rng, 20_000), *odd]))
    register = read_register(scene / "register.csv")
    with pytest.raises(InputError, match=r"agent-2.*unlike the rest.*--tolerance"):
        begin(tmp_path / "w", [stream], register, 0.01)
    begin(tmp_path / "w", [stream], register, 0.01, tolerance=0.4)
    with pytest.raises(InputError, match="after looking"):
        begin(tmp_path / "w", [stream], register, 0.01, tolerance=0.4)


def test_a_damaged_or_foreign_state_is_refused(scene: Path, baseline: Baseline, tmp_path: Path) -> None:
    folder = started(tmp_path / "w", baseline)
    watch(folder, [scene / "clean.jsonl"])
    state = (folder / saved.STATE).read_bytes()
    (folder / saved.STATE).write_bytes(state[:1000])
    with pytest.raises(RunError, match="damaged"):
        opened(folder)
    (folder / saved.STATE).write_bytes(state)
    other = Baseline(**{**vars_of(baseline), "promise": 0.3})
    saved.save_baseline(folder, other)
    with pytest.raises(RunError, match="another baseline"):
        opened(folder)


def vars_of(baseline: Baseline) -> dict[str, object]:
    return {name: getattr(baseline, name) for name in Baseline.__dataclass_fields__}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("COLUMNS", "80")
    return CliRunner().invoke(app, ["monitor", *arguments])


def test_the_command(scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = str(tmp_path / "w")
    first = ["--register", str(scene / "register.csv"), "--reference", str(scene / "reference.jsonl")]
    clean = command(monkeypatch, str(scene / "clean.jsonl"), "--state", state, *first, "--promise", "0.02")
    assert clean.exit_code == 0, clean.output
    assert "at most 2" in clean.stdout and max(map(len, clean.stdout.splitlines())) <= 80
    bad = command(monkeypatch, str(scene / "bad.jsonl"), "--state", state)
    assert bad.exit_code == 3
    assert "tool:exfiltrate by agent-" in bad.stdout and "ALARM" in bad.stderr
    assert bad.stdout.index("fleet  ") < bad.stdout.index("is not in the register")
    again = command(monkeypatch, "--state", state, "--json")
    assert again.exit_code == 3
    found = json.loads(again.stdout)
    assert found["health"]["events"] == 2 * EVENTS and found["promise"] == 0.02
    clash = ["--state", str(tmp_path / "v"), "--register", str(scene / "register.csv")]
    own = command(monkeypatch, str(scene / "bad.jsonl"), *clash, "--reference", str(scene))
    for wrong, fault in [
        (own, "its own reference"),
        (command(monkeypatch, "--state", state, "--promise", "0.1"), "fixed with the baseline"),
        (command(monkeypatch, "--state", str(tmp_path / "nothing")), "no baseline here"),
        (command(monkeypatch, str(scene / "bad.jsonl"), *clash), "--reference"),
    ]:
        assert isinstance(wrong.exception, SuperalignError) and wrong.exception.exit_code == 2
        assert fault in str(wrong.exception)
