"""The updates of a training step as CUDA graphs: the thousands of kernels of a step, launched at once."""

import gc
from collections import Counter
from contextlib import suppress
from functools import partial

import torch

from quac.models.starganv2.gradients import difference
from quac.system.console import log
from quac.system.errors import lines_of
from quac.training.compile import TOLERANCE

WARM_UP = 3  # steps ahead of a capture: what is made, chosen or compiled at a first time cannot be captured


class CudaGraphs:
    """Captures functions. A function runs on the stream of its capture before it: autograd remembers streams."""

    def __init__(self):
        self.stream = torch.cuda.Stream()
        self.forget()

    def forget(self):
        """To be called when no graph is left: the pool of their memory cannot be used again."""
        self.pool = torch.cuda.graph_pool_handle()  # one for all graphs, since one runs at a time

    def run(self, function, *args):
        """What the function returns."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            out = function(*args)
        torch.cuda.current_stream().wait_stream(self.stream)
        return out

    def capture(self, function, *args):
        """What launches the function's kernels again, and what it returned, which they write anew; none runs yet."""
        gc.collect()  # a graph that is destroyed during a capture breaks it off
        graph = torch.cuda.CUDAGraph()
        try:
            # Threads that gather the next batch or write a state may go on meanwhile. (The outer context: torch's own
            # does not leave the stream of a capture that failed.)
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"),
            ):
                out = function(*args)
        except Exception:
            with suppress(Exception):  # else torch 2.11 goes on allocating from the pool, see pull request 180395
                torch._C._cuda_endAllocateToPool(self.stream.device_index, self.pool)
                torch._C._cuda_releasePool(self.stream.device_index, self.pool)
            raise
        return graph.replay, out


class CapturedUpdate:
    """In the place of `TrainingStep.update`: the same updates, from a graph for each set of terms that have a weight.

    The first steps of a set are carried out as they are. Then it is captured, and tried against the step as it is:
    where the gradients are others, or nothing can be captured, the log says so, and all goes on without.
    """

    def __init__(self, train_step, precision, capturing=None):
        self.train_step, self.tolerance = train_step, TOLERANCE[precision]
        self.capturing = capturing or CudaGraphs()
        self.graphs, self.proven, self.met, self.works = {}, set(), Counter(), True
        self.as_it_is = partial(self.capturing.run, train_step.update)

    def __call__(self, batch, weights):
        terms = tuple(weights)
        self.met[terms] += 1
        if self.works and terms not in self.graphs and self.met[terms] > WARM_UP:
            self._capture(terms, batch, weights)
        if terms in self.graphs:
            return self.graphs[terms](batch, weights)
        self.release()
        return self.as_it_is(batch, weights)

    def release(self):
        """Let go of all graphs: their memory is that of a step, which one that runs as it is needs once more."""
        self.graphs.clear()
        self.capturing.forget()

    def _capture(self, terms, batch, weights):
        """Capture a set, if that works. No weight is changed."""
        try:
            if terms in self.proven:
                self.graphs[terms] = self._graph(batch, weights)
                return
            self.release()
            expected = self._gradients(self.as_it_is, batch, weights)
            graph = self._graph(batch, weights)
            worst = difference(self._gradients(graph, batch, weights), expected)
            reason = f"the gradients differ by {worst:.2g} of their norm"
            self.works = worst <= self.tolerance  # (NaN is not)
        except Exception as error:  # whatever a driver, a library or a classifier may raise
            log.debug("capturing", exc_info=error)
            cause = error.__context__ or error  # ending a capture that failed fails, too
            reason = " ".join(lines_of(cause)[:2])
            self.works = False
        if self.works:
            log.info("a step is captured as a CUDA graph; %s", reason)
            self.graphs[terms] = graph
            self.proven.add(terms)
        else:
            log.warning("capturing a step as a CUDA graph does not work here (%s); training goes on without", reason)
            self.release()

    def _graph(self, batch, weights):
        groups = [group for optimizer in self.train_step.optimizers.values() for group in optimizer.param_groups]
        try:
            for group in groups:  # says only that one knows: the fused Adam counts its steps on the device anyway
                group["capturable"] = True
            return Graph(self.capturing, self.train_step.update, batch, weights)
        finally:
            for group in groups:
                group["capturable"] = False

    def _gradients(self, update, batch, weights):
        """The gradients of the last update of each network, {network: list}, by what they add to Adam's moments."""
        held, moments = [], {}
        for name, optimizer in self.train_step.optimizers.items():
            held += [tensor for p, state in optimizer.state.items() for tensor in (p.detach(), *state.values())]
            moments[name] = [state["exp_avg"] for state in optimizer.state.values()]
        before = [tensor.clone() for tensor in held]
        added = {
            name: torch._foreach_mul(moments[name], -optimizer.param_groups[0]["betas"][0])
            for name, optimizer in self.train_step.optimizers.items()
        }
        try:
            update(batch, weights)
            for name in moments:
                torch._foreach_add_(added[name], moments[name])
            return added
        finally:
            self.train_step.networks.zero_grad(set_to_none=True)
            torch._foreach_copy_(held, before)


class Graph:
    """A captured update, and the tensors that it reads and writes."""

    def __init__(self, capturing, update, batch, weights):
        # Not the values of a batch: a tensor that is forgotten below would be noticed.
        parts = vars(batch).items()
        self.batch = type(batch)(**{name: None if part is None else torch.zeros_like(part) for name, part in parts})
        self.weights = {name: torch.zeros_like(value) for name, value in weights.items()}
        self.replay, self.metrics = capturing.capture(update, self.batch, self.weights)

    def __call__(self, batch, weights):
        for mine, given in ((vars(self.batch), vars(batch)), (self.weights, weights)):
            for name, value in given.items():
                if value is not None:
                    mine[name].copy_(value)
        self.replay()
        return dict(zip(self.metrics, torch.stack(list(self.metrics.values())).unbind(), strict=True))
