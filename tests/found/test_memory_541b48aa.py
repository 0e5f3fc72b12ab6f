"""Found by `make fuzz` (memory, seed 5550138).

t.append(t[7].movedim(0, -1)): ZeroDivisionError: integer modulo by zero
"""

from fuzz.memory import Case, judge


def test_found():
    judge(
        Case(
            (
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].sum())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[0].detach())",
                "t.append(t[7].movedim(0, -1))",
            )
        )
    )
