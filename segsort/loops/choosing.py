"""The one place that chooses between compiled and plain code.

A step of the method is written in plain torch and names its compiled form:

    @loops.on_cpu(loops.sort)
    def sort_hard(features, ...): ...

A compiled form takes and gives numpy arrays. A call runs it where the first argument is a numpy array, or a float32
tensor on a CPU without gradient; tensors share their memory with the arrays. It runs the plain code everywhere else, on
the device that holds the tensor. `sort_hard.__wrapped__` is the plain code, the reference of the tests.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
Q = ParamSpec("Q")
S = TypeVar("S", covariant=True)


class _Step(Protocol[P, R, Q, S]):
    """A step of the method: its compiled form takes and gives arrays, its plain code tensors."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> S: ...


def takes(tensor: "Tensor") -> bool:
    """Whether the compiled loops take this tensor: float32 on a CPU, without gradient."""
    import torch

    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not tensor.requires_grad


def on_cpu(compiled: Callable[P, R], gives_tensors: bool = True) -> Callable[[Callable[Q, S]], _Step[P, R, Q, S]]:
    """Let a compiled form do the work of a plain torch function where it can: see the module.

    Args:
        compiled: a function of `segsort.loops` with the arguments of the plain one, arrays instead of tensors. The
            first argument is an array. It may be given by position or by name.
        gives_tensors: whether the plain function gives tensors, or arrays too.
    """

    def decorate(plain: Callable[Q, S]) -> _Step[P, R, Q, S]:
        name = next(iter(signature(plain).parameters))
        form: Callable[..., Any] = compiled

        @wraps(plain)
        def run(*args: Any, **kwargs: Any) -> Any:
            first = args[0] if args else kwargs.get(name)
            if isinstance(first, np.ndarray):
                return form(*args, **kwargs)
            if first is None or not takes(first):
                return cast(Callable[..., Any], plain)(*args, **kwargs)
            found = form(*map(_as_array, args), **{key: _as_array(value) for key, value in kwargs.items()})
            return _as_tensors(found) if gives_tensors else found

        return cast("_Step[P, R, Q, S]", run)

    return decorate


def _as_array(value: Any) -> Any:
    """A tensor as an array that shares its memory; another value unchanged."""
    import torch

    return value.numpy() if isinstance(value, torch.Tensor) else value


def _as_tensors(found: Any) -> Any:
    """An array, or a tuple of arrays, as tensors that share their memory."""
    import torch

    return tuple(map(torch.from_numpy, found)) if isinstance(found, tuple) else torch.from_numpy(found)
