"""Data sets and loaders."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...tensors.creation import Generator, default_generator
from ...tensors.tensor import Tensor, tensor
from ...trace.handles import plain


class Dataset:
    """Examples by number: subclasses define `__len__` and `__getitem__`."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, k: int) -> Any:
        raise NotImplementedError

    def take(self, numbers: Any) -> tuple[Any, ...]:
        """The examples of these numbers as arrays, one for each part, with a leading axis."""
        examples = [self[int(k)] for k in numbers]
        rows = [e if isinstance(e, (tuple, list)) else (e,) for e in examples]
        return tuple(np.stack([np.asarray(plain(x)) for x in column]) for column in zip(*rows, strict=True))


class TensorDataset(Dataset):
    """Examples along the first axis of arrays or tensors."""

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise InputError("TensorDataset got nothing", "pass arrays, for instance TensorDataset(x, y)")
        self.arrays = tuple(np.asarray(plain(t)) for t in tensors)
        self.tensors = tuple(
            t if isinstance(t, Tensor) else tensor(a) for t, a in zip(tensors, self.arrays, strict=True)
        )
        counts = [a.shape[:1] for a in self.arrays]
        if any(c != counts[0] or not c for c in counts):
            raise ShapeError(
                f"TensorDataset: the first axes differ: shapes {', '.join(str(a.shape) for a in self.arrays)}",
                "give one row for each example in every array",
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, k: Any) -> tuple[Tensor, ...]:
        return tuple(t[k] for t in self.tensors)

    def take(self, numbers: Any) -> tuple[Any, ...]:
        return tuple(a[numbers] for a in self.arrays)


class Subset(Dataset):
    """Some of the examples of another data set."""

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices, int)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, k: Any) -> Any:
        return self.dataset[int(self.indices[k])]

    def take(self, numbers: Any) -> tuple[Any, ...]:
        return self.dataset.take(self.indices[numbers])


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """The examples dealt at random into parts of these lengths, or of these fractions that add up to 1."""
    n = len(dataset)
    if all(0 <= x <= 1 for x in lengths) and abs(sum(lengths) - 1) < 1e-9:
        counts = [int(n * x) for x in lengths]
        for k in range(n - sum(counts)):
            counts[k % len(counts)] += 1
    else:
        counts = [int(x) for x in lengths]
    if sum(counts) != n:
        raise InputError(f"random_split: the lengths add up to {sum(counts)}, the data has {n} examples")
    order = (generator or default_generator).numbers.permutation(n)
    ends = np.cumsum([0, *counts])
    return [Subset(dataset, order[a:b]) for a, b in itertools.pairwise(ends)]


class DataLoader:
    """Batches of a data set, epoch by epoch.

    Args:
        dataset: a `Dataset`, or anything with a length and numbered examples.
        batch_size: examples in a batch.
        shuffle: whether each epoch has an order of its own.
        drop_last: leave out a last batch that is not full.
        generator: where the order comes from; the global generator when left out.
        prefetch: how many batches a thread prepares ahead.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        prefetch: int = 0,
        num_workers: int = 0,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"DataLoader: batch_size is {batch_size}", "give a positive number")
        if not len(dataset):
            raise InputError("DataLoader: the data set is empty")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.generator, self.prefetch = generator, max(prefetch, num_workers)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self) -> list[Any]:
        """The numbers of the examples of each batch, for one epoch."""
        n = len(self.dataset)
        numbers = (self.generator or default_generator).numbers.permutation(n) if self.shuffle else np.arange(n)
        return [numbers[k * self.batch_size : (k + 1) * self.batch_size] for k in range(len(self))]

    def arrays(self, order: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """The batches of an order, as plain arrays."""
        take = self.dataset.take if hasattr(self.dataset, "take") else Dataset.take.__get__(self.dataset)
        batches = (take(numbers) for numbers in order)
        return _ahead(batches, self.prefetch) if self.prefetch else batches

    def __iter__(self) -> Iterator[list[Tensor]]:
        return ([tensor(a) for a in batch] for batch in self.arrays(self.order()))


_END = object()


def _ahead(items: Iterator[Any], count: int) -> Iterator[Any]:
    """The same items, prepared by a thread up to `count` ahead. An error there is raised here."""
    ready: queue.Queue[Any] = queue.Queue(count)
    stop = threading.Event()

    def put(x: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(x, timeout=0.1)
            except queue.Full:
                continue
            break

    def work() -> None:
        try:
            for item in items:
                if stop.is_set():
                    return
                put((item, None))
            put((_END, None))
        except BaseException as error:
            put((_END, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()
