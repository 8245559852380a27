"""`superalign models`: what can be had by name, and what of it is in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_facts, print_list, say

app = typer.Typer(no_args_is_help=True, help="List, show and fetch known models; sign and verify any.")
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="The folder of a model.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name from `superalign models list`.")]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the known models. Any other open model is given by path, or as hf/OWNER/NAME."""
    from superalign.models.fetch import KNOWN

    print_list([_row(name) for name in KNOWN], ("name", "state", "licence", "summary"), as_json=as_json)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show where one model comes from, its licence, and where it lies."""
    print_facts(_row(name), as_json=as_json)


@app.command(epilog="Example: superalign models pull smollm2-135m")
def pull(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Fetch it again, whatever the cache holds.")] = False,
) -> None:
    """Fetch a model and convert it, once. Without a network: put its wheel into the folder SUPERALIGN_WHEELS."""
    from superalign.models import fetch

    folder = fetch.pull(name, force=force, say=say)
    print(f"{name} is ready: {folder}")


@app.command(epilog="Example: superalign models sign student/ --key alice.pem")
def sign(
    folder: Folder,
    key: Annotated[str, typer.Option(metavar="FILE", help="An elliptic curve private key, as openssl writes it.")],
) -> None:
    """Sign all files of a model, its card among them, in the format of OpenSSF Model Signing."""
    from superalign.provenance import model_signature

    print(f"Signed: {model_signature.sign(Path(folder), Path(key))}")


@app.command(epilog="Example: superalign models verify student/ --key alice.pub.pem")
def verify(
    folder: Folder,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="A public key that may have signed. Default: those trusted here."),
    ] = None,
) -> None:
    """Check that a model is signed by a trusted key, and that every file is the one that was signed."""
    from superalign.provenance import model_signature

    found = model_signature.verify(Path(folder), [Path(own) for own in key] if key else model_signature.signers())
    print(f"Every file is as it was signed, by the key with fingerprint {found}.")


def _row(name: str) -> dict[str, Any]:
    from superalign.models import fetch

    model = fetch.known(name)
    return {
        "name": model.name,
        "state": fetch.state(name),
        "summary": model.summary,
        "licence": model.licence,
        "terms": model.terms,
        "download_megabytes": model.megabytes,
        "hub": model.hub,
        "wheels": [wheel.filename for wheel in model.wheels],
        "sha256": model.gguf_sha256,
        "folder": str(fetch.cache_root() / name),
    }
