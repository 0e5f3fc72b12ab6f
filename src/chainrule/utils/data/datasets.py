"""Data sets and loaders."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import InputError, ShapeError
from ...tensors.creation import Generator, as_tensor, default_generator, tensor
from ...tensors.shapes import stack
from ...tensors.tensor import Tensor
from ...trace.handles import plain


class Dataset:
    """Examples by number: subclasses define `__len__` and `__getitem__`."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, k: int) -> Any:
        raise NotImplementedError

    def take(self, numbers: Any) -> tuple[Any, ...]:
        """The examples of these numbers as arrays, one for each part, with a leading axis."""
        return _columns([self[int(k)] for k in numbers])


def _columns(examples: Sequence[Any]) -> tuple[Any, ...]:
    """The parts of examples as arrays, with a leading axis."""
    rows = [e if isinstance(e, (tuple, list)) else (e,) for e in examples]
    return tuple(np.stack([np.asarray(plain(x)) for x in column]) for column in zip(*rows, strict=True))


def taken(dataset: Any, numbers: Any) -> tuple[Any, ...]:
    """The examples of these numbers as arrays, of anything with numbered examples."""
    return dataset.take(numbers) if isinstance(dataset, Dataset) else _columns([dataset[int(k)] for k in numbers])


class TensorDataset(Dataset):
    """Examples along the first axis of arrays or tensors."""

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise InputError("TensorDataset got nothing", "pass arrays, for instance TensorDataset(x, y)")
        self.tensors = tuple(t if isinstance(t, Tensor) else as_tensor(np.asarray(t)) for t in tensors)
        counts = [a.shape[:1] for a in self.arrays]
        if any(c != counts[0] or not c for c in counts):
            raise ShapeError(
                f"TensorDataset: the first axes differ: shapes {', '.join(str(a.shape) for a in self.arrays)}",
                "give one row for each example in every array",
            )

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The values of the tensors as they are now."""
        return tuple([np.asarray(t.node.value) for t in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, k: Any) -> tuple[Tensor, ...]:
        return tuple(t[k] for t in self.tensors)

    def take(self, numbers: Any) -> tuple[Any, ...]:
        return tuple([a.take(numbers, 0) for a in self.arrays])


class Subset(Dataset):
    """Some of the examples of another data set."""

    def __init__(self, dataset: Any, indices: Any) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices, int)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, k: Any) -> Any:
        return self.dataset[int(self.indices[k])]

    def take(self, numbers: Any) -> tuple[Any, ...]:
        return taken(self.dataset, self.indices[numbers])


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

    A data set is anything with a length and numbered examples: a `Dataset`, an array, a list. An example is a tensor, an
    array, a number, a text, or a tuple, list or dict of them; a batch has the same form, with its tensors stacked.

    Args:
        dataset: the examples.
        batch_size: examples in a batch; None for single examples, not stacked.
        shuffle: whether each epoch has an order of its own.
        sampler: an order of examples, instead of `shuffle`.
        batch_sampler: the numbers of each batch, instead of batch_size, shuffle, sampler and drop_last.
        num_workers: how many batches a thread prepares ahead (torch has processes; the batches are the same).
        collate_fn: makes a batch of a list of examples.
        pin_memory: has no meaning on the CPU.
        drop_last: leave out a last batch that is not full.
        timeout: for a worker; must be 0.
        worker_init_fn: not supported.
        multiprocessing_context: not supported.
        generator: where the order comes from; the global generator when left out.
        prefetch_factor: batches that each worker prepares ahead.
        persistent_workers: makes no difference.
        pin_memory_device: has no meaning on the CPU.
        in_order: batches come in their order in any case.
        prefetch: how many batches a thread prepares ahead. (torch has none.)
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None,
        batch_sampler: Any = None, num_workers: int = 0, collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0, worker_init_fn: Any = None,
        multiprocessing_context: Any = None, generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True, prefetch: int = 0,
    ) -> None:  # fmt: skip
        if timeout or worker_init_fn is not None or multiprocessing_context is not None:
            raise InputError("DataLoader: timeout, worker_init_fn and multiprocessing_context are not supported")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"DataLoader: batch_size is {batch_size}", "give a positive number")
        if sampler is not None and shuffle:
            raise InputError("DataLoader: sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise InputError(
                "DataLoader: batch_sampler is mutually exclusive with batch_size, shuffle, sampler, drop_last"
            )
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise InputError(f"DataLoader: {type(dataset).__name__} has no length or no numbered examples")
        if not len(dataset):
            raise InputError("DataLoader: the data set is empty")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, bool(shuffle), drop_last
        self.sampler, self.batch_sampler, self.collate_fn = sampler, batch_sampler, collate_fn
        self.generator, self.prefetch = generator, max(prefetch, num_workers * (prefetch_factor or 2))

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        n = len(self.dataset) if self.sampler is None else len(self.sampler)
        whole, rest = divmod(n, self.batch_size or 1)
        return whole + (1 if rest and not self.drop_last else 0)

    def order(self) -> list[Any]:
        """The numbers of the examples of each batch, for one epoch."""
        if self.batch_sampler is not None:
            return [np.asarray(list(numbers), int) for numbers in self.batch_sampler]
        if self.sampler is not None:
            numbers = np.asarray(list(self.sampler), int)
        else:
            n = len(self.dataset)
            numbers = (self.generator or default_generator).numbers.permutation(n) if self.shuffle else np.arange(n)
        size = self.batch_size or 1
        return [numbers[k * size : (k + 1) * size] for k in range(len(self))]

    def arrays(self, order: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """The batches of an order, as plain arrays."""
        if self.collate_fn is None:
            batches = (taken(self.dataset, numbers) for numbers in order)
        else:
            collated = (self.collate_fn([self.dataset[int(k)] for k in numbers]) for numbers in order)
            batches = (tuple(np.asarray(plain(x)) for x in batch) for batch in collated)
        return _ahead(batches, self.prefetch) if self.prefetch else batches

    def __iter__(self) -> Iterator[Any]:
        batches = map(self._batch, self.order())
        return _ahead(batches, self.prefetch) if self.prefetch else batches

    def _batch(self, numbers: Any) -> Any:
        if self.batch_size is None and self.batch_sampler is None:
            example = self.dataset[int(numbers[0])]
            return _tensors(example) if self.collate_fn is None else self.collate_fn(example)
        if self.collate_fn is None and type(self.dataset) is TensorDataset:
            return [tensor(a) for a in self.dataset.take(numbers)]
        return (self.collate_fn or default_collate)([self.dataset[int(k)] for k in numbers])


def default_collate(batch: Sequence[Any]) -> Any:
    """Examples of one form as one of that form: tensors, arrays and numbers stacked, texts in a list."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)):
        return tensor(np.stack([np.asarray(x) for x in batch]))
    if isinstance(first, (bool, int)):
        return tensor(list(batch))
    if isinstance(first, float):
        return tensor(list(batch), dtype=np.float64)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, dict):
        return {k: default_collate([x[k] for x in batch]) for k in first}
    if isinstance(first, (tuple, list)):
        if any(len(x) != len(first) for x in batch):
            raise ShapeError("each element in list of batch should be of equal size")
        parts = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise InputError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first).__name__}",
        "give collate_fn",
    )


def _tensors(x: Any) -> Any:
    """An example with its arrays as tensors."""
    if isinstance(x, (np.ndarray, np.generic)):
        return tensor(np.asarray(x))
    if isinstance(x, dict):
        return {k: _tensors(v) for k, v in x.items()}
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        return type(x)(map(_tensors, x))
    return x


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
