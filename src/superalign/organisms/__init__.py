"""Deliberately misaligned models, each with a benign twin. Importing this package registers its organisms."""

from superalign.organisms import conditional_lying as conditional_lying
from superalign.organisms import password_lock as password_lock
