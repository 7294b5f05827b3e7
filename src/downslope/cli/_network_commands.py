"""The commands of networks, as Typer knows them: train, predict."""

from __future__ import annotations

from downslope.cli import _network_options as network
from downslope.cli import _options as options


def train(
    data: network.TrainingData,
    target: network.Target = None,
    hidden: network.Hidden = None,
    convolutions: network.Convolutions = None,
    activation: network.Activation = None,
    initialisation: network.Initialisation = None,
    normalisation: network.Normalisation = None,
    skip: network.Skip = False,
    dropout: network.Dropout = None,
    output_activation: network.OutputActivation = None,
    loss: network.Loss = None,
    steps: network.Steps = 2000,
    begin: network.Begin = None,
    batch: network.Batch = "32",
    method: network.MethodName = "adam",
    setting: options.Setting = None,
    learning_rate: options.Rate = None,
    schedule: network.Schedule = None,
    validation: network.Validation = None,
    patience: network.Patience = None,
    weight_decay: network.WeightDecay = None,
    l2: network.L2 = None,
    clip_norm: options.ClipNorm = None,
    clip_value: options.ClipValue = None,
    accumulate: network.Accumulate = None,
    mixed_precision: network.MixedPrecision = False,
    missing: network.Missing = None,
    task: network.Task = None,
    drop: network.Drop = None,
    no_standardise: network.NoStandardise = False,
    evaluate_every: network.EvaluateEvery = None,
    layers_every: network.LayersEvery = None,
    probe_every: network.ProbeEvery = None,
    seed: options.Seed = 0,
    save: network.Save = None,
    resume: network.Resume = False,
    overwrite: network.Overwrite = False,
    prescribe: network.Prescribe = False,
    plot: options.Plot = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    check: options.Check = False,
) -> int:
    """Train a network on a table or on images, and say how it went and why."""
    from downslope.cli import _train

    choices = network.choices(
        hidden=hidden,
        convolutions=convolutions,
        activation=activation,
        initialisation=initialisation,
        normalisation=normalisation,
        skip=skip,
        dropout=dropout,
        output_activation=output_activation,
        loss=loss,
        begin=begin,
        learning_rate=learning_rate,
        schedule=schedule,
        validation=validation,
        patience=patience,
        weight_decay=weight_decay,
        l2=l2,
        clip_norm=clip_norm,
        clip_value=clip_value,
        accumulate=accumulate,
        mixed_precision=mixed_precision,
        missing=missing,
        task=task,
        drop=drop,
        evaluate_every=evaluate_every,
        layers_every=layers_every,
        probe_every=probe_every,
        save=save,
        resume=resume,
        overwrite=overwrite,
    )
    always = {"steps": steps, "batch": network.batch(batch), "method": method, "seed": seed}
    request = _train.Request(
        data, target, {**choices, **always, "standardise": not no_standardise}, options.settings(setting)
    )
    return _train.run(request, plot, prescribe=prescribe, as_json=json, quiet=quiet, check=check)


def predict(
    run: network.Run,
    data: network.NewData,
    out: network.Out = None,
    probabilities: network.Probabilities = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict new rows with a network that was trained."""
    from downslope.cli import _predict

    _predict.run(run, data, out, probabilities=probabilities, as_json=json, quiet=quiet)
