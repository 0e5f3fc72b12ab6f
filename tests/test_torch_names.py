"""Every name of chainrule.torch against torch itself: values, dtypes and gradients, as function, method and in place.

The samples are torch's own (its database of operations and of modules); what we do not handle must be refused.
"""

import importlib.util
import inspect
import itertools
import warnings
from collections import Counter

import numpy as np
import pytest

import chainrule.torch as ct
from chainrule import ChainruleError
from chainrule.tensors import namespace as names

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        importlib.util.find_spec("torch") is None, reason="torch is not installed: run PEERS=1 make test"
    ),
]
SAMPLES = 4  # of each function and dtype
DTYPES = ["float32", "float64", "int64", "bool", "uint8", "float16", "complex64"]


def databases():
    from torch_samples import databases

    return databases()


def named(info):
    """Our forms of a function in torch's database: kind, torch's and ours."""
    from torch_samples import ours_for

    def on_copy(change):
        def call(x, *args, **kwargs):
            y = x.clone()
            change(y, *args, **kwargs)
            return y

        return call

    forms = {}
    if ours_for(info.name) is not None:
        forms["function"] = info.op, ours_for(info.name)
    if info.name in ("where", "einsum"):  # their methods take the arguments in another order
        return forms
    method = names.METHODS.get(info.name)
    if info.method_variant is not None and method is not None and not isinstance(method, property):
        forms["method"] = info.method_variant, method
    in_place = f"{info.name}_"
    if info.inplace_variant is not None and in_place in names.IN_PLACE:
        forms["in place"] = on_copy(info.inplace_variant), on_copy(getattr(ct.Tensor, in_place))
    return forms


def test_every_function_of_torchs_database_agrees_or_refuses():
    import torch
    from torch_samples import AGREED, MAKERS, UNSPECIFIED, Different, Skip, fresh, judged, shown

    torch.manual_seed(0)
    torch.set_num_threads(1)
    outcomes, wrong, compared = Counter(), [], set()
    for info in databases()[0]:
        forms = named(info)
        random = any(m in info.name for m in MAKERS)
        for dtype in (getattr(torch, d) for d in DTYPES if forms):
            if dtype not in info.dtypes:
                continue
            grad = dtype is torch.float64 and info.supports_autograd
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                samples = list(itertools.islice(info.sample_inputs("cpu", dtype, requires_grad=grad), 40))
            rng = np.random.default_rng(len(info.name))
            for k in sorted(rng.permutation(len(samples))[:SAMPLES]):
                s = samples[k]
                if s.kwargs.get("dropout_p"):
                    continue
                for kind, (theirs, ours) in forms.items():
                    args, kwargs = fresh((s.input, *s.args)), fresh(s.kwargs)
                    open_index = info.name in UNSPECIFIED and dtype not in (torch.float32, torch.float64)
                    try:
                        outcome = judged(theirs, ours, args, kwargs, grad, random, open_index)
                    except (Skip, NotImplementedError):  # torch has no derivative of acosh_
                        continue
                    except Different as error:
                        wrong.append(f"{info.name} ({kind}) {shown((args, kwargs))}: {error}")
                        continue
                    outcomes[outcome.split(":")[0].split("(")[0]] += 1
                    compared |= {(info.name, kind)} if outcome == AGREED else set()
    assert not wrong, f"{len(wrong)} different:\n" + "\n".join(wrong[:20])
    assert outcomes[AGREED] > 6000, outcomes
    assert len(compared) > 450


