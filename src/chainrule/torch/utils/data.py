"""torch.utils.data."""

from ...tensors.namespace import missing_from as _missing_from
from ...utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]
__getattr__ = _missing_from("torch.utils.data", __all__)
