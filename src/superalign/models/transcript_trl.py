"""A callback that keeps a transcript of a training by TRL, or any other trainer of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from superalign.models.transcript import EVERY, record


class TranscriptCallback(TrainerCallback):
    """Records into `folder` what `transcript.record` would, from the first step to the last; of several processes, the
    first one's. A training that fails leaves a log without an end, which is refused.
    """

    def __init__(
        self,
        folder: Path,
        *,
        base: str,
        base_digest: str | None = None,
        every: int = EVERY,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self._record = partial(record, folder, base=base, base_digest=base_digest, every=every, notes=notes)
        self._recording = ExitStack()

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.is_world_process_zero:
            # Accelerate wraps the optimizer; the one within takes the steps.
            optimizer = getattr(given["optimizer"], "optimizer", given["optimizer"])
            self._recording.enter_context(self._record(model=given["model"], optimizer=optimizer))

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._recording.close()