# Names with no samples in the database, or with others: these are called here.
BY_HAND = {
    "absolute": "x", "negative": "x", "arcsin": "u", "arccos": "u", "arctan": "x", "arcsinh": "x", "arccosh": "p + 1", "arctanh": "u",
    "fix": "x", "clip": "x, -0.5, 0.5", "subtract": "x, y", "multiply": "x, y", "divide": "x, y", "arctan2": "x, y",
    "not_equal": "x, y", "greater": "x, y", "greater_equal": "x, y", "less": "x, y", "less_equal": "x, y", "concat": "[x, y]",
    "concatenate": "[x, y]", "row_stack": "[x, y]", "swapaxes": "x, 0, 1", "swapdims": "x, 0, 1", "moveaxis": "x, 0, 1",
    "ger": "x[0], y[0]", "detach": "x", "numel": "x", "is_floating_point": "x", "is_complex": "x", "is_nonzero": "x[0, 0]",
    "is_tensor": "x", "promote_types": "torch.int32, torch.float16", "result_type": "x, 1.0", "logspace": "0, 2, 5",
    "tril_indices": "3, 4, 1", "triu_indices": "4, 3, -1", "relu": "x",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_names_without_samples(name):
    import torch
    from torch_samples import compared

    rng = np.random.default_rng(0)
    values = {
        "x": rng.standard_normal((3, 4)),
        "y": rng.standard_normal((3, 4)),
        "u": rng.uniform(-0.9, 0.9, 5),
        "p": rng.random(4),
    }

    def result(package):
        given = {k: package.tensor(v, requires_grad=True) for k, v in values.items()}
        out = eval(f"torch.{name}({BY_HAND[name]})", {"torch": package, **given})
        if getattr(out, "requires_grad", False):
            out.sum().backward()
        return out, [g.grad for g in given.values()]

    (a, theirs), (b, ours) = result(torch), result(ct)
    if name in ("promote_types", "result_type"):
        assert str(a).removeprefix("torch.") == str(b)
        return
    compared(a, b, name, 1e-9, 1e-12)
    for g, h in zip(theirs, ours, strict=True):
        assert (g is None) == (h is None)
        if h is not None:
            compared(g, h, f"gradient of {name}", 1e-9, 1e-12)


# What stands in the namespace and is not a function of tensors: tested by the scripts and in test_tensor.
OTHERS = {
    "Generator", "Size", "Tensor", "autograd", "backends", "bool", "cdouble", "cfloat", "complex128", "complex64",
    "cuda", "default_generator", "device", "double", "e", "enable_grad", "finfo", "float", "float16", "float32",
    "float64", "func", "get_default_dtype", "get_rng_state", "half", "iinfo", "inf", "inference_mode", "int",
    "int16", "int32", "int64", "int8", "is_grad_enabled", "linalg", "long", "manual_seed", "nan", "nn", "no_grad",
    "optim", "pi", "set_default_dtype", "set_grad_enabled", "set_printoptions", "set_rng_state", "short", "tensor",
    "uint8", "utils",
}  # fmt: skip
BY_SCRIPT = {"as_tensor", "from_numpy", "randperm", "rand", "randint_like"}  # random, or shared memory: see test_tensor


def test_no_name_is_left_out():
    import torch

    known = {info.name for info in databases()[0]} | set(BY_HAND) | OTHERS | BY_SCRIPT
    aliases = {a.name for info in databases()[0] for a in info.aliases}
    left_out = [n for n in dir(ct) if n not in known | aliases]
    assert left_out == []
    assert [n for n in dir(ct) if not hasattr(torch, n)] == []
    method_names = [*names.METHODS, *names.IN_PLACE]
    assert [n for n in method_names if not hasattr(torch.Tensor, n)] == []
    for ours, theirs in (
        (ct.nn, torch.nn), (ct.nn.functional, torch.nn.functional), (ct.optim, torch.optim), (ct.nn.init, torch.nn.init),
        (ct.nn.utils, torch.nn.utils), (ct.optim.lr_scheduler, torch.optim.lr_scheduler), (ct.linalg, torch.linalg),
        (ct.autograd, torch.autograd), (ct.utils.data, torch.utils.data),
    ):  # fmt: skip
        assert [n for n in dir(ours) if not n.startswith("_") and not hasattr(theirs, n)] == []


def test_a_name_that_is_not_there_is_refused_with_the_nearest():
    for place, name, near in (
        (ct, "flaten", "flatten"),
        (ct.nn, "Linaer", "Linear"),
        (ct.nn.functional, "reluu", "relu"),
    ):
        with pytest.raises(AttributeError, match=near) as error:
            getattr(place, name)
        assert isinstance(error.value, ChainruleError)
    with pytest.raises(AttributeError, match="squeeze"):
        ct.zeros(2).unsqueze
    with pytest.raises(AttributeError, match="to"):
        ct.zeros(2).astype
    assert not hasattr(ct, "frobnicate")


# ---- signatures --------------------------------------------------------------------------------------------------

OWN = {
    "Dropout": {"generator"},
    "dropout": {"generator"},
    "DataLoader": {"prefetch"},
}  # more than torch has, by keyword


def arguments(f, name):
    """The names of the arguments in order, and their defaults."""
    found = [p for p in inspect.signature(f).parameters.values() if p.name not in OWN.get(name, ())]
    return [(p.name, p.default) for p in found]


CLASSES = [n for n in dir(ct.nn) if inspect.isclass(getattr(ct.nn, n)) and n not in ("Module", "Parameter", "Identity")]


@pytest.mark.parametrize("name", ct.nn.functional.__all__)
def test_arguments_of_functions(name):
    """In torch's order, with torch's defaults. (Functions in C do not tell theirs: the database calls those.)"""
    import torch

    theirs = getattr(torch.nn.functional, name)
    try:
        wanted = arguments(
            getattr(torch.nn.functional, f"_{name}") if "pool" in name and "max" in name else theirs, name
        )
    except (ValueError, AttributeError):
        return
    assert arguments(getattr(ct.nn.functional, name), name) == wanted


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_of_modules(name):
    import torch

    wanted = arguments(getattr(torch.nn, name), name)
    if [n for n, _ in wanted] in (["args", "kwargs"], ["args"]):  # the database calls them
        return
    if name == "Hardtanh":
        wanted = wanted[:3]  # less two names that torch deprecates
    assert arguments(getattr(ct.nn, name), name) == wanted


@pytest.mark.parametrize("name", [*ct.optim.__all__, *ct.optim.lr_scheduler.__all__])
def test_arguments_of_optimizers_and_schedules(name):
    import torch

    for ours, theirs in ((ct.optim, torch.optim), (ct.optim.lr_scheduler, torch.optim.lr_scheduler)):
        if name in ours.__all__ and name != "lr_scheduler":
            assert arguments(getattr(ours, name), name) == arguments(getattr(theirs, name), name)


@pytest.mark.parametrize("name", ["DataLoader", "random_split"])
def test_arguments_of_loaders(name):
    import torch

    wanted = arguments(getattr(torch.utils.data, name), name)
    assert [n for n, _ in arguments(getattr(ct.utils.data, name), name)] == [n for n, _ in wanted]


@pytest.mark.parametrize("name", [*ct.nn.init.__all__, *ct.nn.utils.__all__])
def test_arguments_of_initial_values_and_utilities(name):
    import torch

    place, theirs = (ct.nn.init, torch.nn.init) if name in ct.nn.init.__all__ else (ct.nn.utils, torch.nn.utils)
    wanted = [n for n, _ in arguments(getattr(theirs, name), name)]
    assert [n for n, _ in arguments(getattr(place, name), name)] == [
        n.replace("generator", "generator") for n in wanted
    ]


EXCUSED = {
    "bmm",
    "dot",
    "isin",
    "logsumexp",
    "mm",
    "msort",
    "relu",
    "swapaxes",
    "topk",
    "where",
}  # the list is not exact


def test_arguments_of_the_namespace_by_torchs_own_list():
    """torch's list of what can be overridden holds the arguments of every function and method, also of those in C."""
    import torch
    from torch.overrides import get_testing_overrides

    overrides = get_testing_overrides()
    wrong = []
    for table, place in ((names.FUNCTIONS, torch), (names.METHODS, torch.Tensor)):
        for name, function in table.items():
            theirs = overrides.get(getattr(place, name, None))
            if theirs is None or isinstance(function, property):
                continue
            known = inspect.signature(function).parameters
            if any(p.kind is p.VAR_POSITIONAL or p.kind is p.VAR_KEYWORD for p in known.values()):
                continue  # overloads: the database calls them
            wanted = [
                p.name
                for p in inspect.signature(theirs).parameters.values()
                if p.name not in ("out", "self", "args", "kwargs", "dtype", "layout", "device", "memory_format")
            ]
            extra = [n for n in wanted[1:] if n not in known]
            if extra:
                wrong.append((name, extra, list(known)))
    wrong = [w for w in wrong if w[0] not in EXCUSED]
    assert wrong == []


# ---- modules -----------------------------------------------------------------------------------------------------


def test_every_module_of_torchs_database_agrees_or_refuses():
    import torch
    from torch_samples import AGREED, Different, Skip, fresh, shown, translated
    from torch_samples import compared as compare

    outcomes, wrong, seen = Counter(), [], set()
    torch.manual_seed(0)
    for info in databases()[1]:
        name = info.name.removeprefix("nn.")
        if not hasattr(ct.nn, name) or "Dropout" in name:
            continue
        for training in (True, False):
            inputs = info.module_inputs_func(
                info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
            )
            for sample in inputs:
                made, call = sample.constructor_input, sample.forward_input
                if call is None:
                    continue
                try:
                    theirs = info.module_cls(*made.args, **made.kwargs).double()
                    own_args, own_kwargs = translated((made.args, made.kwargs), False)
                    ours = getattr(ct.nn, name)(*own_args, **own_kwargs).double()
                except Skip:
                    continue
                except (ChainruleError, TypeError) as error:
                    outcomes[f"refused: {name}: {str(error).splitlines()[0][:60]}"] += 1
                    continue
                theirs.train(training), ours.train(training)
                args, kwargs = fresh(call.args), fresh(call.kwargs)
                text = f"{name}{shown((made.args, made.kwargs))}{shown((args, kwargs))} training={training}"
                try:
                    ours.load_state_dict(theirs.state_dict())
                    own_args, own_kwargs = translated((args, kwargs))
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        a, b = theirs(*args, **kwargs), ours(*own_args, **own_kwargs)
                    compare(a, b, "result", 1e-8, 1e-10)
                    first, second = (x[0] if isinstance(x, tuple) else x for x in (a, b))
                    if first.requires_grad:
                        first.sum().backward(), second.sum().backward()
                        for (n, p), q in zip(theirs.named_parameters(), ours.parameters(), strict=True):
                            g = torch.zeros_like(p) if p.grad is None else p.grad
                            compare(g, ct.zeros_like(q) if q.grad is None else q.grad, f"gradient of {n}", 1e-7, 1e-9)
                        for x, y in zip(args, own_args, strict=True):
                            if hasattr(x, "requires_grad") and x.requires_grad and x.grad is not None:
                                compare(x.grad, y.grad, "gradient of the input", 1e-7, 1e-9)
                    for (n, p), q in zip(theirs.state_dict().items(), ours.state_dict().values(), strict=True):
                        compare(p, q, f"state {n}", 1e-8, 1e-10)
                except Skip:
                    continue
                except ChainruleError as error:
                    outcomes[f"refused: {name}: {str(error).splitlines()[0][:60]}"] += 1
                except Different as error:
                    wrong.append(f"{text}: {error}")
                except Exception as error:
                    wrong.append(f"{text}: {type(error).__name__}: {error}")
                else:
                    outcomes[AGREED] += 1
                    seen.add(name)
    assert not wrong, f"{len(wrong)} different:\n" + "\n".join(wrong[:20])
    assert outcomes[AGREED] > 300, outcomes
    assert len(seen) > 45, seen
