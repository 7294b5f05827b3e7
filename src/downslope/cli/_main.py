"""The entry point of the command: its environment, its errors and its exit code.

0    it ran; a descent that ended badly is still an answer
1    with --check, a descent that has a problem
2    bad input, or output that cannot be written, told without a traceback
75   of several processes that train together, another one ended: start them again, with --resume
129  stopped by SIGHUP
130  stopped by Ctrl-C
143  stopped by SIGTERM
"""

from __future__ import annotations

import sys

from downslope.cli._signals import Signals  # light, as everything that is imported before the handlers are installed

_INTERRUPTED = 130


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    signals = Signals()
    signals.end_at_once()  # before the imports, which take a second
    from downslope.cli._streams import reserve_descriptors

    reserve_descriptors()
    code = run(sys.argv[1:], signals)
    if "downslope._hosts" in sys.modules:
        from downslope._hosts import end_with

        end_with(code)
    sys.exit(code)


def run(arguments: list[str], signals: Signals | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: what stands after `downslope`.
        signals: of this process; None where the caller handles them.
    """
    from downslope.cli._streams import printable

    with printable():
        code = _run(arguments, signals)
        sys.stderr.flush()
    return code


def _run(arguments: list[str], signals: Signals | None) -> int:
    """Run a command line with streams that can be printed to, and return its exit code."""
    import contextlib

    from downslope._errors import DownslopeError
    from downslope.cli._app import app
    from downslope.cli._streams import ReaderGone, read_arguments

    _prepare_cache()
    try:
        with signals or contextlib.nullcontext():
            result = app(read_arguments(arguments), standalone_mode=False, obj=signals)
            if result == _INTERRUPTED:  # Typer's answer to KeyboardInterrupt
                raise KeyboardInterrupt
            sys.stdout.flush()  # here, where a failure can still be told
    except KeyboardInterrupt:
        return _stopped(signals)
    except ReaderGone:
        return 0
    except DownslopeError as error:
        return _refused(str(error))
    except (OSError, UnicodeError) as error:
        return _refused(_of_system(error))
    except Exception as error:
        if signals is not None and signals.received:  # raised in a library that made another exception of it
            return _stopped(signals)
        return _usage_code(error)
    stopped = signals and signals.received
    return 128 + stopped if stopped else result if isinstance(result, int) else 0


def _stopped(signals: Signals | None) -> int:
    """Print that a signal stopped the command, and return its exit code."""
    print("Stopped.", file=sys.stderr)
    number = signals and signals.received
    return 128 + number if number else _INTERRUPTED


def _refused(message: str) -> int:
    """Print an error and return its code."""
    from downslope.cli._streams import visible

    print(f"Error: {visible(message)}", file=sys.stderr)
    return 2


def _of_system(error: OSError | UnicodeError) -> str:
    """Return an error of the operating system as a sentence."""
    from downslope._files import reason

    if isinstance(error, UnicodeError):
        return f"a name cannot be written in the encoding of this system: {error}\nset PYTHONUTF8=1 to use UTF-8"
    why = reason(error)
    return why if error.filename is None else f"{str(error.filename)!r} cannot be read or written: {why}"


def _usage_code(error: Exception) -> int:
    """Show what was wrong with the way the command was typed and return its code; raise what is no such error."""
    from downslope.cli._options import named_here

    named_here(error)
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if code is None:
        raise error
    if show is not None:
        import io

        from downslope.cli._streams import visible

        text = io.StringIO()
        show(text)
        print(visible(text.getvalue()), end="", file=sys.stderr)
    return int(code)


def _prepare_cache() -> None:
    """Let JAX keep its compiled programs in the user's cache folder, unless the user chose another."""
    from downslope._engine import keep_programs_on_disk

    keep_programs_on_disk()
