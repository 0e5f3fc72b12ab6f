"""Attention with several heads."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..ops.piecewise import where
from ..trace.handles import dtype_of
from . import functional as F
from . import init
from .layers import Linear, empty
from .module import Module


class MultiheadAttention(Module):
    """softmax(Q K^T / sqrt(d)) V in several heads, between linear maps. Source: Vaswani et al., 2017.

    Inputs are (length, batch, embed_dim), or (batch, length, embed_dim) with batch_first; without a batch, (length,
    embed_dim). Masks are as torch has them: boolean ones mark what must NOT be seen, others are added.
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if add_bias_kv or add_zero_attn or kdim not in (None, embed_dim) or vdim not in (None, embed_dim):
            raise InputError("MultiheadAttention: add_bias_kv, add_zero_attn, kdim and vdim are not supported")
        if embed_dim % num_heads:
            raise InputError(f"embed_dim {embed_dim} is not divisible by {num_heads} heads")
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.in_proj_weight = init.xavier_uniform_(empty(3 * embed_dim, embed_dim, device=device, dtype=dtype))
        self.register_parameter("in_proj_bias", empty(3 * embed_dim, dtype=dtype) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype)
        if bias:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """The output, and the weights of attention (averaged over heads), or None."""
        single = np.ndim(query) == 2
        inputs = [query, key, value]
        if single:
            inputs = [np.expand_dims(x, 0) for x in inputs]
            key_padding_mask = None if key_padding_mask is None else np.expand_dims(key_padding_mask, 0)
        elif not self.batch_first:
            inputs = [np.swapaxes(x, 0, 1) for x in inputs]
        n = self.embed_dim
        q, k, v = (
            self._heads(
                F.linear(
                    x,
                    self.in_proj_weight[j * n : (j + 1) * n],
                    None if self.in_proj_bias is None else self.in_proj_bias[j * n : (j + 1) * n],
                )
            )
            for j, x in enumerate(inputs)
        )
        if is_causal and attn_mask is None:
            raise InputError("MultiheadAttention: Need attn_mask if specifying the is_causal hint.", "give the mask")
        mask = self._mask(attn_mask, key_padding_mask)  # `is_causal` only says of the mask what it is
        weights = F.attention_weights(q, k, mask, safe=not need_weights)
        dropped = F.dropout(weights, self.dropout, self.training)
        heads = np.swapaxes(dropped @ v, 1, 2)
        out = self.out_proj(np.reshape(heads, (*np.shape(heads)[:2], n)))
        shown = (np.mean(weights, axis=1) if average_attn_weights else weights) if need_weights else None
        if single:
            return out[0], None if shown is None else shown[0]
        return (out if self.batch_first else np.swapaxes(out, 0, 1)), shown

    def _heads(self, x: Any) -> Any:
        """(batch, length, embed) to (batch, heads, length, embed / heads)."""
        batch, length = np.shape(x)[:2]
        return np.swapaxes(np.reshape(x, (batch, length, self.num_heads, self.embed_dim // self.num_heads)), 1, 2)

    def _mask(self, mask: Any, padding: Any) -> Any:
        """Both masks as one that is added to the scores."""
        total: Any = None
        if mask is not None:
            total = _added(mask)
            if np.ndim(total) == 3:
                total = np.reshape(total, (-1, self.num_heads, *np.shape(total)[1:]))
        if padding is not None:
            hidden = np.reshape(_added(padding), (np.shape(padding)[0], 1, 1, -1))
            total = hidden if total is None else total + hidden
        return total

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, num_heads={self.num_heads}"


def _added(mask: Any) -> Any:
    return where(mask, np.float32(-np.inf), np.float32(0.0)) if dtype_of(mask).kind == "b" else mask
