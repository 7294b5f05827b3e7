"""The table of methods: one record each. This is the only module that names them.

To add a method, write its record here, put it into `METHODS` and `MethodName`, and a setting that no other method has
into `MethodSettings`. The checks, `compare`, pictures, remedies, command line, lab and documentation read it from
there.
"""

from typing import Annotated, Any, Literal, TypedDict

from downslope._choices import Choice
from downslope._errors import SettingError
from downslope._types import Plain
from downslope.methods._directions import (
    adagrad,
    adagrad_scale,
    adam,
    adam_scale,
    bfgs,
    gradient,
    l_bfgs,
    lion,
    momentum,
    nesterov,
    newton,
    noisy_gradient,
    rmsprop,
    rmsprop_scale,
)
from downslope.methods._spec import WEIGHT_DECAY, MethodSpec, Setting
from downslope.methods._theory import MethodFacts, NoTheory, Recurrence, Settings, Theory

_SEARCHES = NoTheory("it searches for the length of each step, so no rate has to be bounded")

_MOMENTUM = Setting("momentum", 0.9, "The share β of the last step that is added to the next.", below=1)
_BETA1 = Setting("beta1", 0.9, "Decay rate of the running mean of the gradients.", below=1)
_BETA2 = Setting("beta2", 0.999, "Decay rate of the running mean of the squared gradients.", below=1)
_EPSILON = Setting("epsilon", 1e-8, "A small number added to the denominator.")


def _decay(default: float) -> Setting:
    """Return the setting of a method that decays weights unasked."""
    return Setting(WEIGHT_DECAY.name, default, WEIGHT_DECAY.help)


# Named functions rather than lambdas, so that records can be pickled.


def _two(settings: Settings) -> float:
    return 2.0


def _memoryless(settings: Settings) -> Recurrence:
    return ((1.0, -1.0),)


_GRADIENT_THEORY = Theory(_two, "2", _memoryless)

GRADIENT_DESCENT = MethodSpec(
    name="gradient descent",
    help="Step by −α∇f.",
    update=gradient,
    aliases=("gd", "sgd", "steepest descent"),
    default_rate=0.1,
    network_rate=0.1,
    theory=_GRADIENT_THEORY,
    follows_gradient=True,
    suits_networks=True,
    in_races=True,
    reference="Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées, 1847",
)

NOISY_GRADIENT_DESCENT = MethodSpec(
    name="gradient descent with noise",
    help="Step by −α(∇f + ε) with normal noise ε, which leaves saddles.",
    update=noisy_gradient,
    settings=(
        Setting("noise", 0.1, "Standard deviation of the noise in each coordinate of the gradient at the first step."),
        Setting("noise_decay", 0.55, "The variance of the noise falls as step to the power of minus this."),
    ),
    aliases=("noise", "noisy sgd", "sgd with noise"),
    default_rate=0.1,
    network_rate=0.01,
    theory=_GRADIENT_THEORY,
    noisy=True,
    reference="Neelakantan et al., Adding gradient noise improves learning for very deep networks, 2015",
)


def _momentum_bound(settings: Settings) -> float:
    return 2 + 2 * settings["momentum"]


def _momentum_recurrence(settings: Settings) -> Recurrence:
    beta = settings["momentum"]
    return ((1 + beta, -1.0), (-beta, 0.0))


MOMENTUM = MethodSpec(
    name="momentum",
    help="Heavy ball: keep the share β of the last step and add −α∇f.",
    update=momentum,
    settings=(_MOMENTUM,),
    aliases=("heavy ball",),
    default_rate=0.1,
    network_rate=0.01,
    theory=Theory(_momentum_bound, "2 + 2β", _momentum_recurrence),
    suits_networks=True,
    in_races=True,
    reference="Polyak, Some methods of speeding up the convergence of iteration methods, 1964",
)


def _nesterov_bound(settings: Settings) -> float:
    return (2 + 2 * settings["momentum"]) / (1 + 2 * settings["momentum"])


def _nesterov_recurrence(settings: Settings) -> Recurrence:
    beta = settings["momentum"]
    return ((1 + beta, -(1 + beta)), (-beta, beta))


NESTEROV = MethodSpec(
    name="nesterov",
    help="Momentum with the gradient taken a step ahead, which swings less.",
    update=nesterov,
    settings=(_MOMENTUM,),
    aliases=("nag",),
    default_rate=0.1,
    network_rate=0.01,
    theory=Theory(_nesterov_bound, "(2 + 2β)/(1 + 2β)", _nesterov_recurrence),
    suits_networks=True,
    in_races=True,
    reference="Nesterov, A method of solving a convex programming problem with convergence rate O(1/k²), 1983",
)


