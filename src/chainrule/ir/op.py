"""Op: what an operation is. Its five kinds, and the derivatives they imply, are in `chainrule.ops.kinds`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .relation import Relation

REGISTRY: dict[str, Op] = {}
declared = itertools.count(1)  # numbers declarations, so that indexes of the registry know when they are old


class Op:
    """An operation: a name, how to compute its value, how it prints, and facts about it.

    Args:
        name: unique name.
        value: computes the value from plain NumPy inputs.
        numpy: the NumPy functions that this operation implements.
        aliases: further names under which formulas know it.
        text: how it prints as NumPy code, a template such as `"np.sin({0})"`, or a function of
            (argument texts, node) for operations with parameters.
        scalar: the same for programs over Python floats (`math`); None, also of the function, where there is none but the infix.
        latex: the same as LaTeX.
        torch: the same for torch, or the name of its function, `"torch.exp"`.
        jax: the same for jax; NumPy's text, with jax's names of the modules, when left out.
        infix: symbol and binding strength, for operators.
        domain: one interval for each input on which the operation is smooth; tests and proofs sample there.
        range: an interval that holds every value.
        limits: end of the range that is never reached -> the infinity of the input towards which the value goes there.
        zero: where the value is zero, as a relation of the one input to 0: "= 0" or "<= 0".
        neutral: input position -> the constant which, standing there, makes the operation the identity of the other
            input; "identity" for the identity matrix.
        body: the operation in terms of simpler ones; what opening it shows.
        prelude: lines that a printed program needs at its top (NumPy writer).
        scalar_prelude: the same for the scalar writer.
        examples: calls to test it by, each a pair of (shape or array for each input, params). Elementwise
            operations need none.
        view: whether the value can share memory with its first input.
        variant: which operation it is on given inputs, where NumPy's function of that name is another one for some
            dtypes: `&` on booleans is `logical_and`.
        shape: the shape and dtype of the value, from those of the inputs: a function of (op, values, params) giving a
            `Spec`, a `Bundle` of them, or None where it takes the value to tell. Without one the value is computed.
        batch: how it is carried out on a batch: the name of a way in `chainrule.diff.batch_rules`, or a function of
            (op, values, which of them have the batch axis in front, params, how many examples).
        moves: whether every entry of the value is an entry of an input as it is, or zero.
        pattern: which entries of the value an entry of input k can change, as a function of (node, k) giving rows and
            columns, or None where that is not known; needed only where it does not follow from the kind.
        cost: operations for each entry of the largest array among value and inputs, or a function of the node.
        stops: why nothing flows through it, in a word.
        kink: what is said of the subgradient used at a node, a function of the node; "" where it is at no kink.
        rule: the name of the rule that differentiates it, as calculus has it.
        keeps: whether the value is the first input itself, where that has the shape and dtype of the value already.
        simpler: how it is written more simply: a function of (simplifier, *inputs, **params) giving a node, or None.
        factors: how many of its first inputs are factors of a product, whose partials are the other factors.
        word: the word by which a value of it is called where the user gave no name.
    """

    entrywise = False  # whether an entry of the value depends on those entries only that broadcasting puts beside it
    adds: Callable[..., None] | None = None  # how its transpose is added into an array; see `Linear`
    postponed = False  # whether the value is not computed while tracing, however small

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        *,
        numpy: Sequence[Any] = (),
        aliases: Sequence[str] = (),
        text: str | Callable[..., str] | None = None,
        scalar: str | Callable[..., str | None] | None = None,
        latex: str | Callable[..., str] | None = None,
        torch: str | Callable[..., str] | None = None,
        jax: str | Callable[..., str] | None = None,
        infix: tuple[str, int] | None = None,
        domain: Sequence[tuple[float, float]] | None = None,
        range: tuple[float, float] = (-float("inf"), float("inf")),
        limits: Mapping[float, float] | None = None,
        zero: Relation | str | None = None,
        neutral: Mapping[int, float | str] | None = None,
        body: Callable[..., Any] | None = None,
        prelude: str = "",
        scalar_prelude: str = "",
        examples: Sequence[tuple[tuple[Any, ...], dict[str, Any]]] = (),
        view: bool = False,
        variant: Callable[[Sequence[Any]], Op] | None = None,
        shape: Callable[[Op, Sequence[Any], Mapping[str, Any]], Any] | None = None,
        batch: str | Callable[..., Any] = "one by one",
        moves: bool = False,
        pattern: Callable[[Any, int], tuple[Any, Any] | None] | None = None,
        cost: int | Callable[[Any], int] = 1,
        stops: str = "",
        kink: Callable[[Any], str] | None = None,
        rule: str = "",
        keeps: bool = False,
        simpler: Callable[..., Any] | None = None,
        factors: int = 0,
        word: str = "",
        doc: str = "",
        public: bool = True,
    ) -> None:
        if name in REGISTRY:
            raise ValueError(f"an operation named {name!r} is already declared")
        self.name, self.value, self.numpy, self.aliases = name, value, tuple(numpy), tuple(aliases)
        self.text, self.scalar, self.latex, self.infix = text, scalar, latex, infix
        self.torch, self.jax = torch, jax
        self.domain, self.range, self.limits = domain, range, dict(limits or {})
        self.zero = Relation(zero) if zero else None
        self.neutral = dict(neutral or {})
        self.body, self.prelude, self.scalar_prelude = body, prelude, scalar_prelude
        self.examples, self.view, self.variant, self.public = tuple(examples), view, variant, public
        self.shape, self.batch, self.moves, self.pattern = shape, batch, moves, pattern
        self.cost, self.stops, self.kink, self.rule = 0 if moves else cost, stops, kink, rule
        self.keeps, self.simpler, self.factors, self.word = keeps, simpler, factors, word or name
        self.__name__ = name
        self.__doc__ = doc or f"The operation `{name}`."
        REGISTRY[name] = self
        self.number = next(declared)

    def flows(self, i: int) -> bool:
        """Whether a derivative can pass from input `i` to the output at all."""
        return False

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return named, (self.name,)


def named(name: str) -> Op:
    """The declared operation of that name."""
    return REGISTRY[name]


Rule = TypeVar("Rule")


class ByKind(dict[type[Op], Rule]):
    """A rule for each kind of operation; a subclass of a kind has the rule of the kind."""

    def __missing__(self, kind: type[Op]) -> Rule:
        self[kind] = found = next(self[k] for k in kind.__mro__[1:] if k in self)
        return found


variable = Op("variable", lambda: None, public=False, cost=0, doc="An input of a graph.")
constant = Op("constant", lambda: None, public=False, cost=0, doc="A value without history.")
drawn = Op("drawn", lambda: None, public=False, doc="Random numbers, drawn anew at every run of a compiled program.")
