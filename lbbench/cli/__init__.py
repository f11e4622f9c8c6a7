"""The command line: one file per command, no logic; errors are sentences and exit codes."""

from __future__ import annotations

import os
import sys

from lbbench.errors import Interrupted, LbbenchError

DONE = 0
BAD_INPUT = 2
INTERRUPTED = 130
MOST_LINES = 12


def main() -> None:
    """Run the command line; the entry point of the package."""
    from lbbench.cli.app import app

    try:
        code = app(prog_name="lbbench", standalone_mode=False)
        sys.stdout.flush()
    except Interrupted as end:
        _say(str(end))
        sys.exit(INTERRUPTED)
    except LbbenchError as error:
        if _debugging():
            raise
        _say("\n".join(str(error).splitlines()[:MOST_LINES]))
        sys.exit(BAD_INPUT)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer makes 1 of it
            _drop_output()
            sys.exit(DONE)
        raise
    except BrokenPipeError:
        _drop_output()
        sys.exit(DONE)
    except Exception as error:
        if _debugging():
            raise
        sys.exit(_unexpected(error))
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        _say("interrupted; nothing was written")
    sys.exit(code if isinstance(code, int) else DONE)


def _debugging() -> bool:
    return "--debug" in sys.argv


def _drop_output() -> None:
    """Let what is still buffered go nowhere: the reader has what it wanted."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _unexpected(error: Exception) -> int:
    """Say what click, the memory or a fault of our own has to say; return the exit status."""
    if error.__class__.__name__ == "NoArgsIsHelpError":
        print(error.format_message())  # type: ignore[attr-defined]
        return DONE
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        command = "lbbench" if context is None else context.command_path
        said = error.format_message().replace("Value error, ", "").rstrip(".")
        _say(f"{said}; see {command} --help")
        return BAD_INPUT
    if isinstance(error, MemoryError):
        _say("not enough memory; ask for fewer requests (run.requests) or no --record")
        return BAD_INPUT
    _say(
        f"a fault of lbbench, not of your input: {error.__class__.__name__}: {error}; "
        "please report it with what the same command prints with --debug"
    )
    return BAD_INPUT
