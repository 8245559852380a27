"""garak against `superalign serve`. Its pins conflict with ours: `make garak` makes a Python of its own for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import KEY, started

GARAK_PYTHON = os.environ.get("GARAK_PYTHON")


@pytest.mark.skipif(not GARAK_PYTHON, reason="GARAK_PYTHON names no Python that has garak")
def test_a_probe_of_garak_gets_an_answer_to_each_of_its_prompts(model: Path, tmp_path: Path) -> None:
    """Its test probe, some harmless strings of many scripts, one of them empty."""
    with started("--model", model, "--api-key-env", "SERVED_KEY", "--max-tokens", "8") as (_, address):
        options = {"openai": {"OpenAICompatible": {"uri": f"{address}/", "api_key": KEY, "max_tokens": 8}}}
        done = subprocess.run(
            [
                *(str(GARAK_PYTHON), "-m", "garak", "--target_type", "openai.OpenAICompatible"),
                *("--target_name", str(model), "--generator_options", json.dumps(options)),
                *("--probes", "test.Test", "--detectors", "always.Pass", "--generations", "1"),
                *("--report_prefix", str(tmp_path / "report")),
            ],
            cwd=tmp_path,
            env=os.environ | {"OPENAICOMPATIBLE_API_KEY": KEY, "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=900,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    lines = [json.loads(line) for line in (tmp_path / "report.report.jsonl").read_text().splitlines()]
    attempts = [line for line in lines if line["entry_type"] == "attempt" and line["status"] == 2]
    assert len(attempts) == 8, said
    assert all(attempt["outputs"] and attempt["outputs"][0] is not None for attempt in attempts), said
