"""All hostile programs."""

from __future__ import annotations

from superalign.researcher.sabotage.programs_on_the_evaluation import PROGRAMS_ON_THE_EVALUATION
from superalign.researcher.sabotage.programs_on_the_machine import PROGRAMS_ON_THE_MACHINE

PROGRAMS = (*PROGRAMS_ON_THE_EVALUATION, *PROGRAMS_ON_THE_MACHINE)
