"""Python's and NumPy's objects as they lie in memory: the public layout of arrays, scalars, floats, tuples, lists and cells.

`supported` checks that this interpreter has it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import platform
import sys
import sysconfig
import types
from collections.abc import Callable
from typing import Any

import numpy as np

DATA, NDIM, DIMENSIONS, DESCRIPTOR, FLAGS = 16, 24, 32, 56, 64  # offsets in an array; a scalar's value is at DATA too
SIZE, ITEMS = 16, 24  # offsets in tuples and lists
CONTENTS = 16  # offset in cells
WRITEABLE = 0x400
USABLE = 0x101  # C-contiguous and aligned


@functools.cache
def supported() -> bool:
    """Whether objects lie in memory as the entry reads them."""
    if (
        sys.implementation.name != "cpython"
        or sysconfig.get_config_var("Py_GIL_DISABLED")
        or object.__basicsize__ != 16
    ):
        return False
    if platform.architecture()[0] != "64bit" or sys.platform == "win32":
        return False
    a = np.arange(6, dtype=np.float32).reshape(2, 3)

    def at(x: Any, offset: int, kind: Any) -> Any:
        return kind.from_address(id(x) + offset).value

    return (
        at(a, DATA, ctypes.c_void_p) == a.ctypes.data
        and at(a, NDIM, ctypes.c_int32) == 2
        and at(a, DESCRIPTOR, ctypes.c_void_p) == id(a.dtype)
        and at(a, FLAGS, ctypes.c_int32) & USABLE == USABLE
        and ctypes.c_int64.from_address(at(a, DIMENSIONS, ctypes.c_void_p) + 8).value == 3
        and at(2.5, DATA, ctypes.c_double) == 2.5
        and at(np.float64(2.5), DATA, ctypes.c_double) == 2.5
        and at(np.float32(2.5), DATA, ctypes.c_float) == 2.5
        and at((1, 2), SIZE, ctypes.c_int64) == 2
        and at((a, 2), ITEMS, ctypes.c_void_p) == id(a)
        and at(types.CellType(a), CONTENTS, ctypes.c_void_p) == id(a)
    )


@functools.cache
def numpy_functions() -> dict[str, int]:
    """Addresses of the two functions of NumPy's C interface that make results."""
    core = importlib.import_module(
        "numpy._core._multiarray_umath" if np.__version__ >= "2" else "numpy.core._multiarray_umath"
    )
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(core._ARRAY_API, None)
    return {
        "chainrule_array": ctypes.c_void_p.from_address(table + 8 * 94).value or 0,  # PyArray_NewFromDescr
        "chainrule_scalar": ctypes.c_void_p.from_address(table + 8 * 60).value or 0,  # PyArray_Scalar
    }


class _Definition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def callable_at(address: int, keep: Any) -> Callable[..., Any]:
    """The C function at an address as a Python function that takes positional arguments; it keeps `keep` alive."""
    definition = _Definition(b"compiled", address, 0x80, None)  # METH_FASTCALL
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    owner = (definition, keep)
    return new(ctypes.addressof(definition), owner, None)
