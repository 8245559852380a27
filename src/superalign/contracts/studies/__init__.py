"""What the studies of generalization found: a file for each, and all of them in one record."""

from __future__ import annotations

from superalign.contracts.records import Record
from superalign.contracts.studies.chain import BootstrapChain
from superalign.contracts.studies.easy_to_hard import EasyToHard
from superalign.contracts.studies.losses import LossStudy
from superalign.contracts.studies.myopia import MyopiaStudy
from superalign.contracts.studies.overoptimization import OveroptimizationStudy
from superalign.contracts.studies.pressure import PressureStudy
from superalign.contracts.studies.written_policy import WrittenPolicyStudy


class Studies(Record):
    """One field for each study; none where the plan left it out."""

    losses: LossStudy | None = None
    easy_to_hard: EasyToHard | None = None
    chain: BootstrapChain | None = None
    overoptimization: OveroptimizationStudy | None = None
    written_policy: WrittenPolicyStudy | None = None
    myopia: MyopiaStudy | None = None
    pressure: PressureStudy | None = None
