"""What every command of `quac` has in common: its options, its log, its errors."""

import errno
import functools
import logging
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from quac.system.console import log, start_log
from quac.system.errors import QuacError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Key = Annotated[Path, typer.Option(help="Key file: the settings of the stage.")]
Out = Annotated[Path, typer.Option(help="File to write.")]
Log = Annotated[Path | None, typer.Option(help="File for the messages.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads, or processes that decode; default: all cores.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
StoreFile = Annotated[Path, typer.Option(help="Pixels of a split.")]
ClassifierFile = Annotated[Path, typer.Option(help="TorchScript or exported classifier.")]
FurtherJudges = Annotated[list[Path] | None, typer.Option(help="Further classifier; once per name in the settings.")]
IndexFile = Annotated[Path, typer.Option(help="Index of a split.")]


def guarded(function):
    """A function whose errors end in one message, on the screen and in the log, and an exit status."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        logging.raiseExceptions = False  # a full disk is reported once, by the stage
        try:
            start_log(kwargs.get("log_file"))
            function(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted; the same command starts this stage again", 130)
        except Exception as error:
            signum = getattr(error, "signum", None)  # training.Stopped, without importing torch here
            if signum is not None:
                _fail(str(error), 128 + signum)
            _fail(_message(error), 1)

    return run


def stage(function):
    """A command of that name, guarded."""
    return app.command(name=function.__name__.strip("_").replace("_", "-"))(guarded(function))


def _fail(message, status):
    log.error("error: %s" if status == 1 else "%s", message)
    sys.exit(status)


def _message(error):
    if isinstance(error, QuacError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{_file_of(error)}: no space left on the disk; free some and run the same command again, nothing is lost"
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{_file_of(error)}: {error.strerror.lower()}; make it accessible, or choose another place"
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


def _out_of_memory(error):
    """`GPU`, `machine`, or None: of an error of another kind. (By names: torch is not imported for it.)"""
    said = str(error)
    if type(error).__name__ == "OutOfMemoryError" or re.search("CUDA.*out of memory|_STATUS_ALLOC_FAILED", said):
        return "GPU"
    return "machine" if isinstance(error, MemoryError) or "DefaultCPUAllocator" in said else None


def _file_of(error):
    return error.filename or "the output folder"
