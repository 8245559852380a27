"""`superalign ledger`: has anybody touched what was written down, and who has seen it since?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, say

if TYPE_CHECKING:
    from superalign.provenance.heads import Head

app = typer.Typer(no_args_is_help=True, help="Check, sign and witness tamper-evident ledgers.")

Folder = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, or of a transcript.")]
Out = Annotated[str | None, typer.Option(metavar="FILE", help="Write there instead of on stdout.")]
Key = Annotated[str, typer.Option(metavar="FILE", help="A private key that keygen wrote.")]


@app.command(epilog="Example: superalign ledger verify runs/2026-11-22-quickstart-1f0c2a --head head.txt --log-key KEY")
def verify(
    folder: Folder,
    head: Annotated[
        str | None, typer.Option(metavar="FILE", help="A signed head from earlier, which the ledger must extend.")
    ] = None,
    log_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The public key that the head must be signed with.")
    ] = None,
    witness_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A witness's public key; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every entry, the Merkle root and the signatures; name the first bad entry."""
    from superalign.contracts.errors import InputError
    from superalign.provenance import ledger
    from superalign.provenance.heads import check_head
    from superalign.runs.run import verify_run

    if bool(head) != bool(log_key or witness_key):
        raise InputError(
            "A signed head is checked by the keys that must have signed it.",
            fix="Give --head FILE with --log-key KEY, --witness-key KEY or both.",
        )
    path = Path(folder)
    transcript = (path / "ledger.db").exists() and not (path / "manifest.json").exists()
    report = ledger.verify(path / "ledger.db") if transcript else verify_run(path)
    signers = signed_by(Path(head), [*([log_key] if log_key else []), *(witness_key or [])]) if head else []
    if head:
        check_head(path / "ledger.db", read_head(Path(head)))
    if as_json:
        print_json(report.model_dump(mode="json") | ({"signed_by": signers} if head else {}))
        return
    print(
        f"The ledger is intact: {report.entries} entries.\nroot        {report.root}\npublic key  {report.public_key}"
    )
    if head:
        print(f"It extends the head that {' and '.join(signers)} signed.")
    else:
        print("Compare these two with a copy kept elsewhere: whoever can write a run folder can write a new ledger.")


@app.command(epilog="Example: superalign ledger keygen ~/keys/alice.key --name example.org/alice")
def keygen(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the private key is written; a new file.")],
    name: Annotated[str, typer.Option(help="Whose key it is, without spaces.")],
    witness: Annotated[bool, typer.Option("--witness", help="A witness's key, not a ledger's owner's.")] = False,
) -> None:
    """Make a key pair: the private key is written to FILE, the public one is printed, to be handed to others."""
    from superalign.provenance.heads import LOG, WITNESS, PrivateKey

    print(PrivateKey.create(Path(file), name, WITNESS if witness else LOG).public)


@app.command(epilog="Example: superalign ledger sign runs/2026-11-22-quickstart-1f0c2a --key alice.key --out ask.txt")
def sign(
    folder: Folder,
    key: Key,
    since: Annotated[
        int, typer.Option(min=0, help="How many entries the witness knows of: the proof starts there.")
    ] = 0,
    out: Out = None,
) -> None:
    """Sign the head of a ledger as it stands, and write what a witness is asked with."""
    from superalign.provenance.heads import PrivateKey, head_of
    from superalign.provenance.witness import request

    head, leaves = head_of(Path(folder) / "ledger.db")
    write(request(head.signed(PrivateKey.read(Path(key))), leaves, since), out)
    say(f"{head.size} entries, root {head.root.hex()}")


@app.command(epilog="Example: superalign ledger witness ask.txt --key bob.key --state seen.db --log-key KEY")
def witness(
    asked: Annotated[str, typer.Argument(metavar="REQUEST", help="What `ledger sign` wrote.")],
    key: Key,
    state: Annotated[str, typer.Option(metavar="FILE", help="The witness's memory, kept from one time to the next.")],
    log_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The ledger's public key; needed the first time.")
    ] = None,
    out: Out = None,
) -> None:
    """As a witness, sign the head of a ledger if it extends the last one that you saw.

    Run it elsewhere than the ledger's owner does. Exit code 3 for a fork, a rollback or a missing proof.
    """
    from superalign.provenance.heads import PrivateKey, PublicKey
    from superalign.provenance.witness import witness

    known = PublicKey.read(log_key) if log_key else None
    write(str(witness(Path(state), PrivateKey.read(Path(key)), text_of(Path(asked)), known)), out)


def write(text: str, out: str | None) -> None:
    """To the file `out`, or to stdout."""
    if out is None:
        sys.stdout.write(text)
        return
    from superalign.contracts.errors import InputError

    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"Nothing can be written here: {error.strerror}.", where=out) from None


def text_of(path: Path) -> str:
    """What a file says. InputError when it can't be read."""
    from superalign.contracts.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError("There is no text here that can be read.", where=str(path), fix="Give a file.") from None


def read_head(path: Path) -> Head:
    """The head in a file, whether it is alone or in a request to a witness."""
    from superalign.provenance.heads import Head
    from superalign.provenance.witness import parsed

    text = text_of(path)
    return parsed(text)[2] if text.startswith("old ") else Head.read(text)


def signed_by(path: Path, keys: list[str]) -> list[str]:
    """The names of `keys`, all of which must have signed the head in the file. LedgerError when one has not."""
    from superalign.contracts.errors import LedgerError
    from superalign.provenance.heads import PublicKey

    found = read_head(path)
    for key in map(PublicKey.read, keys):
        if not found.is_signed_by(key):
            raise LedgerError(f"The head is not signed by {key.name}.", where=str(path), fix="Ask them to sign it.")
    return [PublicKey.read(key).name for key in keys]
