"""`inspect eval --model superalign/NAME`, as users type it: a tiny model, a tiny task, and the log it leaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog, read_eval_log

from superalign.models.answering import Answerer, Ask, Piece
from superalign.models.generate import Sampling
from superalign.models.handle import open_alone
from superalign.models.inspect_provider import SuperalignModel
from superalign.testing.tiny import tiny_model
from tests.models.conftest import user

ROOT = Path(__file__).parents[2]
TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import think

QUESTIONS = {questions!r}

@task
def ask(tools=False, **config):
    samples = [Sample(input=question, target="Yes") for question in QUESTIONS]
    solver = [use_tools(think()), generate()] if tools else generate()
    return Task(dataset=samples, solver=solver, scorer=includes(), config=GenerateConfig(**config))
"""
QUESTIONS = [f"Is Paris in France{'?' * i}" for i in range(5)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task, and this tree's entry points, as `pip install` would write them, whatever is installed."""
    (tmp_path / "task.py").write_text(TASK.format(questions=QUESTIONS))
    installed = tmp_path / "installed" / "superalign-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: superalign\nVersion: 0\n")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items()) for group, points in groups.items()]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def inspect_eval(folder: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    path = [str(folder / "installed"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [
            *(sys.executable, "-c", "from inspect_ai._cli.main import main; main()", "eval", "task.py"),
            *("--display", "plain", "--log-dir", "logs", "--log-format", "json", *map(str, options)),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def log(folder: Path) -> EvalLog:
    [path] = (folder / "logs").iterdir()
    return read_eval_log(str(path))


def pieces(answerer: Answerer, ask: Ask) -> list[Piece]:
    return [piece for _, piece in answerer.answer(answerer.rows(ask))]


def test_samples_are_answered_as_the_model_answers(folder: Path, model: Path) -> None:
    options = ["--seed", "3", "--temperature", "0.9", "--max-tokens", "20", "--logprobs", "--top-logprobs", "2"]
    done = inspect_eval(folder, "--model", f"superalign/{model}", "-M", "dtype=float32", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    found = log(folder)
    assert found.status == "success" and found.samples and len(found.samples) == len(QUESTIONS)
    answerer = Answerer(open_alone(str(model), dtype="float32")[0])
    for sample in found.samples:
        ask = Ask(answerer.encode(user(str(sample.input))), 20, Sampling(0.9, 1.0, 3), likeliest=2)
        expected = pieces(answerer, ask)
        assert sample.output.completion == "".join(piece.text for piece in expected)
        assert sample.output.stop_reason == ("stop" if expected[-1].end == "stop" else "max_tokens")
        [usage] = sample.model_usage.values()
        assert (usage.input_tokens, usage.output_tokens) == (len(ask.prompt), expected[-1].written)
        logprobs = sample.output.choices[0].logprobs
        assert logprobs
        tokens = [token for piece in expected for token in piece.tokens]
        assert [token.logprob for token in logprobs.content] == pytest.approx([t.logprob for t in tokens], abs=1e-4)
        assert all(token.top_logprobs and len(token.top_logprobs) == 2 for token in logprobs.content)


def test_stop_sequences_and_the_end_of_the_context(folder: Path, model: Path) -> None:
    options = ["--temperature", "0", "--max-tokens", "5000", "--stop-seqs", "a,e"]
    done = inspect_eval(folder, "--model", f"superalign/{model}", "--limit", "2", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    for sample in log(folder).samples or []:
        assert sample.output.stop_reason in ("stop", "model_length")
        assert not {"a", "e"} & set(sample.output.completion)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [("smollm-135m", {}, "Did you mean 'smollm2-135m'?"), ("{model}", {"bass": "x"}, "Did you mean -M base=...?")],
)
def test_errors_name_the_fix(model: Path, name: str, arguments: dict[str, str], says: str) -> None:
    with pytest.raises(PrerequisiteError, match=re.escape(says)):  # of which Inspect shows no traceback
        SuperalignModel(name.format(model=model), **arguments)


def test_what_no_model_of_ours_does_is_told_without_a_traceback(folder: Path, model: Path) -> None:
    done = inspect_eval(folder, "--model", f"superalign/{model}", "--top-k", "5")
    said = " ".join((done.stdout + done.stderr).split())
    assert "superalign models know no top_k" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "says"), [("tools=True", "calls no tools"), ("best_of=3", "superalign models know no best_of")]
)
def test_a_task_that_asks_for_more_fails_with_the_reason(folder: Path, model: Path, options: str, says: str) -> None:
    inspect_eval(folder, "--model", f"superalign/{model}", "-T", options)
    found = log(folder)
    assert found.status == "error" and found.error and says in found.error.message
