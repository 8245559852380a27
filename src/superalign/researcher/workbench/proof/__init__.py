"""A solver of formulas in conjunctive normal form, in parts: DPLL or conflict-driven clause learning (CDCL).

It answers each formula with a model, with a refutation, or with nothing once its budget of steps is spent. A step is
one look at a clause. A refutation is the list of clauses learnt, each of which follows from those before by unit
propagation (RUP), up to the empty one.
"""

from .learning import decision_learning, no_learning, uip_learning
from .orders import ActivityOrder, FrontOrder, LookAheadOrder, MixedOrder, RandomOrder, WeightOrder
from .phases import fixed_phase, random_phase, saved_phase, weight_phase
from .restarts import geometric_restarts, lbd_restarts, luby_restarts, no_restarts
from .settling import search
from .starts import both, probe, straight, walk

PARTS = {
    "search": search,
    "straight": straight,
    "probe": probe,
    "walk": walk,
    "both": both,
    "weight_order": lambda given, base: WeightOrder(base),
    "activity_order": lambda given, decay: ActivityOrder(decay),
    "front_order": lambda given: FrontOrder(),
    "random_order": lambda given: RandomOrder(),
    "look_ahead": lambda given, order, candidates: LookAheadOrder(order, candidates),
    "mixed_order": lambda given, first, second, share: MixedOrder(first, second, share),
    "fixed_phase": fixed_phase,
    "random_phase": random_phase,
    "weight_phase": weight_phase,
    "saved_phase": saved_phase,
    "no_restarts": no_restarts,
    "luby_restarts": luby_restarts,
    "geometric_restarts": geometric_restarts,
    "lbd_restarts": lbd_restarts,
    "no_learning": no_learning,
    "decision_learning": decision_learning,
    "uip_learning": uip_learning,
}
