"""What the studies of generalization found: a file for each, and all of them in one record."""

from __future__ import annotations

from superalign.contracts.records import Record
from superalign.contracts.studies.chain import BootstrapChain
from superalign.contracts.studies.easy_to_hard import EasyToHard
from superalign.contracts.studies.losses import LossStudy


class Studies(Record):
    """One field for each study; none where the plan left it out."""

    losses: LossStudy | None = None
    easy_to_hard: EasyToHard | None = None
    chain: BootstrapChain | None = None
