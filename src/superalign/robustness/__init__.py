"""Automated search for problematic behaviour. Importing this package registers its detectors."""

from superalign.robustness import auditor as auditor
from superalign.robustness import challenge as challenge
from superalign.robustness import consistency as consistency
from superalign.robustness import context_search as context_search
from superalign.robustness import elicitation as elicitation
from superalign.robustness import favourite as favourite
from superalign.robustness import token_search as token_search
