"""The studies of generalization, each drawn from its record alone."""

from __future__ import annotations

from superalign.contracts.studies import Studies
from superalign.report.studies import chain, easy_to_hard, losses, myopia, overoptimization, pressure, written_policy
from superalign.report.studies.part import Part


def parts(found: Studies | None) -> list[Part]:
    """Those that were carried out, in the order of the page."""
    if found is None:
        return []
    drawn = [
        losses.part(found.losses) if found.losses else None,
        easy_to_hard.part(found.easy_to_hard) if found.easy_to_hard else None,
        chain.part(found.chain) if found.chain else None,
        overoptimization.part(found.overoptimization) if found.overoptimization else None,
        written_policy.part(found.written_policy) if found.written_policy else None,
        myopia.part(found.myopia) if found.myopia else None,
        pressure.part(found.pressure) if found.pressure else None,
    ]
    return [part for part in drawn if part]
