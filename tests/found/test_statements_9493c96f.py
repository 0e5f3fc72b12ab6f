"""Found by `make fuzz` (statements, seed 95533159).

refuted at at a[1] = 0, a[2] = 0, a[3] = 0, b[1] = 0, b[2] = 0, b[3] = 1, i = 0, j = 1, n = 3: left = 1, right = 0, where [('apart', 'i', 'j')] does not hold: ((2*sum(i=1..n, 1[(b[i] - a[i]) > (a[i] ^ 2)])) / 2) = (b[j]*(sin(cos(sign(b[1])))*sum(k=2..2, sin(cos(sign(b[k]))))))
"""

from fuzz.statements import Case, judge


def test_found():
    judge(Case(left=('div', ('mul', ('num', '2'), ('sum', 'i', ('', 1), ('n', 0), ('ind', '>', ('sub', ('entry', 'b', (('i', 0),)), ('entry', 'a', (('i', 0),))), ('pow', ('entry', 'a', (('i', 0),)), ('num', '2'))))), ('num', '2')), right=('mul', ('entry', 'b', (('j', 0),)), ('mul', ('fn', 'sin', ('fn', 'cos', ('fn', 'sign', ('entry', 'b', (('', 1),))))), ('sum', 'k', ('', 2), ('', 2), ('fn', 'sin', ('fn', 'cos', ('fn', 'sign', ('entry', 'b', (('k', 0),)))))))), given=(('apart', 'i', 'j'),), shapes=(('a', ('n',)), ('b', ('n',))), functions=()))
