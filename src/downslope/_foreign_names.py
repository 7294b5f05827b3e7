"""Names that other tools give to what is called otherwise here: `lr`, `max_iter`, `x0`.

Where the meaning of a wrong name is known, the right one is said; the nearest spelling would be another thing.
"""

from __future__ import annotations

from collections.abc import Iterable

_OURS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "lrate", "rate", "alpha", "eta", "eta0", "step_size", "stepsize"), ("learning_rate",)),
    **dict.fromkeys(
        ("max_iter", "maxiter", "max_iterations", "n_iter", "niter", "iter", "iters", "iterations", "num_steps"),
        ("steps",),
    ),
    **dict.fromkeys(("n_steps", "nsteps", "max_steps", "maxsteps", "max_nfev", "maxfev"), ("steps", "evaluations")),
    **dict.fromkeys(("epochs", "n_epochs", "num_epochs"), ("epochs", "steps")),
    **dict.fromkeys(("optimizer", "optimiser", "optim", "opt", "algorithm", "algo", "solver"), ("method", "methods")),
    **dict.fromkeys(("x0", "p0", "init", "initial", "guess", "initial_guess", "start_point", "from"), ("start",)),
    **dict.fromkeys(("tol", "gtol", "ftol", "xtol", "atol", "rtol", "precision_goal"), ("tolerance",)),
    **dict.fromkeys(("beta", "mu"), ("momentum",)),
    **dict.fromkeys(("wd", "l2", "weight_decay_rate"), ("weight_decay",)),
    **dict.fromkeys(("random_state", "random_seed", "rng", "key"), ("seed",)),
    **dict.fromkeys(("batch_size", "batchsize", "bs"), ("batch", "batches")),
    **dict.fromkeys(("limits", "limit", "range", "ranges", "box", "domain", "xlim"), ("bounds", "within")),
    **dict.fromkeys(("point", "where", "x"), ("at", "start")),
    **dict.fromkeys(("fig", "figure", "image", "png", "picture", "draw"), ("plot",)),
    **dict.fromkeys(("grad_clip", "clip", "max_norm", "clip_grad", "clipnorm", "max_grad_norm"), ("clip_norm",)),
    **dict.fromkeys(("clipvalue", "grad_clip_value"), ("clip_value",)),
    **dict.fromkeys(("scheduler", "lr_scheduler", "decay_schedule"), ("schedule",)),
    **dict.fromkeys(("restarts", "n_starts", "num_starts", "n_restarts", "popsize"), ("starts",)),
    **dict.fromkeys(("max_time", "timeout", "time_limit"), ("seconds",)),
    **dict.fromkeys(("hidden_layer_sizes", "layers", "hidden_layers"), ("hidden",)),
    **dict.fromkeys(("lrs", "rates", "learning_rate_grid"), ("learning_rates",)),
    **dict.fromkeys(("nesterov_momentum",), ("momentum",)),
}


def our_name(name: str, known: Iterable[str]) -> str | None:
    """Return what a name of another tool is called here, if that is among the known names.

    >>> our_name("lr", ["steps", "learning_rate"]), our_name("max-iter", ["steps"]), our_name("colour", ["steps"])
    ('learning_rate', 'steps', None)
    """
    names = set(known)
    return next((ours for ours in _OURS.get(name.lower().replace("-", "_"), ()) if ours in names), None)