ADAGRAD = MethodSpec(
    name="adagrad",
    help="Divide each coordinate by the root of the sum of its squared gradients.",
    update=adagrad,
    settings=(
        Setting("initial", 0.1, "Initial value of the sum of squares."),
        Setting(_EPSILON.name, 1e-7, _EPSILON.help),
    ),
    default_rate=0.1,
    network_rate=0.01,
    scale=adagrad_scale,
    theory=Theory(_two, "2"),
    in_races=True,
    reference="Duchi, Hazan and Singer, Adaptive subgradient methods, 2011",
)


RMSPROP = MethodSpec(
    name="rmsprop",
    help="Divide each coordinate by the root of the running mean of its squared gradients.",
    update=rmsprop,
    settings=(
        Setting("decay", 0.9, "Decay rate of the running mean of the squared gradients.", below=1),
        _EPSILON,
    ),
    default_rate=0.01,
    network_rate=1e-3,
    scale=rmsprop_scale,
    theory=Theory(_two, "2"),
    normalised=True,
    suits_networks=True,
    in_races=True,
    reference="Tieleman and Hinton, Lecture 6.5: RMSprop, 2012",
)


def _adam_bound(settings: Settings) -> float:
    # A running mean is momentum whose gradients enter with the share 1 − β, so its bound is momentum's over that share.
    return (2 + 2 * settings["beta1"]) / (1 - settings["beta1"])


_ADAM_THEORY = Theory(_adam_bound, "(2 + 2β₁)/(1 − β₁)")  # the scale P moves as well, so no recurrence is known

ADAM = MethodSpec(
    name="adam",
    help="Step along the running mean of gradients, each coordinate divided by its usual size.",
    update=adam,
    settings=(_BETA1, _BETA2, _EPSILON),
    default_rate=0.1,
    network_rate=1e-3,
    scale=adam_scale,
    theory=_ADAM_THEORY,
    normalised=True,
    suits_networks=True,
    in_races=True,
    reference="Kingma and Ba, Adam: a method for stochastic optimization, 2015",
)

ADAMW = MethodSpec(
    name="adamw",
    help="Adam, with weights that shrink by a share of the rate at each step.",
    update=adam,
    settings=(_BETA1, _BETA2, _EPSILON, _decay(1e-4)),
    default_rate=0.1,
    network_rate=1e-3,
    scale=adam_scale,
    theory=_ADAM_THEORY,
    normalised=True,
    suits_networks=True,
    reference="Loshchilov and Hutter, Decoupled weight decay regularization, 2019",
)


LION = MethodSpec(
    name="lion",
    help="Step by α in each coordinate, along the sign of a running mean of gradients.",
    update=lion,
    settings=(_BETA1, Setting(_BETA2.name, 0.99, _BETA1.help, below=1), _decay(1e-3)),
    default_rate=0.01,
    network_rate=1e-4,
    theory=NoTheory("its steps have the same length whatever the slope, so it settles at no rate"),
    normalised=True,
    suits_networks=True,
    reference="Chen et al., Symbolic discovery of optimization algorithms, 2023",
)

NEWTON = MethodSpec(
    name="newton",
    help="Go to the bottom of the quadratic that the Hessian describes; costs the whole Hessian each step.",
    update=newton,
    default_rate=None,
    network_rate=None,
    theory=_SEARCHES,
    searches_line=True,
    reference="Nocedal and Wright, Numerical Optimization, 2006, chapter 3",
)

BFGS = MethodSpec(
    name="bfgs",
    help="Newton's step with a Hessian estimated from the gradients met.",
    update=bfgs,
    default_rate=None,
    network_rate=None,
    theory=_SEARCHES,
    searches_line=True,
    in_races=True,
    reference="Nocedal and Wright, Numerical Optimization, 2006, chapter 6",
)

L_BFGS = MethodSpec(
    name="l-bfgs",
    help="BFGS that remembers the last few steps only, for points of many numbers.",
    update=l_bfgs,
    settings=(Setting("memory", 10, "Number of steps remembered.", least=1, whole=True, structural=True),),
    aliases=("lbfgs",),
    default_rate=None,
    network_rate=None,
    theory=_SEARCHES,
    searches_line=True,
    reference="Nocedal and Wright, Numerical Optimization, 2006, chapter 7",
)

