"""Found by `make fuzz` (printed, seed 997).

    raise ValueError("this program was printed for np.argmax(x) = 0 (<printed>:13); print it again at the new point")
x_0 = x[0]                                    # (3)
v1 = x_0 * 1                                  # (4)
greater1 = a > 0.4                            # (5)
cast_greater1 = np.int64(greater1)            # (6)
v3 = v3_branch(cast_greater1, v1)             # (7)
f = np.sum(v3)                                # (9)
# backward
dv1 = v3_branch_grad(cast_greater1, v1, 1.0)  # (7)
dx_0 = dv1                                    # (4)
dx = scatter(dx_0, np.s_[0], x.shape)         # (3)
return f, dx
"""

from fuzz.printed import Case, judge


def test_found():
    judge(
        Case(
            source="K = 1.75\nDATA = np.array([0.3, 0.9, 1.4])\nMASK = np.array([True, False, True])\nROWS = np.array([0, 2, 2])\nLONG = np.linspace(0, 1, 20)\nTABLE = [1.5, -0.5, 2.0]\n\n\ndef f(x, n, flag):\n    a = np.sum(x * 0.7)\n    A = np.outer(x, DATA)\n    v0 = a + a\n    k = int(np.argmax(x))\n    v1 = x[k] * (k + 1)\n    v2 = a + a\n    v3 = cr.cond(a > 0.4, lambda x: x * x, lambda x: -x, v1)\n    return np.sum(v3)\n",
            kinds=("vector", "static", "static"),
            points=(((-2.3, -2.3, -2.3), 1, False), ((-2.3, -2.3, -2.3), 1, False), ((-2.3, -2.3, -2.3), 1, False)),
            language="python",
            dtype="float32",
        )
    )
