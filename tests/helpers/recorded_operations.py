"""In the place of CUDA graphs on a CPU: what is captured is a list of operations on fixed tensors, and nothing else."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operations(TorchDispatchMode):
    """Remembers the operations below it. `replay` carries them out again, each result where it was the first time."""

    def __init__(self):
        super().__init__()
        self.done, self.before = [], {}

    def __torch_dispatch__(self, function, _, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        for argument, value in zip(function._schema.arguments, args, strict=False):
            if argument.alias_info and argument.alias_info.is_write:
                for tensor in tree_leaves(value):
                    self.before.setdefault(id(tensor), (tensor, tensor.detach().clone()))
        out = function(*args, **kwargs)
        self.done.append((function, args, kwargs, out))
        return out

    @torch.no_grad()
    def undo(self):
        """A capture changes nothing."""
        for tensor, value in self.before.values():
            tensor.copy_(value)

    @torch.no_grad()
    def replay(self):
        for function, args, kwargs, out in self.done:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if torch.is_tensor(old) and old.data_ptr() != new.data_ptr():  # (as it is in place, and of views)
                    old.copy_(new)


class OperationGraphs:
    """See `quac.training.cuda_graphs.CudaGraphs`."""

    def __init__(self):
        self.ran = 0

    def forget(self):
        pass

    def run(self, function, *args):
        self.ran += 1
        return function(*args)

    def capture(self, function, *args):
        operations = Operations()
        try:
            with operations:
                out = function(*args)
        finally:
            operations.undo()
        return operations.replay, out