METHODS: tuple[MethodSpec, ...] = (
    GRADIENT_DESCENT,
    NOISY_GRADIENT_DESCENT,
    MOMENTUM,
    NESTEROV,
    ADAGRAD,
    RMSPROP,
    ADAM,
    ADAMW,
    LION,
    NEWTON,
    BFGS,
    L_BFGS,
)

MethodName = Literal[
    "gradient descent",
    "gradient descent with noise",
    "momentum",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adam",
    "adamw",
    "lion",
    "newton",
    "bfgs",
    "l-bfgs",
]


def _setting(name: str) -> Choice:
    """Return the choice that a setting of methods is, from their records."""
    owners = [(spec, setting) for spec in METHODS if (setting := spec.setting(name)) is not None]
    usual = {spec.name: setting.default for spec, setting in owners if setting in spec.settings}
    shown = ", ".join(f"{value:g} for {owner}" for owner, value in usual.items())
    return Choice(None, f"{owners[0][1].help} Default {shown}.", "method", kind="number", checks=False)


class MethodSettings(TypedDict, total=False):
    """The settings that methods have; each has those of its own, with its own defaults."""

    momentum: Annotated[float, _setting("momentum")]
    beta1: Annotated[float, _setting("beta1")]
    beta2: Annotated[float, _setting("beta2")]
    decay: Annotated[float, _setting("decay")]
    epsilon: Annotated[float, _setting("epsilon")]
    initial: Annotated[float, _setting("initial")]
    weight_decay: Annotated[float, _setting("weight_decay")]
    noise: Annotated[float, _setting("noise")]
    noise_decay: Annotated[float, _setting("noise_decay")]
    memory: Annotated[int, _setting("memory")]


def _in_a_fit_only(settings: Settings) -> Any:
    """Raise: a method of fits steps by the residuals, which a descent does not know."""
    raise SettingError("a method of fits has no update rule for a descent", hint="ds.fit runs it")


LEVENBERG_MARQUARDT = MethodSpec(
    name="levenberg-marquardt",
    help="Gauss-Newton steps, shortened by damping until the squares fall.",
    update=_in_a_fit_only,
    aliases=("lm",),
    default_rate=None,
    network_rate=None,
    theory=_SEARCHES,
    searches_line=True,
    reference="Nocedal and Wright, Numerical Optimization, 2006, chapter 10",
)

TRUST_REGION = MethodSpec(
    name="trust region",
    help="Gauss-Newton steps within a region where the linear model is trusted; SciPy's reflective method.",
    update=_in_a_fit_only,
    aliases=("trf",),
    default_rate=None,
    network_rate=None,
    theory=_SEARCHES,
    searches_line=True,
    reference="Branch, Coleman and Li, A subspace, interior and conjugate gradient method, 1999",
)

FIT_METHODS: tuple[MethodSpec, ...] = (LEVENBERG_MARQUARDT, TRUST_REGION)

FitMethodName = Literal["levenberg-marquardt", "trust region"]


CUSTOM = MethodSpec(
    name="custom",
    help="An Optax transformation, which holds its own settings and learning rate.",
    update=_in_a_fit_only,
    default_rate=None,
    network_rate=None,
    theory=NoTheory("an Optax transformation holds its own learning rate"),
    reference="Babuschkin et al., The DeepMind JAX ecosystem, 2020",
)


def spec_named(name: str, among: tuple[MethodSpec, ...] = METHODS) -> MethodSpec | None:
    """Return the record of a method by its name or an alias, in any case, with spaces, hyphens or underscores.

    >>> spec_named("L_BFGS").name
    'l-bfgs'
    """
    plain = _plain(name)
    return next((spec for spec in among if plain in map(_plain, (spec.name, *spec.aliases))), None)


def facts_of(plan: Plain) -> MethodFacts:
    """Return the theory of the method of a trace, from the trace's plan.

    A method outside the table has left its numbers in the plan; the others are looked up by name, so that traces
    written before a bound was corrected are judged by the right one.
    """
    name, written = str(plan.get("method", "")), plan.get("theory")
    if isinstance(written, dict):
        return MethodFacts.of_plain(name, written)
    known = next((spec for spec in (*METHODS, *FIT_METHODS) if spec.name == name), None)
    if known is None:
        return MethodFacts(name)
    settings = plan.get("settings") or {}
    return known.facts({key: float(value) for key, value in settings.items()})


def is_known(spec: MethodSpec) -> bool:
    """Return whether a record is one of the table's, so that its name says everything."""
    return spec in (*METHODS, *FIT_METHODS, CUSTOM)


def _plain(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores."""
    return "".join(name.lower().replace("_", " ").replace("-", " ").split())
