"""Training: the compiled step, checkpoints, history."""

from .checkpoints import read_checkpoint, write_checkpoint
from .fit import Event, fit
from .forward import evaluate, predict
from .history import History
from .step import Step, accuracy
from .tasks import TASKS, Task, task

__all__ = [
    "TASKS",
    "Event",
    "History",
    "Step",
    "Task",
    "accuracy",
    "evaluate",
    "fit",
    "predict",
    "read_checkpoint",
    "task",
    "write_checkpoint",
]
