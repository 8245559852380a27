"""Automated search for problematic behaviour. Importing this package registers its detectors."""

from superalign.robustness import auditor as auditor
from superalign.robustness import consistency as consistency
