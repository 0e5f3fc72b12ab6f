"""torch.linalg."""

from ..tensors.namespace import missing_from as _missing_from
from ..tensors.products import cross as cross
from ..tensors.products import matmul as matmul
from ..tensors.reductions import vector_norm as vector_norm
from ..tensors.shapes import diagonal as diagonal

__all__ = ["cross", "diagonal", "matmul", "vector_norm"]

__getattr__ = _missing_from("torch.linalg", __all__)
