"""Normal forms: an opened expression as a fraction of polynomials in atoms that stand for exponentials, logarithms, sums.

Every rewriting is an identity wherever the expression is defined, so an expression whose numerator is the zero
polynomial is zero: that is what a proof rests on. The converse does not hold, and is never used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .algebra import AppliedUndef, Undecided, sp
from .derivative import Argument
from .expectations import expectation_of
from .meaning import at_zero, opened, sign, step
from .sums import sum_of
from .tensors import Expectation

ODD = ("asin", "atan", "erf")


class _Again(Exception):
    """A finer generator is needed: an exponent turned out to be a fraction of those seen before."""


class Normal:
    """Brings expressions to normal forms.

    Args:
        signs: polynomials whose sign is assumed: 1, 0 or -1.
        positive: names of variables that are positive.
        unequal: pairs of indices that are assumed to differ.
        even: names of random variables whose distribution is symmetric about 0; `random` are all of them.

    Attributes:
        conditions: what must hold for the expressions to be defined, as polynomials and a word: "> 0", ">= 0", "!= 0".
        undetermined: polynomials whose sign the normal form would need to know.
        pairs: pairs of free indices that may be equal or not.
    """

    def __init__(
        self,
        signs: Mapping[Any, int] | None = None,
        positive: frozenset[str] = frozenset(),
        unequal: frozenset[Any] = frozenset(),
        random: frozenset[str] = frozenset(),
        even: frozenset[str] = frozenset(),
    ) -> None:
        self.signs, self.positive_names, self.unequal = dict(signs or {}), positive, unequal
        self.random, self.even = random, even
        self.parts: dict[Any, int] = {}  # exponent -> into how many equal parts its generator divides it
        self.roots: dict[Any, int] = {}
        self._clear()

    def _clear(self) -> None:
        self.atoms: dict[Any, Any] = {}
        self.meaning: dict[Any, Any] = {}
        self.kinds: dict[Any, str] = {}
        self.cache: dict[Any, Any] = {}
        self.relations: dict[Any, tuple[int, Any]] = {}
        self.exponents: dict[Any, tuple[Any, int]] = {}
        self.conditions: dict[tuple[Any, str], None] = {}
        self.undetermined: dict[Any, None] = {}
        self.pairs: dict[Any, None] = {}

    # ---- the interface ---------------------------------------------------------------------------------------

    def fraction(self, expression: Any) -> tuple[Any, Any]:
        """Numerator and denominator, coprime, in atoms."""
        for _ in range(20):
            try:
                e = opened(expression)
                return sp.fraction(self.reduced(self.rational(e)))
            except _Again:
                self._clear()
        raise Undecided("its exponents have no common measure")

    def vanishes(self, numerator: Any) -> bool:
        """Whether a numerator is zero, given which polynomials are."""
        if numerator == 0:
            return True
        zeros = [self.fraction_of(p)[0] for p, s in self.signs.items() if s == 0]
        gens = sorted({a for p in (numerator, *zeros) for a in p.free_symbols}, key=str)
        return bool(zeros) and bool(gens) and sp.reduced(numerator, zeros, *gens)[1] == 0

    def fraction_of(self, expression: Any) -> tuple[Any, Any]:
        """Numerator and denominator in the atoms that there are already."""
        return sp.fraction(self.reduced(self.rational(opened(expression))))

    def canonical(self, expression: Any) -> Any:
        """The normal form, written out again in exponentials, logarithms and sums."""
        numerator, denominator = self.fraction(expression)
        return self.written(numerator) / self.written(denominator)

    def written(self, e: Any) -> Any:
        """Atoms replaced by what they stand for."""
        return e.xreplace(self.meaning)

    def is_positive(self, p: Any) -> bool:
        """Whether a polynomial in atoms is positive wherever it is defined: a sum of positive terms."""
        strict = False
        for term in sp.Add.make_args(sp.expand(p)):
            c, factors = term.as_coeff_mul()
            if not (c.is_Rational and c > 0):
                return False
            positive = True
            for f in factors:
                base, power = f.as_base_exp()
                if self._positive_atom(base):
                    continue
                if (not power.is_even and self.kinds.get(base) != "root") or self.kinds.get(base) == "complex":
                    return False
                positive = False
            strict = strict or positive
        return strict

    def _positive_atom(self, a: Any) -> bool:
        kind = self.kinds.get(a)
        if kind in ("exp", "pi"):
            return True
        if kind == "root":
            return self.is_positive(self.relations[a][1])
        if kind == "sum":
            return self.is_positive(self.rational(self.meaning[a].function))
        return bool(a.is_positive) or getattr(a, "name", "") in self.positive_names or self.signs.get(a) == 1

    # ---- fractions -------------------------------------------------------------------------------------------

    def rational(self, e: Any) -> Any:
        """The expression as a rational function of atoms."""
        if e not in self.cache:
            self.cache[e] = self._rational(e)
        return self.cache[e]

    def _rational(self, e: Any) -> Any:
        if e.is_Rational or e is sp.I:
            return e
        if e.is_Symbol:
            return e
        if e.is_Add or e.is_Mul:
            return e.func(*map(self.rational, e.args))
        if e is sp.pi:
            return self.atom("pi", e, e)
        if e is sp.E:
            return self._exp(sp.Integer(1))
        if isinstance(e, sp.exp):
            return self._exp(e.args[0])
        if e.is_Pow:
            return self._power(*e.args)
        if isinstance(e, sp.log):
            return self._log(e.args[0])
        if isinstance(e, (sp.sin, sp.cos)):
            up, down = self._exp(sp.I * e.args[0]), self._exp(-sp.I * e.args[0])
            return (up + down) / 2 if isinstance(e, sp.cos) else (up - down) / (2 * sp.I)
        if isinstance(e, (step, at_zero)):
            s = self._sign(e.args[0])
            return sp.expand((s + s**2) / 2) if isinstance(e, step) else 1 - s**2
        if isinstance(e, sp.Sum):
            return sum_of(self, e)
        if isinstance(e, sp.KroneckerDelta):
            return self._delta(e)
        if isinstance(e, Expectation):
            return expectation_of(self, e.args[0])
        if isinstance(e, sp.Indexed):
            return self.atom("variable", e, e)
        if isinstance(e, (AppliedUndef, sp.Function)):
            return self._function(e)
        raise Undecided(f"{e} has no normal form")

    def reduced(self, e: Any) -> Any:
        """Cancelled, with the relations of roots and signs applied."""
        numerator, denominator = sp.fraction(sp.together(e))
        return sp.cancel(self._relate(numerator) / self._relate(denominator))

    def _relate(self, p: Any) -> Any:
        """A polynomial reduced by the relations: r^k = value."""
        p = sp.expand(p)
        for _ in range(50):
            used = [a for a in self.relations if p.has(a)]
            before = p
            for a in used:
                power, value = self.relations[a]
                terms: list[Any] = []
                for (k,), c in sp.Poly(p, a).terms():
                    q, r = divmod(int(k), power)
                    if power == 3 and k > 2:  # a sign: s^3 = s
                        q, r = 0, 2 - k % 2
                    terms.append(c * a**r * value**q)
                p = sp.expand(sp.Add(*terms))
            if p == before:
                return p
        return p

    def inner(self, e: Any) -> Any:
        """An inner expression in a form that equal expressions share, in atoms."""
        return self.reduced(self.rational(e))

    def atom(self, kind: str, key: Any, meaning: Any) -> Any:
        k = (kind, key)
        if k not in self.atoms:
            s = sp.Dummy(kind, real=True) if kind != "complex" else sp.Dummy(kind)
            self.atoms[k], self.meaning[s], self.kinds[s] = s, meaning, kind
        return self.atoms[k]

    def _function(self, e: Any) -> Any:
        """A function without a definition: an atom for each argument, up to equality of the arguments."""
        arguments: list[Any] = []
        for a in e.args:
            if isinstance(a, Argument):
                arguments.append(Argument(self.written(self.inner(a.args[0])), *a.args[1:]))
            elif a.is_Symbol or a.is_Integer:
                arguments.append(a)
            else:
                arguments.append(self.written(self.inner(a)))
        if e.func.__name__ in ODD and arguments[0].could_extract_minus_sign():
            return -self._function(e.func(-arguments[0], evaluate=False))
        made = e.func(*arguments)
        if not isinstance(made, e.func):  # its value is known there
            return self.rational(made)
        if e.func.__name__ == "asin":
            self.need(1 - self.inner(arguments[0]) ** 2, ">= 0")
        return self.atom("function", made, made)

    # ---- exponentials, logarithms, powers --------------------------------------------------------------------

    def _exp(self, exponent: Any) -> Any:
        """A product of generators, one for each term of the exponent."""
        numerator, denominator = sp.fraction(self.inner(exponent))
        made: Any = sp.Integer(1)
        for t in sp.Add.make_args(sp.expand(numerator)):
            made *= self._exp_term(sp.cancel(t / denominator))
        return made

    def _exp_term(self, term: Any) -> Any:
        c, rest = term.as_coeff_Mul()
        if c.is_Rational and c == 0:
            return sp.Integer(1)
        if not c.is_Rational:
            c, rest = sp.Integer(1), term
        if self.kinds.get(rest) == "log":
            return self._powers([(self._logged(rest), 1)], c)
        imaginary = rest.has(sp.I) or any(self.kinds.get(a) == "complex" for a in rest.free_symbols)
        written = self.written(rest)
        parts = self.parts.get(written, 1)
        if (c * parts).q != 1:
            self.parts[written] = int(sp.ilcm(parts, c.q))
            raise _Again
        meaning = sp.exp(written / parts)
        g = self.atom("complex" if imaginary else "exp", rest, meaning)
        if written == sp.I * sp.pi:
            self.relations[g] = (parts, sp.Integer(-1))
        self.exponents[g] = (rest, parts)
        return g ** (c * parts)

    def _logged(self, a: Any) -> Any:
        """The polynomial whose logarithm an atom is."""
        return next(key for (_, key), s in self.atoms.items() if s is a)

    def _factors(self, e: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """A number and irreducible polynomials with their powers; each has a positive leading coefficient."""
        numerator, denominator = sp.fraction(self.inner(e))
        if numerator == 0:
            return sp.Integer(0), []
        if numerator.has(sp.I) or denominator.has(sp.I):
            raise Undecided("a logarithm, a root or a sign of something complex")
        number: Any = sp.Integer(1)
        found: list[tuple[Any, int]] = []
        for part, side in ((numerator, 1), (denominator, -1)):
            c, factors = sp.factor_list(part)
            number *= c**side
            for p, k in factors:
                if p.could_extract_minus_sign():
                    p, number = sp.expand(-p), number * (-1) ** k
                found.append((p, side * k))
        return number, found

    def need(self, e: Any, what: str) -> None:
        """Record a condition, in atoms, unless it always holds."""
        numerator, denominator = sp.fraction(self.reduced(e))
        if what == "!= 0":
            for p, _ in sp.factor_list(numerator)[1]:
                if not self.is_positive(p):
                    self.conditions[(p, what)] = None
        elif not (self.is_positive(numerator) and self.is_positive(denominator)):
            self.conditions[(sp.factor(numerator / denominator), what)] = None

    def _log(self, u: Any) -> Any:
        number, factors = self._factors(u)
        self.need(self.rational(u), "> 0")
        made: Any = sp.Integer(0)
        for prime, k in sp.factorrat(sp.Abs(number)).items():
            made += k * self.atom("log", sp.Integer(prime), sp.log(prime)) if prime != 1 else 0
        for p, k in factors:
            if self.kinds.get(p) == "exp":
                rest, parts = self.exponents[p]
                made += k * rest / parts
            else:
                made += k * self.atom("log", p, sp.log(self._absolute(p)))
        return made

    def _absolute(self, p: Any) -> Any:
        written = self.written(p)
        return written if self.is_positive(p) else sp.Abs(written)

    def _power(self, u: Any, n: Any) -> Any:
        if n.is_Integer:
            base = self.rational(u)
            if n < 0:
                self.need(base, "!= 0")
            return base**n
        if not n.is_Rational:
            return self._exp(n * sp.log(u))
        number, factors = self._factors(u)
        if number == 0:
            return sp.Integer(0)
        self.need(self.rational(u), ">= 0" if n > 0 else "> 0")
        primes = [(sp.Integer(p), k) for p, k in sp.factorrat(sp.Abs(number)).items() if p != 1]
        return self._powers([*primes, *factors], n)

    def _powers(self, factors: list[tuple[Any, int]], n: Any) -> Any:
        """The product of |p|^(k n), with one root for each p."""
        made: Any = sp.Integer(1)
        for p, k in factors:
            power = sp.Rational(k) * n
            if self.kinds.get(p) == "exp":
                rest, parts = self.exponents[p]
                made *= self._exp_term(rest * power / parts)
                continue
            written = self.written(p)
            parts = self.roots.get(written, 1)
            if (power * parts).q != 1:
                self.roots[written] = int(sp.ilcm(parts, power.q))
                raise _Again
            size = p if p.is_Rational or self.is_positive(p) else p * self._sign_of(p)
            if parts == 1:
                made *= size ** int(power) if int(power) % 2 else p ** int(power)
                continue
            root = self.atom("root", p, self._absolute(p) ** sp.Rational(1, parts))
            self.relations[root] = (parts, size)
            whole, rest = divmod(int(power * parts), parts)
            made *= (p**whole if whole % 2 == 0 else size**whole) * root**rest
        return made

    # ---- signs -----------------------------------------------------------------------------------------------

    def _sign(self, u: Any) -> Any:
        """The sign of an expression as the product of the signs of its factors."""
        try:
            number, factors = self._factors(u)
        except Undecided:  # a real number written with complex exponentials: its sign is an atom as a whole
            return self._sign_atom(self.written(self.inner(u)))
        made: Any = sp.sign(number)
        for p, k in factors:
            s = self._sign_of(p)
            made *= s if k % 2 else s**2
        return made

    def _sign_of(self, p: Any) -> Any:
        if self.is_positive(p):
            return sp.Integer(1)
        return self._sign_atom(self.written(p))

    def _sign_atom(self, key: Any) -> Any:
        if key in self.signs:
            return sp.Integer(self.signs[key])
        s = self.atom("sign", key, sign(key))
        self.relations[s] = (3, s)
        self.undetermined[key] = None
        return s

    # ---- sums and expectations -------------------------------------------------------------------------------

    def _delta(self, e: Any) -> Any:
        i, j = sorted(e.args, key=str)
        if i == j:
            return sp.Integer(1)
        if frozenset((i, j)) in self.unequal or (i.is_Integer and j.is_Integer):
            return sp.Integer(0)
        made = sp.KroneckerDelta(i, j)
        a = self.atom("delta", made, made)
        self.relations[a] = (2, a)
        if not any(str(k).startswith("_") for k in (i, j)):
            self.pairs[(i, j)] = None
        return a

    def monomials(self, e: Any) -> tuple[list[tuple[Any, dict[Any, int]]], Any]:
        """The terms of the numerator, each a number and powers of atoms, and the denominator."""
        numerator, denominator = sp.fraction(self.reduced(e))
        terms: list[tuple[Any, dict[Any, int]]] = []
        for t in sp.Add.make_args(sp.expand(numerator)):
            c, factors = t.as_coeff_mul()
            powers: dict[Any, int] = {}
            for f in factors:
                base, k = f.as_base_exp()
                if base is sp.I:
                    c *= f
                else:
                    powers[base] = powers.get(base, 0) + int(k)
            terms.append((c, powers))
        return terms, denominator
