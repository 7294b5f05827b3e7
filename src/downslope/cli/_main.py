"""Where the command begins and ends: its environment, its errors and its exit code.

0    it ran; a descent that ended badly is still an answer
1    with --check, a descent that has a problem
2    bad input, told without a traceback
130  stopped by Ctrl-C
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: what stands after `downslope`.
    """
    from downslope._errors import DownslopeError
    from downslope.cli._app import app

    _prepare_cache()
    try:
        result = app(arguments, standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that has gone can still be caught
    except DownslopeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _silence_output()
        return 0
    except Exception as error:
        return _usage_code(error)
    return result if isinstance(result, int) else 0


def _usage_code(error: Exception) -> int:
    """Show what was wrong with the way the command was typed and return its code; raise what is no such error."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if code is None:
        raise error
    if show is not None:
        show()
    return int(code)


def _prepare_cache() -> None:
    """Let JAX keep its compiled programs in the user's cache folder, unless the user chose another."""
    from downslope._engine import keep_programs_on_disk

    keep_programs_on_disk()


def _silence_output() -> None:
    """Send what is still to be written nowhere, as the reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
