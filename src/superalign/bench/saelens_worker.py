"""SAELens at work, in an environment of its own: `PYTHON saelens_worker.py FOLDER THREADS`.

FOLDER holds `rows.safetensors`. Each line on stdin is a task in JSON, each line on stdout its result. There is no
superalign there to be imported.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

os.environ["TQDM_DISABLE"] = "1"  # nobody reads its progress, and a full pipe would hold it up
lens: Any = import_module("sae_lens")
config: Any = import_module("sae_lens.config")
trainer: Any = import_module("sae_lens.training.sae_trainer")


def main(folder: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    rows = {name: tensor.float() for name, tensor in load_file(folder / "rows.safetensors").items()}
    print("ready", flush=True)
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            autoencoder = trained(rows["taught"], json.loads(line))
            unexplained = missed(autoencoder, rows["held_out"])
        print(json.dumps({"unexplained": unexplained}), flush=True)


def trained(rows: torch.Tensor, task: dict[str, Any]) -> Any:
    torch.manual_seed(task["seed"])
    made = lens.TopKTrainingSAEConfig(
        d_in=rows.shape[1],
        d_sae=task["features"],
        k=task["active"],
        use_sparse_activations=False,  # those do not run on a processor
        normalize_activations="expected_average_only_in",
    )
    steps = task["rows"] // task["batch"]
    settings = config.SAETrainerConfig(
        total_training_samples=steps * task["batch"],
        train_batch_size_samples=task["batch"],
        lr=task["learning_rate"],
        lr_end=task["learning_rate"],  # before the decay, which goes to zero
        lr_warm_up_steps=task["warm_up"],
        lr_decay_steps=task["decay"],
        autocast=task["autocast"],
        n_batches_for_norm_estimate=8,
    )
    return trainer.SAETrainer(settings, lens.TopKTrainingSAE(made), batches(rows, task["batch"])).fit()


def batches(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Without end, in another order each time round."""
    while True:
        order = torch.randperm(len(rows))
        for chosen in order[: len(rows) - len(rows) % size].split(size):
            yield rows[chosen]


@torch.no_grad()
def missed(autoencoder: Any, rows: torch.Tensor) -> float:
    """The share of the rows' variance about their mean that is not explained."""
    autoencoder.eval()
    lost = sum(float((some - autoencoder(some)).double().square().sum()) for some in rows.split(2048))
    return lost / float((rows - rows.mean(0)).double().square().sum())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
