"""What a request for an adaptation may ask for."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["auto", "none", "linear", "mlp", "forest", "softmax", "ensemble"]
Activate = Literal["if_better", "always", "never"]


@dataclass(frozen=True)
class AdaptRequest:
    """What is asked.

    name: of the new release; None: the old name, -a and the number of the last edit. fit: kind of the head. activate:
    whether the new release is served. budget_s: seconds for choosing a head; None: as the settings say.
    """

    name: str | None = None
    fit: Fit = "auto"
    activate: Activate = "if_better"
    budget_s: float | None = None
