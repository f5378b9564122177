"""Why a segment has its label, and the exemplars behind it."""
