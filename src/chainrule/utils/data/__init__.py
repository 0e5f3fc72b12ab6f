"""Data sets, loaders and readers of files."""

from .datasets import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split
from .readers import read_csv, read_idx, read_numpy

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
    "read_csv",
    "read_idx",
    "read_numpy",
]
