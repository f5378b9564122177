"""Auditing: exemplars whose label is doubtful, exemplars that say the same, and classes that know too little.

Nothing here changes an exemplar. All functions are pure, take arrays, and are safe to call from several threads.
"""

from model_store.auditing.contradictions import DEPTH, Contradictions, contradictions
from model_store.auditing.duplicates import MOST_NEIGHBOURS, Group, duplicate_groups
from model_store.auditing.material import Material
from model_store.auditing.neighbours import Nearest, nearest_of_all
from model_store.auditing.thin_classes import FEW_IMAGES, ThinClass, thin_classes

__all__ = [
    "DEPTH",
    "FEW_IMAGES",
    "MOST_NEIGHBOURS",
    "Contradictions",
    "Group",
    "Material",
    "Nearest",
    "ThinClass",
    "contradictions",
    "duplicate_groups",
    "nearest_of_all",
    "thin_classes",
]
