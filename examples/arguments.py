"""The options that all examples have."""

import argparse
import os

from segsort_client import DEFAULT_ADDRESS


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser with the address and the key of the service.

    Args:
        about: what the example does.
    """
    made = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--address", default=DEFAULT_ADDRESS, help="address of the service")
    made.add_argument("--key", default=os.environ.get("SEGSORT_KEY"), help="key, if the service requires keys")
    return made
