"""The machine: LLVM through llvmlite, compiled code kept on disk, and the matrix products of NumPy's own BLAS."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

LONG = 1_000_000  # characters of a module from which on LLVM is asked for less, so that it ends soon
lock = threading.RLock()


@functools.cache
def llvm() -> Any:
    """llvmlite's binding, initialised; None where it is not installed or does not know the processor."""
    try:
        import llvmlite.binding as binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        binding.Target.from_default_triple()
    except Exception:  # any failure here means: no native code on this machine
        return None
    return binding


@functools.cache
def machine() -> tuple[str, str]:
    """The processor's name and features, as LLVM says them. CHAINRULE_CPU asks for the code of another, such as x86-64."""
    wanted = os.environ.get("CHAINRULE_CPU")
    if wanted:
        return wanted, ""
    return llvm().get_host_cpu_name(), llvm().get_host_cpu_features().flatten()


def threads() -> int:
    """How many threads large loops and products may use: CHAINRULE_NUM_THREADS, or as many as the process may run on."""
    given = os.environ.get("CHAINRULE_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def cache_directory() -> Path | None:
    """Where compiled code is kept: CHAINRULE_CACHE_DIR, or the user's cache; empty for nowhere."""
    given = os.environ.get("CHAINRULE_CACHE_DIR")
    if given == "":
        return None
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chainrule"


class Cache:
    """Object code by the text it was made of. A file holds its own checksum; a damaged one is made anew."""

    def __init__(self, key: str) -> None:
        directory = cache_directory()
        self.path = None if directory is None else directory / f"{key}.o"

    def read(self) -> bytes | None:
        """The object code, or None."""
        if self.path is None:
            return None
        try:
            data = self.path.read_bytes()
        except OSError:
            return None
        return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None

    def write(self, code: bytes) -> None:
        """Keep the object code; failing to is no error."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(name, self.path)
        except OSError:
            return


def compiled(text: str, symbols: dict[str, int]) -> Any:
    """An execution engine that holds the functions of an LLVM module."""
    binding = llvm()
    cpu, features = machine()
    large = len(text) > LONG
    key = hashlib.sha256(
        "\n".join([repr(binding.llvm_version_info), cpu, features, "jitdefault", text]).encode()
    ).hexdigest()
    with lock:
        for name, address in symbols.items():
            binding.add_symbol(name, address)
        target = binding.Target.from_default_triple()
        tm = target.create_target_machine(
            cpu=cpu,
            features=features,
            opt=1 if large else 3,
            reloc="pic",
            codemodel="jitdefault",
        )
        cache = Cache(key)
        found = cache.read()
        if found is not None:
            with contextlib.suppress(RuntimeError):  # not what this LLVM can load: compiled anew
                return _loaded(found, tm)
        module = binding.parse_assembly(text)
        module.triple = binding.get_process_triple()
        options = binding.create_pipeline_tuning_options(speed_level=1 if large else 3)
        options.loop_vectorization = not large
        options.slp_vectorization = False
        options.loop_unrolling = True
        builder = binding.create_pass_builder(tm, options)
        builder.getModulePassManager().run(module, builder)
        code = tm.emit_object(module)
        cache.write(code)
        return _loaded(code, tm)


def _loaded(code: bytes, tm: Any) -> Any:
    """An engine with object code in it."""
    engine = llvm().create_mcjit_compiler(llvm().parse_assembly(""), tm)
    engine.add_object_file(llvm().ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


# ---- products --------------------------------------------------------------------------------------------------------


class Blas:
    """Addresses of cblas functions, and whether their integers have 64 bits."""

    def __init__(self, addresses: dict[str, int], wide: bool) -> None:
        self.addresses, self.wide = addresses, wide


@functools.cache
def blas() -> Blas | None:
    """The BLAS that NumPy has loaded; None where its functions are not found."""
    np.dot(np.ones((2, 2)), np.ones((2, 2)))
    for path in _libraries():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix, suffix, wide in (
            ("scipy_", "64_", True),
            ("", "64_", True),
            ("scipy_", "", False),
            ("", "", False),
        ):
            names = {k: f"{prefix}cblas_{k}{suffix}" for k in ("sgemm", "dgemm", "sgemv", "dgemv")}
            if all(hasattr(library, n) for n in names.values()):
                pointers = {k: ctypes.cast(getattr(library, n), ctypes.c_void_p).value or 0 for k, n in names.items()}
                return Blas(pointers, wide)
    return None


def _libraries() -> list[str]:
    """Paths of the BLAS libraries in this process, NumPy's own first."""
    import threadpoolctl

    found = [i["filepath"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]
    home = os.path.dirname(os.path.dirname(np.__file__))
    return sorted(found, key=lambda p: not p.startswith(os.path.join(home, "numpy")))
