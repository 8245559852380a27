"""nanoGCG at work, in an environment of its own: `PYTHON nanogcg_worker.py FOLDER THREADS`.

FOLDER holds the model and `prepared.json`. Each line on stdin is a task in JSON, each line on stdout its result. There
is no superalign there to be imported.
"""

import contextlib
import gc
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

nanogcg: Any = import_module("nanogcg")


def main(folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    prepared = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    model: Any = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32)
    # Told of a token that opens texts, it would delete that token wherever the chat template writes it.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), chat_template=prepared["chat_template"]
    )
    forbidden = torch.tensor(prepared["forbidden"])
    nanogcg.gcg.get_nonascii_toks = lambda *_, **__: forbidden
    gc.collect = lambda *_: 0  # it collects garbage after each batch, which is no part of the method
    tried = counted()
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        tried.clear()
        config = nanogcg.GCGConfig(**task["config"], use_prefix_cache=True, verbosity="ERROR")
        with contextlib.redirect_stdout(sys.stderr):
            result = nanogcg.run(model.eval(), tokenizer, task["message"], task["target"], config)
        print(json.dumps({"losses": result.losses, "tried": sum(tried[1:])}), flush=True)  # the first is the start


def counted() -> list[int]:
    """A list that takes the number of slots whose losses are computed, each time."""
    found: list[int] = []
    compute = nanogcg.gcg.GCG._compute_candidates_loss_original

    def counting(self: Any, batch: int, embedded: torch.Tensor) -> torch.Tensor:
        found.append(len(embedded))
        losses: torch.Tensor = compute(self, batch, embedded)
        return losses

    nanogcg.gcg.GCG._compute_candidates_loss_original = counting
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
