"""Short scripts as people write them for torch, run with torch and with chainrule.torch from the same initial weights."""

import copy
import importlib
import importlib.util
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="torch is not installed: run PEERS=1 make test"
    ),
]
SCRIPTS = sorted((Path(__file__).parent / "torch_scripts").glob("*.txt"))


def plain(x):
    """What a script has logged, as arrays, numbers and lists."""
    if hasattr(x, "detach"):
        x = x.detach()
        return np.array(x.numpy()) if x.dim() else x.item()
    if isinstance(x, (list, tuple)):
        return [plain(i) for i in x]
    return x


def trajectory(path, package):
    """What a script logs, with `package` as torch."""
    torch = importlib.import_module(package)
    rng = np.random.default_rng(0)
    logged = []

    def numbers(*shape):
        return torch.tensor(rng.standard_normal(shape), dtype=torch.float32)

    def same(module):
        own = np.random.default_rng(1)
        with torch.no_grad():
            for p in module.parameters():
                scale = 1 / math.sqrt(p.shape[-1])
                p.copy_(torch.tensor(own.standard_normal(tuple(p.shape)) * scale, dtype=torch.float32))
        return module

    names = {name: importlib.import_module(f"{package}.{name}") for name in ("nn", "optim")}
    namespace = {
        "torch": torch, "np": np, "F": importlib.import_module(f"{package}.nn.functional"), "copy": copy, **names,
        "numbers": numbers, "same": same, "log": lambda x: logged.append(plain(x)),
    }  # fmt: skip
    importlib.import_module(f"{package}.utils.data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(path.read_text(), str(path), "exec"), namespace)
    return logged


def agree(a, b, where):
    """Numbers within 1e-5 of their size; everything else equal."""
    if isinstance(a, list):
        assert isinstance(b, list), where
        assert len(a) == len(b), where
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            agree(x, y, f"{where}[{k}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        if a.dtype.kind in "fc":
            np.testing.assert_allclose(
                b, a, rtol=1e-5, atol=1e-5 * max(1e-3, np.max(np.abs(a[np.isfinite(a)]), initial=0)), err_msg=where
            )
        else:
            np.testing.assert_array_equal(b, a, err_msg=where)
    elif isinstance(a, float):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-6, nan_ok=True), where
    else:
        assert type(a) is type(b), where
        assert a == b, where


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_script_with_one_changed_import(path):
    theirs, ours = trajectory(path, "torch"), trajectory(path, "chainrule.torch")
    assert len(theirs) == len(ours) > 0
    for k, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        agree(a, b, f"line {k} of what it logs")
