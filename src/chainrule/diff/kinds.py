"""Which rules each kind of operation has, backward and forward; a subclass of a kind has those of the kind."""

from ..ir.op import Op
from ..ops.custom import Custom
from ..ops.kinds import Composite, Discrete, Elementwise, Linear
from ..ops.loops import Loop
from ..ops.primitive import Primitive
from ..ops.structured import Structured
from . import bodies, control_flow, custom, primitives, rules

for kind, vjp, jvp in (
    (Op, rules.unknown, rules.unknown),
    (Discrete, rules.nothing_back, rules.nothing_forward),
    (Elementwise, rules.elementwise_vjp, rules.elementwise_jvp),
    (Linear, rules.linear_vjp, rules.linear_jvp),
    (Primitive, primitives.primitive_vjp, primitives.primitive_jvp),
    (Composite, bodies.composite_vjp, bodies.composite_jvp),
    (Structured, bodies.structured_vjp, bodies.structured_jvp),
    (Loop, control_flow.loop_vjp, control_flow.loop_jvp),
    (Custom, custom.custom_op_vjp, custom.custom_op_jvp),
):
    rules.VJP[kind], rules.JVP[kind] = vjp, jvp
