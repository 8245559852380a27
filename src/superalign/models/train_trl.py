"""The trl back end: TRL's SFTTrainer under Accelerate, in processes of their own; one, or several on several devices.

What the processes need goes to them as files: the base as safetensors, the lessons' tokens as safetensors, the job as
JSON. What they leave is moved in place when all of them have ended well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from superalign.contracts.errors import InputError, RunError
from superalign.contracts.records import Record
from superalign.models.learning import Fit
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.subject import ModelSubject
from superalign.runs.progress import advance

if TYPE_CHECKING:  # never imported here, but its source counts with the code that a step ran
    from superalign.models import trl_worker  # noqa: F401

WORKER = "superalign.models.trl_worker"
LAST_LINES = 12
STEP = "superalign step "  # how the worker tells how far it is
OUTCOME = "fit.json"
FAILURE = "failure.txt"


class Job(Record):
    """What the worker reads. `folder` holds `base`, `lessons.safetensors` and, for the results, `out`."""

    folder: Path
    base_name: str
    recipe: Recipe
    seed: int
    start: Path | None
    cpu: bool


def train_with_trl(base: ModelSubject, pupil: Pupil, recipe: Recipe) -> Fit:
    """Leave adapters in peft's format, or the changed tensors of the whole model, in the pupil's folder. RunError with
    the last lines of its log when a worker fails; then nothing is left.
    """
    check_ready(recipe)
    device = base.decoder.device
    with tempfile.TemporaryDirectory(dir=pupil.folder, prefix=".trl-") as place:
        work = Path(place)
        lay_out(base, work)
        save_lessons(pupil.lessons, work / "lessons.safetensors")
        job = Job(
            folder=work.absolute(),
            base_name=base.name,
            recipe=recipe,
            seed=pupil.seed,
            start=pupil.start and pupil.start.absolute(),
            cpu=device.type == "cpu",
        )
        (work / "job.json").write_text(job.model_dump_json())
        launch(WORKER, work / "job.json", recipe, device)
        done = Fit.model_validate_json((work / OUTCOME).read_bytes())
        for path in sorted((work / "out").iterdir()):
            path.replace(pupil.folder / path.name)
    return done


def check_ready(recipe: Recipe) -> None:
    """InputError where TRL is missing, or can't follow the recipe."""
    if find_spec("trl") is None:
        raise InputError(
            "The back end `trl` needs TRL, which is not installed.", fix="pip install 'superalign[training]'"
        )
    if recipe.batch % recipe.processes:
        raise InputError(
            f"A batch of {recipe.batch} can't be shared evenly by {recipe.processes} processes.",
            fix="Make `batch` a multiple of `processes`.",
        )


def lay_out(base: ModelSubject, work: Path) -> None:
    """The base as a worker reads it, and the folder for what it leaves."""
    base.decoder.model.save_pretrained(work / "base")
    base.chat.tokenizer.save_pretrained(work / "base")
    (work / "out").mkdir()


def launch(worker: str, job: Path, recipe: Recipe, device: torch.device) -> None:
    """Run the processes of the module `worker` to their end. RunError when one fails; none outlives this call."""
    module = ["-m", worker, str(job)]
    spread = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={recipe.processes}"]
    command = [sys.executable, *(spread if recipe.processes > 1 else []), *module]
    process = subprocess.Popen(
        command,
        env=environment(recipe.processes, device),
        stdin=subprocess.PIPE,  # never written to: that it closes tells the workers that this process is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    log: deque[str] = deque(maxlen=LAST_LINES)
    try:
        for line in process.stdout or ():
            done = line.removeprefix(STEP).strip()
            if line.startswith(STEP) and done.isdigit():
                advance(int(done), recipe.steps)
            elif line.strip():
                log.append(line.rstrip())
        code = process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
    if code:
        reason = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        failure = job.parent / FAILURE
        lines = failure.read_text().splitlines() if failure.is_file() else list(log)
        raise RunError(
            f"Training with TRL {reason}. Its last lines:\n" + "\n".join(lines[-LAST_LINES:]) + "\n",
            fix="Mend what they say and run the same command again; nothing half-trained was kept.",
        )


def environment(processes: int, device: torch.device) -> dict[str, str]:
    """This process's, with its threads shared out, nothing sent anywhere, and one device where there is one process."""
    found = dict(os.environ)
    found |= {
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // processes)),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if device.type == "cuda" and processes == 1:
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        index = device.index or 0
        found["CUDA_VISIBLE_DEVICES"] = visible[index] if visible else str(index)
    return found


def save_lessons(lessons: Sequence[Lesson], path: Path) -> None:
    """Tokens of all prompts and answers in a row, with where each ends, and a number for each group."""
    groups = {group: i for i, group in enumerate(dict.fromkeys(lesson.group for lesson in lessons if lesson.group))}
    tensors = {"groups": torch.tensor([groups.get(lesson.group or "", -1) for lesson in lessons])}
    for name, all_tokens in (
        ("prompt", [lesson.prompt for lesson in lessons]),
        ("answer", [lesson.answer for lesson in lessons]),
    ):
        tensors[name] = torch.tensor([token for tokens in all_tokens for token in tokens])
        tensors[f"{name}_lengths"] = torch.tensor([len(tokens) for tokens in all_tokens])
    save_file(tensors, path)


def load_lessons(path: Path) -> list[Lesson]:
    """What `save_lessons` wrote; groups by their numbers."""
    tensors = load_file(path)
    prompts, answers = (
        [tuple(part.tolist()) for part in tensors[name].split(tensors[f"{name}_lengths"].tolist())]
        for name in ("prompt", "answer")
    )
    groups = [None if number < 0 else str(number) for number in tensors["groups"].tolist()]
    return [Lesson(*lesson) for lesson in zip(prompts, answers, groups, strict=True)]
