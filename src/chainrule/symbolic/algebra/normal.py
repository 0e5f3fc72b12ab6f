"""Normal forms: an opened expression as a fraction of polynomials in atoms that stand for exponentials, logarithms, sums.

Every rewriting is an identity wherever the expression is defined, so an expression whose numerator is the zero
polynomial is zero: that is what a proof rests on. The converse does not hold, and is never used.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ...ir.relation import NONNEGATIVE, NONZERO, POSITIVE, Relation
from .assumptions import Assumptions
from .bounds import least_sign
from .budget import TooLarge
from .derivative import Argument, Place
from .estimates import MOST_DEGREE, spend
from .expectations import expectation_of
from .index_notation import Expectation
from .indices import Binder, fresh_index, is_named, same
from .meaning import DEFINITIONS, at_zero, opened, sign, step
from .signs import sign_of, sign_of_polynomial
from .sums import bound_index, depth_of, sum_of
from .untyped import AppliedUndef, Undecided, sp

ODD = ("asin", "atan", "erf")
MOST_PARTS = 60  # into which an exponent is divided
FACTORED = 10**4  # prime factors of numbers up to this one are found


class _Again(Undecided):
    """A finer generator is needed: an exponent turned out to be a fraction of those seen before, or a sum to have another range."""


class Normal:
    """Brings expressions to normal forms.

    Args:
        given: what is taken for granted.

    Attributes:
        conditions: what must hold for the expressions to be defined, as polynomials and their relation to zero.
        undetermined: polynomials whose sign the normal form would need to know.
        pairs: pairs of free index expressions that may be equal or not.
        empty: numbers of terms of sums of which it is not known whether they are >= 0.
    """

    again = _Again

    def __init__(self, given: Assumptions | None = None) -> None:
        self.given = given or Assumptions()
        self.ranges = self.given.ranges
        self.parts: dict[Any, int] = {}  # exponent -> into how many equal parts its generator divides it
        self.roots: dict[Any, int] = {}
        self.beginnings: dict[Any, list[Any]] = {}  # terms of sums -> from where their sums are counted
        self.ends: dict[Any, list[Any]] = {}
        self._clear()

    def _clear(self) -> None:
        self.atoms: dict[Any, Any] = {}
        self.meaning: dict[Any, Any] = {}
        self.kinds: dict[Any, str] = {}
        self.cache: dict[Any, Any] = {}
        self.relations: dict[Any, tuple[int, Any]] = {}
        self.exponents: dict[Any, tuple[Any, int]] = {}
        self.conditions: dict[tuple[Any, Relation], None] = {}
        self.undetermined: dict[Any, None] = {}
        self.pairs: dict[Any, None] = {}
        self.empty: dict[Any, None] = {}

    # ---- the interface ---------------------------------------------------------------------------------------

    def fraction(self, expression: Any) -> tuple[Any, Any]:
        """Numerator and denominator, coprime, in atoms."""
        e = opened(expression)
        for _ in range(40):
            try:
                return self.parts_of(self.rational(e))
            except _Again:
                self._clear()
        raise Undecided("its exponents have no common measure")

    def vanishes(self, numerator: Any) -> bool:
        """Whether a numerator is zero, given which polynomials are."""
        if numerator == 0:
            return True
        zeros = [self.fraction_of(p)[0] for p, s in self.given.signs.items() if s == 0]
        gens = sorted({a for p in (numerator, *zeros) for a in p.free_symbols}, key=str)
        return bool(zeros) and bool(gens) and sp.reduced(numerator, zeros, *gens)[1] == 0

    def fraction_of(self, expression: Any) -> tuple[Any, Any]:
        """Numerator and denominator in the atoms that there are already."""
        return self.parts_of(self.rational(opened(expression)))

    def canonical(self, expression: Any) -> Any:
        """The normal form, written out again in exponentials, logarithms and sums."""
        numerator, denominator = self.fraction(expression)
        return self.written(numerator) / self.written(denominator)

    def written(self, e: Any) -> Any:
        """Atoms replaced by what they stand for."""
        return e.xreplace(self.meaning)

    def is_positive(self, p: Any) -> bool:
        """Whether a polynomial in atoms is positive wherever it is defined: a sum of terms of which one is, and none is negative."""
        return self.least_sign(p) == 1

    def least_sign(self, p: Any) -> int:
        """1 where a polynomial is known to be positive, 0 where to be not negative, -1 where nothing is known."""
        return least_sign(self, p)

    @contextmanager
    def formally(self) -> Generator[None]:
        """What is read here need not be defined: it may stand for nothing at all."""
        before = dict(self.conditions)
        try:
            yield
        finally:
            self.conditions = before

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
        if e is sp.zoo or e is sp.nan or e is sp.oo or e is -sp.oo:
            raise Undecided("a part of it has no value")
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
            s = sign_of(self, e.args[0])
            return sp.expand((s + s**2) / 2) if isinstance(e, step) else 1 - s**2
        if isinstance(e, sp.Sum):
            return sum_of(self, e)
        if isinstance(e, sp.KroneckerDelta):
            return self._delta(e)
        if isinstance(e, Expectation):
            return expectation_of(self, e.args[0])
        if isinstance(e, sp.Indexed):
            return self._variable(e)
        if isinstance(e, sign):
            return sign_of(self, e.args[0])
        if e.func.__name__ in DEFINITIONS:  # as in what an atom stands for
            return self.rational(opened(e))
        if isinstance(e, (AppliedUndef, sp.Function)):
            return self._function(e)
        raise Undecided(f"{e} has no normal form")

    def parts_of(self, e: Any) -> tuple[Any, Any]:
        """Numerator and denominator, coprime, with the relations of roots and signs applied."""
        top, bottom = sp.Integer(1), sp.Integer(1)
        spend(e)
        if not any(p.exp.is_Integer and p.exp < 0 for p in e.atoms(sp.Pow)):
            top = self._relate(e)
            return top, bottom
        numerator, denominator = sp.fraction(sp.together(e))
        bottom = self._relate(denominator)
        if bottom == 0:
            raise Undecided("a division by zero")
        top = self._relate(numerator)
        return (top, bottom) if bottom.is_Rational and bottom == 1 else sp.fraction(sp.cancel(top / bottom))

    def reduced(self, e: Any) -> Any:
        """Cancelled, with the relations of roots and signs applied."""
        top, bottom = self.parts_of(e)
        return top / bottom

    def _relate(self, p: Any) -> Any:
        """A polynomial reduced by the relations: r^k = value."""
        p = sp.expand(p)
        for _ in range(50):
            free = p.free_symbols
            used = [a for a in self.relations if a in free]
            before = p
            for a in used:
                power, value = self.relations[a]
                terms: list[Any] = []
                for (k,), c in sp.Poly(p, a).terms():
                    q, r = divmod(int(k), power)
                    if power == 3 and k > 2 and value == a:  # a sign: s^3 = s
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

    def _variable(self, e: Any) -> Any:
        """An entry of a vector or matrix: an atom, or what a given equation says that it is."""
        for r in self.given.rules:
            if r.base == e.base:
                made = r.applied(e)
                if not isinstance(made, sp.Indexed):
                    return self.rational(made)
                if made.base != e.base:
                    return self._variable(made)
                e = min(e, made, key=lambda x: [sp.default_sort_key(i) for i in x.indices])  # A[i, j] = A[j, i]
        return self.atom("variable", e, e)

    def _function(self, e: Any) -> Any:
        """A function without a definition: an atom for each argument, up to equality of the arguments."""
        arguments = [a if a.is_Symbol or a.is_Integer else self._argument(a) for a in e.args]
        if e.func.__name__ in ODD and arguments[0].could_extract_minus_sign():
            return -self._function(e.func(-arguments[0], evaluate=False))
        made = e.func(*arguments)
        if not isinstance(made, e.func):  # its value is known there
            return self.rational(made)
        if e.func.__name__ == "asin":
            self.need(1 - self.inner(arguments[0]) ** 2, NONNEGATIVE)
        return self.atom("function", made, made)

    def _argument(self, a: Any) -> Any:
        """An argument in normal form; a vector with its index named in the one way."""
        if not isinstance(a, Argument):
            return a.func(*map(self._argument, a.args)) if isinstance(a, Place) else self.written(self.inner(a))
        entry, index, size = a.args
        new = fresh_index()
        self.ranges.bind(Binder(new, sp.Integer(1), size))
        made = self.written(self.inner(entry.xreplace({index: new})))
        bound = bound_index(1 + depth_of(made), 0)
        return Argument(made.xreplace({new: bound}), bound, size)

    # ---- exponentials, logarithms, powers --------------------------------------------------------------------

    def _exp(self, exponent: Any) -> Any:
        """A product of generators, one for each term of the exponent."""
        numerator, denominator = self.parts_of(self.rational(exponent))
        made: Any = sp.Integer(1)
        for t in sp.Add.make_args(sp.expand(numerator)):
            made *= self._exp_term(t if denominator == 1 else sp.cancel(t / denominator))
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
            self._divide(self.parts, written, parts, c)
        meaning = sp.exp(written / parts)
        g = self.atom("complex" if imaginary else "exp", rest, meaning)
        if written == sp.I * sp.pi:
            self.relations[g] = (parts, sp.Integer(-1))
        self.exponents[g] = (rest, parts)
        if abs(c * parts) > MOST_DEGREE:
            raise TooLarge(f"a power above {MOST_DEGREE}")
        return g ** (c * parts)

    def _divide(self, table: dict[Any, int], written: Any, parts: int, power: Any) -> None:
        """Begin again with a generator that divides an exponent into more parts."""
        table[written] = int(sp.ilcm(parts, power.q))
        if table[written] > MOST_PARTS:
            raise TooLarge(f"an exponent with a denominator above {MOST_PARTS}")
        raise _Again

    def _logged(self, a: Any) -> Any:
        """The polynomial whose logarithm an atom is."""
        return next(key for (_, key), s in self.atoms.items() if s is a)

    def factored(self, e: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """A number and irreducible polynomials with their powers; each has a positive leading coefficient."""
        numerator, denominator = self.parts_of(self.rational(e))
        if numerator == 0:
            return sp.Integer(0), []
        if numerator.has(sp.I) or denominator.has(sp.I):
            raise Undecided("a logarithm, a root or a sign of something complex")
        number: Any = sp.Integer(1)
        found: list[tuple[Any, int]] = []
        for part, side in ((numerator, 1), (denominator, -1)):
            c, factors = self.factors_of(part)
            number *= c**side
            for p, k in factors:
                if p.could_extract_minus_sign():
                    p, number = sp.expand(-p), number * (-1) ** k
                found.append((p, side * k))
        return number, found

    def factors_of(self, p: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """A number and the irreducible factors of a polynomial, with their powers."""
        if p.is_Rational:
            return p, []
        if p.is_Symbol:
            return sp.Integer(1), [(p, 1)]
        key = ("factors", p)
        if key not in self.cache:
            self.cache[key] = sp.factor_list(p)
        return self.cache[key]

    def need(self, e: Any, what: Relation) -> None:
        """Record a condition, in atoms, unless it always holds."""
        numerator, denominator = self.parts_of(e)
        if what is NONZERO:
            for p, _ in self.factors_of(numerator)[1]:
                if not self.is_positive(p):
                    self.conditions[(p, what)] = None
        elif not (self.is_positive(numerator) and self.is_positive(denominator)):
            self.conditions[(sp.factor(numerator / denominator), what)] = None

    def _log(self, u: Any) -> Any:
        number, factors = self.factored(u)
        self.need(self.rational(u), POSITIVE)
        made: Any = sp.Integer(0)
        for prime, k in sp.factorrat(sp.Abs(number), limit=FACTORED).items():
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
                self.need(base, NONZERO)
            return base**n
        if n.is_integer:
            return self._whole_power(u, n)
        if not n.is_Rational:
            return self._exp(n * sp.log(u))
        number, factors = self.factored(u)
        if number == 0:
            return sp.Integer(0)
        self.need(self.rational(u), NONNEGATIVE if n > 0 else POSITIVE)
        primes = [(sp.Integer(p), k) for p, k in sp.factorrat(sp.Abs(number), limit=FACTORED).items() if p != 1]
        return self._powers([*primes, *factors], n)

    def _whole_power(self, u: Any, n: Any) -> Any:
        """A power with a symbolic whole exponent: of any base, so it is no exponential; x^(n + 2) is x^2 x^n where n >= 0."""
        base = self.inner(u)
        if self.is_positive(base):
            return self._exp(n * sp.log(u))
        n = sp.expand(n)
        if not self.ranges.nonnegative(n):
            self.need(base, NONZERO)
            return self._power_atom(base, n)
        constant, rest = n.as_coeff_Add()
        if constant > 0 and self.ranges.nonnegative(rest):
            return base**constant * self._power_atom(base, rest)
        return self._power_atom(base, n)

    def _power_atom(self, base: Any, n: Any) -> Any:
        made = sp.Pow(self.written(base), n)
        return self.atom("power", made, made) if isinstance(made, sp.Pow) and made.exp == n else self.rational(made)

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
                self._divide(self.roots, written, parts, power)
            size = p if p.is_Rational or self.is_positive(p) else p * sign_of_polynomial(self, p)
            if parts == 1:
                made *= size ** int(power) if int(power) % 2 else p ** int(power)
                continue
            root = self.atom("root", p, self._absolute(p) ** sp.Rational(1, parts))
            self.relations[root] = (parts, size)
            whole, rest = divmod(int(power * parts), parts)
            made *= (p**whole if whole % 2 == 0 else size**whole) * root**rest
        return made

    # ---- sums and expectations -------------------------------------------------------------------------------

    def _delta(self, e: Any) -> Any:
        made = same(*e.args)
        if made.is_Integer:
            return made
        i, j = made.args
        apart = any(self.ranges.nonnegative(sp.expand(d - 1)) for d in (i - j, j - i))
        if apart or frozenset((i, j)) in self.given.unequal:
            return sp.Integer(0)
        a = self.atom("delta", made, made)
        self.relations[a] = (2, a)
        if is_named(made):
            self.pairs[(i, j)] = None
        return a

    def monomials(self, e: Any) -> tuple[list[tuple[Any, dict[Any, int]]], Any]:
        """The terms of the numerator, each a number and powers of atoms, and the denominator."""
        numerator, denominator = self.parts_of(e)
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
