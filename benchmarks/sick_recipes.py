"""Recipes in one form, however they are spelled: data, layers, loss, optimizer and labels as the other files read them.

A recipe may name its data by words alone, its optimizer as a call (`SGD(lr=0.1, momentum=0.9)`), a layer as a call
(`Dense(64, activation='relu')`) or with a `type`, one label without a list. What is not known is left as it is, and
said by the file that reads it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sick_faults import UnbuildableError

import downslope as ds

# Keys of an optimizer and of a layer that other frameworks spell otherwise.
_OF_OPTIMIZER = {
    "learning_rate": "lr",
    "alpha": "lr",
    "step_size": "lr",
    "beta_1": "b1",
    "beta1": "b1",
    "beta_2": "b2",
    "beta2": "b2",
    "epsilon": "eps",
    "initial_accumulator_value": "initial",
    "clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "global_clipnorm": "clip_norm",
}
_OF_LAYER = {
    "filters": "conv",
    "channels": "conv",
    "out_features": "units",
    "neurons": "units",
    "nodes": "units",
    "kernel_size": "kernel",
    "kernel_initializer": "init",
    "initialisation": "init",
    "initialization": "init",
    "initializer": "init",
    "bias_initializer": "bias_init",
    "pool_size": "maxpool",
    "rate": "dropout",
    "act": "activation",
}
# The first arguments of layers by their kind.
_POSITIONAL = {
    "dense": ("units", "activation"),
    "linear": ("inputs", "units"),
    "fullyconnected": ("units", "activation"),
    "fc": ("units", "activation"),
    "conv2d": ("conv", "kernel"),
    "convolution": ("conv", "kernel"),
    "conv": ("conv", "kernel"),
    "maxpool": ("maxpool",),
    "maxpool2d": ("maxpool",),
    "maxpooling2d": ("maxpool",),
    "dropout": ("dropout",),
    "flatten": (),
    "activation": ("activation",),
    "batchnorm": (),
    "batchnorm1d": (),
    "batchnorm2d": (),
    "batchnormalization": (),
}
_ACTIVATIONS = {
    "": "linear",
    "none": "linear",
    "identity": "linear",
    "logistic": "sigmoid",
    "exp": "exponential",
    "swish": "silu",
    "rectifier": "relu",
    "leakyrelu": "leaky_relu",
    "lrelu": "leaky_relu",
    "soft_max": "softmax",
    "log_softmax": "linear",  # the loss behind it takes logits; see `sick_losses`
    "logsoftmax": "linear",
}


def uniform(recipes: Sequence[Any]) -> list[dict[str, Any]]:
    """Return recipes in one form, each with an `id` of its own."""
    seen: dict[str, int] = {}
    made = []
    for index, recipe in enumerate(recipes):
        one = _uniform(recipe) if isinstance(recipe, Mapping) else {"unreadable": repr(recipe)}
        name = str(one.get("id") or f"recipe-{index + 1}")
        seen[name] = seen.get(name, 0) + 1
        made.append({**one, "id": name if seen[name] == 1 else f"{name}-{seen[name]}"})
    return made


def _uniform(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return one recipe with mappings and lists where the other files expect them."""
    made = dict(recipe)
    if isinstance(made.get("label"), str):
        made["label"] = [made["label"]]
    made["label"] = [str(label) for label in made.get("label") or ()]
    if "dataset" in made:
        dataset = made["dataset"]
        told = {"name": dataset, "make": dataset} if isinstance(dataset, str) else dict(dataset or {})
        told["name"] = str(told.get("name") or told.get("make") or "")
        made["dataset"] = told
    try:
        if isinstance(made.get("layers"), list):
            made["layers"] = [layer_of(layer) for layer in made["layers"]]
        made["optimizer"] = optimizer_of(made.get("optimizer"))
    except UnbuildableError as error:
        made["unreadable"] = str(error)  # said where the recipe is trained, so that it takes no other with it
    return made


# --- calls and words --------------------------------------------------------------------------------------------------


