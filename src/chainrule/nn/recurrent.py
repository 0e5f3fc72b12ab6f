"""Recurrent networks: one cell, applied along time, in layers and directions; weights as torch names them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, ShapeError
from ..ops.exponential import sigmoid
from ..ops.piecewise import relu
from . import functional as F
from .layers import _uniform, empty
from .module import Module


class _Recurrent(Module):
    gates: int
    cell_state = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if proj_size:
            raise InputError(f"{type(self).__name__}: proj_size is not supported", "put a Linear behind it")
        if hidden_size <= 0 or num_layers <= 0 or not 0 <= dropout <= 1:
            raise InputError(
                f"{type(self).__name__}: hidden_size, num_layers must be positive, dropout between 0 and 1"
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout, self.bias = batch_first, float(dropout), bias
        self.bidirectional = bidirectional
        self.suffixes = ["", "_reverse"] if bidirectional else [""]
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self.suffixes)
            for s in self.suffixes:
                setattr(self, f"weight_ih_l{layer}{s}", empty(rows, width, device=device, dtype=dtype))
                setattr(self, f"weight_hh_l{layer}{s}", empty(rows, hidden_size, dtype=dtype))
                for name in ("bias_ih", "bias_hh") if bias else ():
                    setattr(self, f"{name}_l{layer}{s}", empty(rows, dtype=dtype))
        _uniform(self, hidden_size)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """input: (time, batch, input_size), or (batch, time, ...) with batch_first, or (time, input_size).

        Returns (output, last state): output (time, batch, directions * hidden_size), state (layers * directions, batch,
        hidden_size); for an LSTM the state is a pair (h, c).
        """
        x, state = input, hx
        single = np.ndim(x) == 2
        if single:
            x = np.expand_dims(x, 1)
            state = None if state is None else _each(lambda s: np.expand_dims(s, 1), state)
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        if np.ndim(x) != 3 or np.shape(x)[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: the input has shape {np.shape(x)}, its last axis must be {self.input_size}",
                "give (time, batch, input_size), or (batch, time, input_size) with batch_first=True",
            )
        self._check_state(state, np.shape(x)[1])
        lasts: list[Any] = []
        for layer in range(self.num_layers):
            outs: list[Any] = []
            for s in self.suffixes:
                out, last = self._direction(x, state, layer, s, len(lasts))
                outs.append(out)
                lasts.append(last)
            x = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=-1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        last: Any = tuple(np.stack(part) for part in zip(*lasts, strict=True)) if self.cell_state else np.stack(lasts)
        if single:
            return x[:, 0], _each(lambda s: s[:, 0], last)
        return (np.swapaxes(x, 0, 1) if self.batch_first else x), last

    def _check_state(self, state: Any, batch: int) -> None:
        """Raise unless the state given fits."""
        if state is None:
            return
        if self.cell_state != isinstance(state, tuple):
            raise InputError(
                f"{type(self).__name__} takes {'a pair of states (h, c)' if self.cell_state else 'one state, no tuple'}"
            )
        want = (self.num_layers * len(self.suffixes), batch, self.hidden_size)
        for part in state if isinstance(state, tuple) else (state,):
            if tuple(np.shape(part)) != want:
                raise ShapeError(f"{type(self).__name__}: Expected hidden size {want}, got {tuple(np.shape(part))}")

    def _direction(self, x: Any, state: Any, layer: int, suffix: str, number: int) -> tuple[Any, Any]:
        time, batch = np.shape(x)[:2]
        w = {k: getattr(self, f"{k}_l{layer}{suffix}") for k in ("weight_ih", "weight_hh")}
        b = [getattr(self, f"{k}_l{layer}{suffix}") for k in ("bias_ih", "bias_hh")] if self.bias else [0.0, 0.0]
        inputs = x @ np.transpose(w["weight_ih"]) + b[0]
        if state is None:
            zero = np.zeros((batch, self.hidden_size), inputs.dtype)
            h: Any = (zero, zero) if self.cell_state else zero
        else:
            h = _each(lambda s: s[number], state)
        back = np.transpose(w["weight_hh"])
        outs: list[Any] = [None] * time
        for t in reversed(range(time)) if suffix else range(time):
            h = self.cell(inputs[t], h, back, b[1])
            outs[t] = h[0] if self.cell_state else h
        return np.stack(outs), h

    def cell(self, given: Any, h: Any, back: Any, bias: Any) -> Any:
        """The state after one step."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + (
            f", num_layers={self.num_layers}" if self.num_layers > 1 else ""
        )


def _each(function: Any, state: Any) -> Any:
    return tuple(map(function, state)) if isinstance(state, tuple) else function(state)


_NONLINEARITIES: dict[str, Any] = {"tanh": np.tanh, "relu": relu}


class RNN(_Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or ReLU in the place of tanh."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device, dtype=dtype
        )
        if nonlinearity not in _NONLINEARITIES:
            raise InputError(f"RNN: Unknown nonlinearity {nonlinearity!r}", "select from 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity

    def cell(self, given: Any, h: Any, back: Any, bias: Any) -> Any:
        return _NONLINEARITIES[self.nonlinearity](given + h @ back + bias)


class GRU(_Recurrent):
    """Gated recurrent units. Source: Cho et al., 2014; gates in torch's order reset, update, new."""

    gates = 3

    def cell(self, given: Any, h: Any, back: Any, bias: Any) -> Any:
        own = h @ back + bias
        n = self.hidden_size
        reset = sigmoid(given[:, :n] + own[:, :n])
        update = sigmoid(given[:, n : 2 * n] + own[:, n : 2 * n])
        new = np.tanh(given[:, 2 * n :] + reset * own[:, 2 * n :])
        return (1 - update) * new + update * h


class LSTM(_Recurrent):
    """Long short-term memory. Source: Hochreiter and Schmidhuber, 1997; gates in torch's order in, forget, cell, out."""

    gates = 4
    cell_state = True

    def cell(self, given: Any, h: Any, back: Any, bias: Any) -> Any:
        all_ = given + h[0] @ back + bias
        n = self.hidden_size
        into, forget, out = (sigmoid(all_[:, k * n : (k + 1) * n]) for k in (0, 1, 3))
        c = forget * h[1] + into * np.tanh(all_[:, 2 * n : 3 * n])
        return out * np.tanh(c), c
