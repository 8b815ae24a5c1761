"""What all commands of `quac` share: options, log, errors."""

import errno
import functools
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from quac.system.console import log, start_log
from quac.system.errors import QuacError
from quac.system.paths import is_same_file

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Key = Annotated[Path, typer.Option(help="Key file: the settings of the stage.")]
Out = Annotated[Path, typer.Option(help="File to write.")]
Log = Annotated[Path | None, typer.Option(help="File for the messages.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all cores.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that decode images; 0: decode in this process.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
StoreFile = Annotated[Path, typer.Option(help="Pixels of a split.")]
ClassifierFile = Annotated[Path, typer.Option(help="TorchScript or exported classifier.")]
Oracles = Annotated[
    list[Path] | None, typer.Option(help="Classifier that chooses nothing; once per name in `oracles`.")
]
IndexFile = Annotated[Path, typer.Option(help="Index of a split.")]


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """A function that reports an error as one message, on the screen and in the log, and exits with a status."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        logging.raiseExceptions = False  # a full disk is reported once, by the stage
        try:
            start_log()
            log_file = kwargs.get("log_file")
            _require_new(log_file, kwargs.values())
            start_log(log_file)
            with _terminable():
                function(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted. Run the same command again.", 130)
        except _Terminated as ended:
            _fail(f"stopped by {signal.Signals(ended.signum).name}. Run the same command again.", 128 + ended.signum)
        except Exception as error:
            signum = getattr(error, "signum", None)  # training.Stopped, without importing torch here
            if signum is not None:
                _fail(str(error), 128 + signum)
            _fail(_message(error), 1)

    return run


class _Terminated(BaseException):
    def __init__(self, signum: int):
        self.signum = signum


@contextmanager
def _terminable() -> Iterator[None]:
    """A context in which the signals of batch systems end a command as Ctrl-C does: files are whole, and it says why.

    (The training loop handles them itself, and saves its state.)
    """

    def stop(signum: int, _: object) -> NoReturn:
        if os.getpid() != own:  # a forked worker
            os._exit(128 + signum)
        raise _Terminated(signum)

    own = os.getpid()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _require_new(log_file: Path | None, given: Iterable[Any]) -> None:
    """Raise QuacError if the messages would be written over a file that the command takes or makes."""
    if log_file:
        files = [each for value in given for each in (value if isinstance(value, list) else [value])]
        for file in files:
            if file is not log_file and isinstance(file, str | Path) and file and is_same_file(file, log_file):
                raise QuacError(f"--log-file: {log_file} is another file of this command; choose another name")


def stage(function: Callable[..., None]) -> Callable[..., None]:
    """A command that the workflow calls, named as the function, guarded."""
    return _command(function, "Stages of the workflow")


def user_command(function: Callable[..., None]) -> Callable[..., None]:
    """A command for users, named as the function, guarded."""
    return _command(function, None)


def _command(function: Callable[..., None], panel: str | None) -> Callable[..., None]:
    name = function.__name__.strip("_").replace("_", "-")
    return app.command(name=name, rich_help_panel=panel)(guarded(function))


def _fail(message: str, status: int) -> NoReturn:
    log.error("error: %s" if status == 1 else "%s", message)
    sys.exit(status)


def _message(error: Exception) -> str:
    if isinstance(error, QuacError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{_file_of(error)}: no space left on the disk. Free some and run the same command again; nothing is lost."
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{_file_of(error)}: {(error.strerror or '').lower()}. Make it accessible, or choose another place."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if whose := _out_of_memory(error):
        return (
            f"the {whose} has too little memory. Training: raise run.accumulate (the same result, slower), set "
            "solver.precision to bf16, data.device_cache and solver.compile to never, lower data.batch_size, or make "
            "the networks narrower by model.max_conv_dim. Conversion: lower validation_config.val_batch_size. "
            "Classifier: lower classifier.batch_size"
        )
    log.debug("unexpected", exc_info=error)  # the log file has the traceback, the screen does not
    return f"unexpected {type(error).__name__}: {error}; please report it with the log file"


def _out_of_memory(error: Exception) -> str | None:
    """`GPU` or `machine`, or None for another error. (By names, so that torch is not imported.)"""
    message = str(error)
    if type(error).__name__ == "OutOfMemoryError" or re.search("CUDA.*out of memory|_STATUS_ALLOC_FAILED", message):
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or "DefaultCPUAllocator" in message else None


def _file_of(error: OSError) -> str:
    return error.filename or "the output folder"