def call_in(text: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return name, positional arguments and keywords of a text: a call, or a bare name.

    >>> call_in("keras.optimizers.SGD(0.1, momentum=0.9)")
    ('SGD', (0.1,), {'momentum': 0.9})
    >>> call_in("RMSprop")
    ('RMSprop', (), {})
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return text.strip(), (), {}
    if isinstance(tree, ast.Call):
        keywords = {str(word.arg): _literal(word.value) for word in tree.keywords}
        return _last_name(tree.func), tuple(map(_literal, tree.args)), keywords
    return (_last_name(tree) if isinstance(tree, ast.Name | ast.Attribute) else text.strip()), (), {}


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _literal(node: ast.AST) -> Any:
    """Return a literal; a name or a call inside a call as its text, such as an initialiser."""
    try:
        return ast.literal_eval(node)  # pyright: ignore[reportArgumentType]
    except ValueError:
        return ast.unparse(node)


def snake(name: str) -> str:
    """Return a name as the tables spell it: small letters, with underscores between the words.

    >>> snake("TruncatedNormal"), snake("BCEWithLogitsLoss"), snake("He-Normal_")
    ('truncated_normal', 'bce_with_logits_loss', 'he_normal')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    return re.sub(r"[\s\-_]+", "_", apart).strip("_").lower()


def number_in(value: Any, what: str) -> float:
    """Return a number, also one in a text.

    Raises:
        UnbuildableError: where there is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = re.search(r"[-+]?\d[\d_]*\.?\d*(?:e[-+]?\d+)?|[-+]?\.\d+(?:e[-+]?\d+)?", str(value).lower())
    if found is None:
        raise UnbuildableError(f"{what} is a number, not {value!r}")
    return float(found.group().replace("_", ""))


def optimizer_of(told: Any) -> dict[str, Any]:
    """Return an optimizer as a mapping with `name`, and its settings by their short names."""
    if isinstance(told, str):
        name, args, settings = call_in(told)
        momentum = re.search(r"momentum\s*[=:]?\s*(\d*\.?\d+)", told)
        rate = re.search(r"(?:lr|learning[ _]rate|rate)\s*[=:]?\s*(\d*\.?\d+(?:e-?\d+)?)", told)
        told = {"name": name, **({"lr": args[0]} if args else {}), **settings}
        if not settings and not args:  # "SGD with momentum 0.9, lr 0.1"
            told["name"] = re.split(r"\s+with\s+|,|\(|\s+(?=lr|learning|rate)", name, maxsplit=1)[0]
            told |= {"lr": rate.group(1)} if rate else {}
            told |= {"momentum": momentum.group(1)} if momentum else {}
    entries = {_OF_OPTIMIZER.get(str(key), str(key)): value for key, value in dict(told or {"name": "adam"}).items()}
    if "type" in entries and "name" not in entries:
        entries["name"] = entries.pop("type")
    betas = entries.pop("betas", None)
    if isinstance(betas, list | tuple):
        entries["b1"], entries["b2"] = betas[:2]
    return {key: value for key, value in entries.items() if value is not None}


def layer_of(told: Any) -> dict[str, Any]:
    """Return a layer as a mapping with the keys of the file's own form.

    Raises:
        UnbuildableError: for a layer that is neither a mapping nor a call.
    """
    if isinstance(told, int):
        return {"units": told}
    if isinstance(told, str):
        name, args, words = call_in(told)
        told = {"type": name, "arguments": args, **words}
    if not isinstance(told, Mapping):
        raise UnbuildableError(f"a layer is a mapping, not {told!r}")
    entries = {_OF_LAYER.get(str(key), str(key)): value for key, value in told.items()}
    args = entries.pop("arguments", ())
    kind = snake(str(entries.pop("type", entries.pop("layer", "")) or "")).replace("_", "")
    if kind:
        if kind not in _POSITIONAL:
            # An activation that stands as a layer: ReLU().
            entries |= {"activation": kind} if not args or kind in ("leakyrelu", "softmax", "elu") else {kind: True}
        else:
            entries |= dict(zip(_POSITIONAL[kind], args, strict=False))
            entries |= {"flatten": True} if kind == "flatten" else {}
            entries |= {"batchnorm": True} if kind.startswith("batchnorm") else {}
            if kind.startswith("maxpool"):
                entries.setdefault("maxpool", 2)
    for dropped in ("inputs", "input_shape", "input_dim", "in_features", "use_bias", "bias"):
        entries.pop(dropped, None)
    if "dropout" in entries and "units" in entries:
        entries["dropout_after"] = entries.pop("dropout")
    return {key: _value(key, value) for key, value in entries.items()}


def _value(key: str, value: Any) -> Any:
    """Return an entry of a layer: sizes as whole numbers, activations as this library spells them."""
    if key in ("units", "conv"):
        return int(number_in(value, key))
    if key in ("kernel", "maxpool", "stride", "strides"):
        return int(number_in(value[0] if isinstance(value, list | tuple) else value, key))
    if key == "activation":
        return activation_of(value)
    return value


def activation_of(value: Any) -> Any:
    """Return an activation as this library spells it, from a name or a call: `tf.nn.LeakyReLU(0.1)`.

    >>> activation_of("Identity"), activation_of("nn.LeakyReLU(0.1)"), activation_of("SoftPlus"), activation_of(None)
    ('linear', 'leaky_relu', 'softplus', 'linear')
    """
    text = str(value or "")
    name = snake(call_in(text)[0].rpartition(".")[2])
    solid = name.replace("_", "")
    spellings = [name, solid, _ACTIVATIONS.get(name, ""), _ACTIVATIONS.get(solid, "")]
    return next((spelling for spelling in spellings if spelling in ds.activation_names()), text)
