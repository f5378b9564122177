"""Networks in bytes: static quantisation of the network of a release, and what it loses."""

from index_builder.quantising.release import QuantiseOptions, quantise_release

__all__ = ["QuantiseOptions", "quantise_release"]
