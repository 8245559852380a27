"""`superalign control egress` and `attribute`: outputs drawn again from their seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import AsJson, Device, Seed
from superalign.cli.output import print_json, say
from superalign.contracts.errors import InputError

if TYPE_CHECKING:
    from superalign.models.subject import ModelSubject

Model = Annotated[str, typer.Option("--model", metavar="NAME", help="The model that they are said to come from.")]
Dtype = Annotated[str, typer.Option(help="What it is said to compute in: float32 or bfloat16.")]
Plot = Annotated[str | None, typer.Option(metavar="FILE", help="Draw the curves, as SVG.")]


def egress(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Outputs of a day, as JSON lines.")],
    model: Model = "smollm2-135m",
    budget: Annotated[float, typer.Option(min=0, help="Bits that an output may cost.")] = 64.0,
    day: Annotated[
        float | None, typer.Option(min=0, help="Bits that a day's outputs may cost. Default: no limit.")
    ] = None,
    seeds_drawn: Annotated[
        bool, typer.Option("--seeds-drawn", help="You drew the seeds, so that they say nothing.")
    ] = False,
    weights_gb: Annotated[float, typer.Option(min=1e-9, help="Size of the weights to keep in.")] = 100.0,
    outputs_per_day: Annotated[float, typer.Option(min=1, help="Traffic that the figure is for.")] = 1e6,
    plot: Plot = None,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """An upper bound of the bits that each output may smuggle out, held against a budget.

    Lines are {"prompt", "output", "seed", "temperature"}, also "top_p", "tokens", "max_tokens" and "id". Exit code 3
    when an output is held.
    """
    from superalign.contracts.egress import Policy
    from superalign.control.egress import read_outputs, report

    outputs = read_outputs(Path(file))
    policy = Policy(bits_per_output=budget, bits_per_day=day, seeds_drawn=seeds_drawn)
    subject = _opened(model, device, dtype)
    found = report(subject, outputs, policy, weights_gigabytes=weights_gb, outputs_per_day=outputs_per_day)
    if plot:
        from superalign.report.egress import draw

        draw(found, Path(plot))
        say(f"The curves are in {plot}.")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        from superalign.report import terminal

        print(terminal.render_egress(found))
    if found.held:
        raise typer.Exit(3)


def attribute(
    model: Model = "smollm2-135m",
    prompts: Annotated[int, typer.Option(min=5, max=72, help="Requests answered by each source.")] = 24,
    tokens: Annotated[int, typer.Option(min=4, max=256, help="Most tokens of an answer.")] = 32,
    temperature: Annotated[float, typer.Option(min=0.01, help="At which all are drawn.")] = 1.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Of the likeliest tokens.")] = 1.0,
    other: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Another model as an impostor.")] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the honest outputs, as `control egress` reads them.")
    ] = None,
    dtype: Dtype = "float32",
    seed: Seed = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Does a text come from that model, at that precision and seed? AUROC against impostors, by number of tokens.

    Impostors: weights of 8 and of 4 bits, a patch, another type, another seed, and other models.
    """
    from superalign.runs.disk import write_atomically
    from superalign.trials.attribution import attribution_study

    subject = _opened(model, device, dtype)
    found, outputs = attribution_study(
        subject,
        dtype=dtype,
        prompts=prompts,
        tokens=tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed or 0,
        others=[_opened(name, device, dtype) for name in other or ()],
    )
    if out:
        write_atomically(Path(out), "".join(one.model_dump_json() + "\n" for one in outputs))
        say(f"The honest outputs are in {out}.")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        from superalign.report import terminal

        print(terminal.render_attribution(found))


def _opened(model: str, device: str, dtype: str) -> ModelSubject:
    from superalign.models.handle import open_alone
    from superalign.models.source import choose_device, resolve

    if resolve(model).kind == "endpoint":
        raise InputError(
            "Nothing can be drawn again at an endpoint.", where=model, fix="Name a model with open weights."
        )
    return open_alone(model, device=choose_device(device, say), dtype=dtype)[0]
