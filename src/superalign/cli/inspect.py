"""`superalign inspect`: was this model trained as its transcript says?"""

from __future__ import annotations

import importlib
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table

if TYPE_CHECKING:
    from superalign.models.inspection import Inspection
    from superalign.models.replay import Trainer
    from superalign.models.subject import ModelSubject

EXAMPLES = """Examples:

superalign inspect student/ transcript/

superalign inspect student/ transcript/ --segments 10 --json

superalign inspect my-model/ transcript/ --trainer my_training:trainer
"""
NOT_SOUND = 3
SAYS = {
    "sound": "Nothing speaks against it: the model follows from the transcript.",
    "refused": "Refused: the model, or its transcript, is not what it is said to be.",
    "unscored": "Undetermined: not everything could be checked, and what was not checked does not count as sound.",
}


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder that training left.")],
    transcript: Annotated[str, typer.Argument(metavar="TRANSCRIPT", help="The folder of its transcript.")],
    base: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="Your own copy of the base. Default: the name it declares.")
    ] = None,
    segments: Annotated[int, typer.Option(min=0, help="How many segments are replayed, drawn at random.")] = 3,
    seed: Annotated[
        int | None, typer.Option(min=0, help="What draws them. Default: a fresh one, which nobody could foresee.")
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="A model that training went on from; once for each, in their order."),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Your own loop, to be replayed: a function that returns it."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="HEX", help="The public key that the log must be signed with.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where segments are replayed.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Compare MODEL with the TRANSCRIPT of its training, and replay a few segments of it, drawn at random.

    Exit code 0 when all was checked and is sound, 3 when something is not as it says or could not be checked.
    """
    from superalign.models.inspection import inspect

    def open_base(declared: str) -> tuple[ModelSubject, str]:
        from superalign.models.handle import identify
        from superalign.models.handle import open_base as opened
        from superalign.models.subject import ModelSubject

        found = identify(base or declared, device=device)
        subject = opened(found)
        # By the name that it was declared by, which is written into what is trained from it.
        return ModelSubject(declared, subject.decoder, subject.chat), found.digest

    found = inspect(
        Path(model),
        Path(transcript),
        open_base=open_base,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        segments=segments,
        starts=[Path(folder) for folder in start or ()],
        trainer=own_trainer(trainer) if trainer else None,
        public_key=key,
    )
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show(found)
    if found.outcome != "sound":
        raise typer.Exit(NOT_SOUND)


def own_trainer(named: str) -> Trainer:
    """What MODULE:FUNCTION returns. InputError when there is no such function, or it returns no loop."""
    from superalign.contracts.errors import InputError

    module, _, function = named.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Trainer = getattr(importlib.import_module(module), function)()
    except Exception as error:  # the code is the user's, so anything
        raise InputError(
            f"There is no training loop at {named!r}: {type(error).__name__}: {error}.",
            fix="Write MODULE:FUNCTION; the function takes nothing and returns the loop before its first step.",
        ) from None
    if lacking := [name for name in ("model", "optimizer", "step") if not hasattr(found, name)]:
        raise InputError(f"The training loop at {named!r} has no {lacking[0]}.", fix="See `models.replay.Trainer`.")
    return found


def show(found: Inspection) -> None:
    """What was checked, and how sure one may be of what was not replayed."""
    from superalign.report.terminal import plain

    rows = [{"check": check.name, "": check.outcome, "says": plain(check.says)} for check in found.checks]
    print_table(rows, ("check", "", "says"))
    print()
    if found.segments:
        print(f"Replayed {len(found.replayed)} of {found.segments} segments, drawn by seed {found.seed}.")
        print(f"Such a draw misses one forged segment with probability {found.missing_one:.2f},")
        print(f"and all of a forged tenth with {found.missing_tenth:.2f}.")
    if found.elsewhere:
        print(f"Replayed elsewhere (another {', '.join(found.elsewhere)}): held to a tolerance.")
    print(SAYS[found.outcome])
