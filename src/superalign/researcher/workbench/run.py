"""Runs a solution on samples, confined: `run.py JOB GIVEN`. Answers go as JSON to the open file that ANSWER_FD numbers.

The job is a folder with `job.json` (an expression or a program, and a seed) and, for an expression, the problem's
workbench: `parts.py`, or `parts`, a package. `GIVEN` holds a file of arrays for each sample. Nothing but the answers
counts: what is printed is shown to people and never read by a program.
"""

import importlib.util
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Solve = Callable[[dict[str, Any]], dict[str, Any]]


def main(job_folder: Path, given_folder: Path) -> None:
    job = json.loads((job_folder / "job.json").read_text())
    solve = program(job_folder / "program.py") if job["program"] else interpreter(next(job_folder.glob("parts*")), job)
    answers: dict[str, dict[str, Any]] = {}
    for number, path in enumerate(sorted(given_folder.glob("*.safetensors"))):
        random.seed(job["seed"] + number)
        np.random.seed((job["seed"] + number) % 2**32)  # so that a solution that draws is the same when it is run again
        try:
            answers[path.stem] = {"answer": plain(solve(load_file(path)))}
        except Exception as error:  # a solution can fail in any way, and on one sample only
            answers[path.stem] = {"failed": f"{type(error).__name__}: {error}"[:500]}
    with os.fdopen(int(os.environ["ANSWER_FD"]), "w") as out:
        json.dump(answers, out)


def interpreter(parts_path: Path, job: dict[str, Any]) -> Solve:
    """The expression as a function, made of the parts of the problem's language."""
    parts = module(parts_path, "parts").PARTS

    def value(expression: dict[str, Any], given: dict[str, Any]) -> Any:
        inputs = [value(child, given) for child in expression["inputs"]]
        return parts[expression["part"]](given, *inputs, **expression["parameters"])

    return lambda given: value(job["expression"], given)


def program(path: Path) -> Solve:
    """The function `solve` of a solution's own file."""
    solve: Solve = module(path, "program").solve
    return solve


def module(path: Path, name: str) -> ModuleType:
    """What a file holds, or the package in a folder."""
    package = path.is_dir()
    spec = importlib.util.spec_from_file_location(
        name, path / "__init__.py" if package else path, submodule_search_locations=[str(path)] if package else None
    )
    assert spec and spec.loader
    loaded = sys.modules[name] = importlib.util.module_from_spec(spec)  # where its own files look for it
    spec.loader.exec_module(loaded)
    return loaded


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Arrays as lists, with their shapes kept by nesting; numbers and booleans only."""
    arrays = {str(name): np.asarray(array) for name, array in answer.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "bifu":
            raise TypeError(f"{name} holds {array.dtype}, not numbers")
    return {name: array.tolist() for name, array in arrays.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
