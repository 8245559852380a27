"""A slot filled step by step by the gradient, so that an answer becomes likely: ours against nanoGCG.

Both draw the same candidates from the same random numbers, so that they go the same way until rounding parts them: what
is compared is how long the same losses take. nanoGCG needs an older transformers, and runs in an environment of its
own, which this bench does not make (`bench.worker` says how).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from superalign.bench.compare import Ends, Peer, Settings, compare
from superalign.bench.records import Benchmark, Figure
from superalign.bench.worker import peer_python, working
from superalign.contracts.errors import InputError
from superalign.contracts.records import Message
from superalign.models.decoder import Decoder
from superalign.models.slot import SLOT, Slotted, typed_tokens
from superalign.models.slot_loss import PASSES_OF_GRADIENT, Says, SlotLoss, SlotModel
from superalign.models.source import Loaded, load, resolve
from superalign.models.subject import Chat
from superalign.robustness.coordinate_gradient import step
from superalign.runs.cost import metered

GOAL = 2.5
SAME = 0.001  # nats
BOUND = 0.05  # nats by which ours may end worse, over all rounds
NANOGCG, TRANSFORMERS = "0.3.0", "4.47.1"  # the last transformers that it works with
PACKAGES = f"nanogcg=={NANOGCG} transformers=={TRANSFORMERS}"


@dataclass(frozen=True)
class Work:
    """A message with a slot behind it, and the answer that the slot is to bring about. A step tries `width` slots, that
    differ in one token, one of `top` for each place. The peer runs `batch` of them at once.
    """

    model: str = "smollm2-135m"
    message: str = "Write one sentence about the moon."
    target: str = "The moon is made of green cheese."
    start: str = " x" * 20
    steps: int = 10
    width: int = 64
    top: int = 64
    batch: int = 64


@dataclass(frozen=True)
class Descent:
    """The lowest loss of each step, and how many slots were tried in all."""

    losses: list[float]
    tried: int

    @property
    def lowest(self) -> float:
        return min(self.losses)


def run(settings: Settings, work: Work | None = None, python: Path | None = None) -> Benchmark:
    """The bench, in float32; each round with another seed. `python` is that of the peer's environment."""
    work, python = work or Work(), python or peer_python("nanoGCG", "nanogcg", PACKAGES)
    if torch.device(settings.device).type != "cpu":
        raise InputError("nanoGCG is measured on the processor only.", fix="Leave out --device.")
    loaded = load(resolve(work.model), settings.device, torch.float32)
    chat, decoder = Chat(loaded.tokenizer), Decoder(loaded.model)
    equal, seeds = ends(settings.repeats + 1), count()
    with ExitStack() as stack:
        found = compare(
            "search",
            lambda: descend(decoder, chat, work, next(seeds)),
            {"nanoGCG": Peer(GOAL, equal, lambda: stack.enter_context(nanogcg(python, loaded, work)))},
            settings,
            notes=notes(work),
        )
    return found.model_copy(update={"figures": figures(equal, (found.ours.seconds, found.peer.seconds))})


def ends(rounds: int) -> Ends[Descent]:
    return Ends("lowest loss", lambda descent: descent.lowest, BOUND, rounds)


def figures(found: Ends[Descent], seconds: tuple[Sequence[float], Sequence[float]]) -> tuple[Figure, ...]:
    """Time for each candidate, of the rounds that were timed: all but the first; and how long both went one way."""
    pairs = zip(found.ours, found.peers, strict=True)
    steps = [abs(a - b) <= SAME for one, other in pairs for a, b in zip(one.losses, other.losses, strict=True)]
    each = [
        sum(taken) / sum(descent.tried for descent in descents[1:])
        for taken, descents in zip(seconds, (found.ours, found.peers), strict=True)
    ]
    return (
        Figure(
            name="time per candidate",
            unit="times the peer's speed",
            value=each[1] / each[0],
            at_least=GOAL,
            how=f"{1000 * each[0]:.1f} ms of ours and {1000 * each[1]:.1f} ms of the peer's for each slot tried, "
            "gradients included.",
        ),
        Figure(name="steps alike", value=sum(steps) / len(steps), how=f"Whose losses are the same to {SAME:g}."),
    )


def descend(decoder: Decoder, chat: Chat, work: Work, seed: int) -> Descent:
    """Ours."""
    asked = Slotted.of(chat, (Message(role="user", content=work.message + SLOT),))
    [slot] = asked.tokens_of(chat, [work.start])
    if slot is None:
        raise InputError("The start of the search is no text of its own.", where=repr(work.start), fix="Change it.")
    loss = SlotLoss(SlotModel(decoder), [asked], [Says(chat.answer(work.target, end=False))])
    allowed, losses = typed_tokens(chat), list[float]()
    generator = torch.Generator().manual_seed(seed)
    with metered() as meter:
        for _ in range(work.steps):
            best = step(loss, chat, slot, allowed, width=work.width, top=work.top, generator=generator)[0]
            slot = best.slot
            losses.append(best.loss)
    return Descent(losses, meter.cost().forward_passes - work.steps * PASSES_OF_GRADIENT)


@contextmanager
def nanogcg(python: Path, loaded: Loaded, work: Work) -> Iterator[Callable[[], Descent]]:
    """A descent of nanoGCG's, for seeds from 0 on, in a process that has the model."""
    chat, seeds = Chat(loaded.tokenizer), count()
    with TemporaryDirectory() as scratch:
        write_model(Path(scratch), loaded, chat)
        with working("nanoGCG", python, "nanogcg_worker.py", Path(scratch)) as ask:

            def descent() -> Descent:
                config = {
                    "num_steps": work.steps,
                    "optim_str_init": work.start,
                    "search_width": work.width,
                    "topk": work.top,
                    "batch_size": work.batch,
                    "seed": next(seeds),
                }
                return Descent(**ask({"message": work.message, "target": work.target, "config": config}))

            yield descent


def write_model(folder: Path, loaded: Loaded, chat: Chat) -> None:
    """The model as an older transformers reads it, and what nanoGCG is told of the tokenizer."""
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= config.pop("rope_parameters", {})  # where it had them before transformers 5
    path.write_text(json.dumps(config), encoding="utf-8")
    allowed = set(typed_tokens(chat))
    prepared = {
        "chat_template": chat.tokenizer.chat_template,
        "forbidden": [
            token for token in range(len(loaded.model.get_input_embeddings().weight)) if token not in allowed
        ],
    }
    (folder / "prepared.json").write_text(json.dumps(prepared), encoding="utf-8")


def notes(work: Work) -> tuple[str, ...]:
    return (
        f"{work.model} in float32 is asked {work.message!r} with {len(work.start.split())} tokens behind it, which are "
        f"changed one at a time, in {work.steps} steps of {work.width} candidates, until it answers {work.target!r}; "
        "each round has another seed, the same for both.",
        f"nanoGCG {NANOGCG} with transformers {TRANSFORMERS} runs in a process of its own: prefix cache on, batches of "
        f"{work.batch}, the same tokens allowed, and its collection of garbage after each batch left out.",
    )
