"""NumPy's functions on traced values: each line says which operation a function is, with NumPy's own signature."""

from .dispatch import FUNCTIONS as FUNCTIONS
from .dispatch import call_function as call_function
from .dispatch import method as method
from .factorizations import *  # noqa: F403
from .joining import *  # noqa: F403
from .norms import *  # noqa: F403
from .products import *  # noqa: F403
from .reductions import *  # noqa: F403
from .shapes import *  # noqa: F403
from .signatures import METHODS as METHODS
from .ufuncs import call_ufunc as call_ufunc
from .values import *  # noqa: F403
