"""Arrays of any library: what they hold as numpy, and numpy as an array like theirs.

Whatever converts to numpy (`__array__`) is read. Values come back as numpy, but for tensors of torch: those are made by
a tensor's own `new_tensor`, on its device, so that nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import ConfigurationError

LARGEST = {
    "float16": float(np.finfo(np.float16).max),
    "bfloat16": (2 - 2.0**-7) * 2.0**127,
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}
"""The floating-point types that are read, and the largest number of each."""
INTEGERS = frozenset({"bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))})


@dataclass(frozen=True)
class ArrayType:
    """What arrays at the same place of all updates must have in common."""

    dtype: str
    """As numpy and torch both name it, such as "float32"."""
    shape: tuple[int, ...]

    @property
    def integer(self) -> bool:
        """Whether it counts: integers, or booleans."""
        return self.dtype in INTEGERS

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def array_type(array: Any, where: str) -> ArrayType:
    """The type of an array that can be read. Raises `ConfigurationError`, which says what to give instead."""
    advice = _foreign(array)
    if advice is not None:
        raise ConfigurationError(f"{where} is {advice}")
    view = array if _is_tensor(array) else np.asarray(array)
    dtype = str(view.dtype).removeprefix("torch.") if _is_tensor(array) else view.dtype.name
    if dtype not in LARGEST and dtype not in INTEGERS:
        raise ConfigurationError(f"{where} is of type {dtype}; convert it to {', '.join(LARGEST)} or integers")
    return ArrayType(dtype, tuple(view.shape))


def read(array: Any, kind: ArrayType) -> NDArray[Any]:
    """The values, flat: float64, or integers as they are. They may share memory with `array`: only read them."""
    if _is_tensor(array):
        tensor = array.detach().cpu()
        values = (tensor if kind.integer else tensor.double()).numpy(force=True)
    else:
        values = np.asarray(array, dtype=None if kind.integer else np.float64)
    flat: NDArray[Any] = values.ravel()
    return flat


def like(array: Any, kind: ArrayType, values: NDArray[Any]) -> Any:
    """Flat values as an array like `array`: its shape, dtype, library and device, and memory of its own.

    Values beyond the largest number of the dtype become that number.
    """
    limit = LARGEST.get(kind.dtype)
    shaped = (values.astype(kind.dtype) if limit is None else np.clip(values, -limit, limit)).reshape(kind.shape)
    if _is_tensor(array):
        return array.resolve_neg().new_tensor(shaped)
    made = shaped.astype(np.asarray(array).dtype)
    return made[()] if isinstance(array, np.generic) else made


def comes_back_as_numpy(array: Any) -> bool:
    """Whether `like` gives another kind of array than it was given."""
    return not (_is_tensor(array) or type(array) is np.ndarray or isinstance(array, np.generic))


def _is_tensor(array: Any) -> bool:
    return hasattr(array, "new_tensor")


def _foreign(array: Any) -> str | None:
    """What is given in place of an array, and what to give instead; None where there is nothing wrong with it."""
    kind = type(array).__name__
    if isinstance(array, (bool, int, float, complex)) and not isinstance(array, np.generic):
        return f"the plain number of type {kind}; make arrays of numbers (numpy.asarray)"
    if isinstance(array, np.ma.MaskedArray):
        return "a masked array, and what is masked has no mean; fill it first (.filled)"
    if hasattr(array, "columns") or hasattr(array, "iloc"):
        return "a table, whose columns could stand in another order elsewhere; give its numbers (.to_numpy())"
    if hasattr(array, "state_dict"):
        return f"a {kind}; give its weights (.state_dict())"
    if _is_tensor(array):
        if str(array.layout) != "torch.strided" or array.is_nested:
            return "a sparse or nested tensor; make it dense first (.to_dense())"
        if array.device.type == "meta":
            return "a tensor without values (device meta); load its weights first"
    elif not hasattr(array, "__array__"):
        return f"of type {kind}; give an array, or a mapping, list or tuple of arrays"
    return None
