"""The Typer application; each command is built when it is called, since its options come from a schema."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

import downslope as ds
from downslope.cli import _descents, _ensembles, _fits, _formulas, _options, _remedies, _training
from downslope.cli import _print as show
from downslope.cli._signals import Signals

Port = Annotated[
    int | None,
    typer.Option("--port", metavar="N", min=1, max=65535, help="Port to bind; by default 8765 or the next free one."),
]
Host = Annotated[
    str, typer.Option("--host", metavar="NAME", help="Address to bind; addresses beyond this machine require a token.")
]
Runs = Annotated[
    Path, typer.Option("--runs", metavar="DIR", help="Folder to search for saved runs, three levels deep.")
]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")]

Token = Annotated[
    bool,
    typer.Option(
        "--token/--no-token", help="Require the token in the printed address, so that other users cannot enter."
    ),
]

Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Spread races and prescriptions over a Dask scheduler: tcp://host:8786."
    ),
]

BaseUrl = Annotated[
    str,
    typer.Option("--base-url", metavar="PATH", help="Path under which a proxy shows the lab: /user/ada/proxy/8765/."),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A further host name of the lab, matched exactly. Repeatable."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin", metavar="ORIGIN", help="A further origin of its pages: https://hub.example.org. Repeatable."
    ),
]
Embed = Annotated[
    list[str] | None,
    typer.Option("--embed", metavar="ORIGIN", help="An origin whose pages may show the lab in a frame. Repeatable."),
]
Shown = Annotated[
    str | None, typer.Argument(metavar="[FORMULA]", help="With --export: write the page Descend of this formula.")
]
Export = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Write the course, or FORMULA, as one .html that works offline."),
]
Chapter = Annotated[
    str | None,
    typer.Option("--chapter", metavar="N", help="With --export: write only this chapter, by number or name."),
]
Language = Annotated[
    str | None, typer.Option("--language", metavar="TAG", help="With --export: write only this language, en or de.")
]


def lab(
    context: typer.Context,
    formula: Shown = None,
    port: Port = None,
    host: Host = "127.0.0.1",
    browser: Browser = True,
    runs: Runs = Path(),
    token: Token = True,
    scheduler: Scheduler = None,
    base_url: BaseUrl = "/",
    allow_host: AllowHost = None,
    allow_origin: AllowOrigin = None,
    embed: Embed = None,
    export: Export = None,
    chapter: Chapter = None,
    language: Language = None,
) -> None:
    """Open the lab: watch, drag and understand descents."""
    if export is not None:
        page = ds.lab.export(export, formula, chapter=chapter, language=language, progress=_say)
        show.files({"page": str(page)})
        return
    if any(choice is not None for choice in (formula, chapter, language)):
        raise ds.SettingError("a formula, --chapter and --language need --export", hint="--export lesson.html")
    visitors = None if token else False
    ds.lab.serve(
        host=host,
        port=port,
        open_browser=browser,
        runs=runs,
        token=visitors,
        scheduler=scheduler,
        base_url=base_url,
        allow_hosts=allow_host or (),
        allow_origins=allow_origin or (),
        embed=embed or (),
    )
    if isinstance(context.obj, Signals):
        context.obj.forget()  # Ctrl-C is how a lab is closed


def _say(doing: str) -> None:
    """Print which part is recorded next."""
    print(f"{doing} …", file=sys.stderr, flush=True)


_COMMANDS: tuple[Callable[..., Any], ...] = (
    _formulas.derive,
    _formulas.chain,
    _formulas.slope,
    _formulas.backprop,
    _formulas.critical,
    _descents.descend,
    _fits.fit,
    _training.train,
    _training.predict,
    _remedies.find_rate,
    _remedies.prescribe,
    lab,
    _ensembles.sweep,
    _ensembles.compare,
    _ensembles.multistart,
    _ensembles.search,
    _descents.diagnose,
    _descents.draw,
    _descents.export,
    _descents.send,
)


class _Command(TyperCommand):
    """A command whose formula may begin with a minus sign: `derive -x²`, `slope "-x²" --at x=1`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; a formula is no option, whatever it begins with."""
        formulas = [p for p in self.params if p.param_type_name == "argument" and _is_formula(p)]
        if not formulas:
            return super().parse_args(ctx, args)
        rest = super().parse_args(ctx, list(_options.with_marked_formulas(args, self.params)))
        for parameter in formulas:
            value = ctx.params.get(parameter.name)
            ctx.params[parameter.name] = (
                value.strip() if isinstance(value, str) else value and type(value)(map(str.strip, value))
            )
        return rest


def _is_formula(parameter: Any) -> bool:
    """Tell whether an argument of a command takes a formula."""
    return any(word in (parameter.metavar or "") for word in ("FORMULA", "OUTER", "INNER"))


# Verbs of Python that have a shorter name here, and words of other programs with the command that does the same.
_ALSO = {"critical-points": "critical", "find-learning-rate": "find-rate"}
_ELSEWHERE: dict[str, str] = {
    word: command
    for command, words in {
        "descend": "minimize minimise optimize optimise min fmin run gd sgd",
        "draw": "plot graph picture show render",
        "derive": "diff differentiate derivative partial",
        "slope": "grad gradient tangent eval evaluate value at",
        "critical": "extrema stationary optima minima maxima roots solve",
        "find-rate": "lr lr-find find-lr lr-finder range-test",
        "compare": "race benchmark",
        "fit": "curve-fit curvefit regress regression lsq",
        "search": "global basinhopping anneal",
        "backprop": "backpropagation autograd",
        "lab": "serve ui gui web app",
        "diagnose": "explain check doctor",
    }.items()
    for word in words.split()
}


class _Commands(TyperGroup):
    """The commands: names and first sentences until one is called, then that one with its options."""

    def __init__(self, **settings: Any) -> None:
        self._functions = {function.__name__.replace("_", "-"): function for function in _COMMANDS}
        stubs = {
            name: TyperCommand(name, help=(function.__doc__ or "").splitlines()[0])
            for name, function in self._functions.items()
        }
        super().__init__(**{**settings, "commands": stubs})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that was typed, built."""
        typed = args[0].lower().replace("_", "-")
        if typed in _ALSO:
            args = [_ALSO[typed], *args[1:]]
        elif typed in _ELSEWHERE and args[0] not in self._functions:
            ours = _ELSEWHERE[typed]
            what = (self._functions[ours].__doc__ or "").splitlines()[0]
            ctx.fail(f"No such command {args[0]!r}. Use `downslope {ours}`: {what}")
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else self._built(str(name)), rest

    def _built(self, name: str) -> Any:
        """Return a command with its options."""
        information = CommandInfo(name, cls=_Command, callback=_options.signed(self._functions[name]))
        return get_command_from_info(information, pretty_exceptions_short=False, rich_markup_mode=None)


app = typer.Typer(
    name="downslope",
    cls=_Commands,
    help="Differentiate, descend, record and explain: −∇f, the way a ball rolls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    """Print the version and stop."""
    if requested:
        print(f"downslope {ds.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Differentiate, descend, record and explain: −∇f, the way a ball rolls."""
