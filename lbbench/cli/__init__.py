"""The command line: one file per command, no logic; errors are sentences and exit codes."""

from __future__ import annotations

import sys

from lbbench.errors import LbbenchError

BAD_INPUT = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command line; the entry point of the package."""
    from lbbench.cli.app import app

    try:
        app(standalone_mode=False)
    except LbbenchError as error:
        if "--debug" in sys.argv:
            raise
        print("\n".join(str(error).splitlines()[:12]), file=sys.stderr)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        code = _usage_error(error)
        if code is None:
            raise
        sys.exit(code)


def _usage_error(error: Exception) -> int | None:
    """Print what click says about a wrong call; None when the error is not click's."""
    if error.__class__.__name__ == "Exit":
        return int(getattr(error, "exit_code", 0))
    if error.__class__.__name__ == "Abort":
        print("interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    if not hasattr(error, "format_message"):
        return None
    context = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context is not None else ""
    print(f"{error.format_message()}{hint}", file=sys.stderr)
    return BAD_INPUT
