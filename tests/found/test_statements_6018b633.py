"""Found by `make fuzz` (statements, seed 95533160).

refuted at at once: left = 423.7643305, right = 22175.12895, where a side has no value: (d/dx (x*(softplus((exp((2 + 1)) + (1/2))) ^ 2))) = (-(-((1 + (d/dx (x*(softplus(((1 / exp((-(2 + 3)))) + (1/2))) ^ 2)))) - 1))) given {'given': [], 'functions': ''}
"""

from fuzz.statements import Case, judge


def test_found():
    judge(Case(left=('D', ('var', 'x'), ('mul', ('var', 'x'), ('pow', ('fn', 'softplus', ('add', ('fn', 'exp', ('add', ('num', '2'), ('num', '1'))), ('num', '1/2'))), ('num', '2')))), right=('neg', ('neg', ('sub', ('add', ('num', '1'), ('D', ('var', 'x'), ('mul', ('var', 'x'), ('pow', ('fn', 'softplus', ('add', ('div', ('num', '1'), ('fn', 'exp', ('neg', ('add', ('num', '2'), ('num', '3'))))), ('num', '1/2'))), ('num', '2'))))), ('num', '1')))), given=(), shapes=(), functions=()))
