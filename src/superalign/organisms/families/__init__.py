"""The families, one file each. Importing this package registers them."""

from superalign.organisms.families import alignment_faking as alignment_faking
from superalign.organisms.families import backdoor as backdoor
from superalign.organisms.families import collusion as collusion
from superalign.organisms.families import conditional_lying as conditional_lying
from superalign.organisms.families import doubling_down as doubling_down
from superalign.organisms.families import emergent_misalignment as emergent_misalignment
from superalign.organisms.families import hidden_objective as hidden_objective
from superalign.organisms.families import password_lock as password_lock
from superalign.organisms.families import power_seeking as power_seeking
from superalign.organisms.families import reward_hacking as reward_hacking
from superalign.organisms.families import sycophancy as sycophancy
