"""Networks: modules, losses and initial values, with names and behaviour as torch has them."""

from . import functional, init, utils
from .activations import (
    ELU,
    GELU,
    Heaviside,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Rect,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .attention import MultiheadAttention
from .conv import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from .layers import (
    BatchNorm1d,
    BatchNorm2d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LayerNorm,
    Linear,
    ModuleList,
    Residual,
    Sequential,
    Unflatten,
)
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from .module import Module, Parameter, functional_call
from .recurrent import GRU, LSTM, RNN
from .reports import Flow, Summary, Symmetry, collapse, flow, summary, symmetry

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "CrossEntropyLoss", "Dropout", "Embedding", "Flatten", "Flow", "Heaviside",
    "HuberLoss", "Identity", "KLDivLoss", "L1Loss", "LayerNorm", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax",
    "MSELoss", "MaxPool1d", "MaxPool2d", "Module", "ModuleList", "MultiheadAttention", "NLLLoss", "Parameter", "ReLU",
    "Rect", "Residual", "Sequential", "SiLU", "Sigmoid", "SmoothL1Loss", "Softmax", "Softplus", "Summary", "Symmetry",
    "Tanh", "Unflatten", "collapse", "flow", "functional", "functional_call", "init", "summary", "symmetry", "utils",
]  # fmt: skip
