"""Recipes in unusual spellings, each of which must train: data in words, calls as text, other frameworks' names."""

from __future__ import annotations

from typing import Any

SIGMOID = {"units": 1, "activation": "sigmoid"}
RECIPES: list[dict[str, Any]] = [
    {  # four points in words; a truncated normal without its deviation
        "id": "xor in words",
        "dataset": {"name": "XOR truth table", "make": "the four points of exclusive or", "task": "binary"},
        "layers": [{"units": 2, "activation": "sigmoid", "init": "truncated_normal"}, SIGMOID],
        "loss": "mse", "optimizer": {"name": "sgd", "lr": 0.1}, "batch": 1, "epochs": 50, "label": "plateau",
    },
    {  # one output under softmax cross-entropy
        "id": "softmax of one",
        "dataset": {"name": "two moons", "make": "200 points, noise 0.2"},
        "layers": ["Dense(8, activation='relu')", "Dense(1, activation='softmax')"],
        "loss": "categorical_crossentropy", "optimizer": "adam", "epochs": 5, "label": ["wrong_loss"],
    },
    {  # PyTorch
        "id": "torch names",
        "dataset": "iris",
        "layers": [
            {"type": "Linear", "in_features": 4, "out_features": 16, "act": "nn.LeakyReLU(0.1)"},
            {"type": "Dropout", "rate": 0.2},
            {"type": "Linear", "out_features": 3},
        ],
        "loss": "nn.CrossEntropyLoss()", "optimizer": "torch.optim.SGD(lr=0.05, momentum=0.9, nesterov=True)",
        "batch": "16", "epochs": "5 epochs",
    },
    {  # Keras objects; a named initialiser with its settings; more outputs than classes
        "id": "keras objects",
        "dataset": {"name": "digits", "scale": "divided by 16", "split": "test_size=0.25, random_state=3"},
        "layers": [
            {"units": 12, "activation": "ReLU", "kernel_initializer": "RandomNormal(mean=0.0, stddev=0.01, seed=1)"},
            {"units": 14, "activation": "softmax", "bias_initializer": "Constant(0.1)"},
        ],
        "loss": "SparseCategoricalCrossentropy()", "optimizer": {"type": "Adam", "learning_rate": "1e-3"}, "epochs": 2,
    },
    {  # an asymmetric uniform start, which the library has no name for
        "id": "uniform from 0 to 1",
        "dataset": {"name": "wine", "scale": "standardised to zero mean, unit variance"},
        "layers": [{"units": 8, "activation": "tanh", "init": "U(0, 1)"}, {"units": 3, "activation": "softmax"}],
        "loss": "cce", "optimizer": "RMSprop", "batch": "full batch", "epochs": 20, "label": ["bad_init_scale"],
    },
    {  # a curve in words, with noise; a loss of another framework
        "id": "noisy sine",
        "dataset": {"name": "curve", "make": "100 points, y = sin(x) on [0, 6.28], with noise 0.1"},
        "layers": [{"units": 16, "activation": "Tanh()", "init": "kaiming_uniform_"}, {"units": 1}],
        "loss": "SmoothL1Loss", "optimizer": "Adam(lr=0.01, betas=(0.9, 0.99))", "batch": 10, "epochs": 10,
    },
    {  # inputs that are drawn, a target that is a function of them; gradients clipped
        "id": "function of columns",
        "dataset": {"name": "made", "make": "x ~ N(0,1)^3 n=200; y = x1*x2 + 2 x3 + noise 0.1", "task": "regression"},
        "layers": [10, {"units": 1}],
        "loss": "rmse", "optimizer": {"name": "SGD", "lr": 0.01, "clipnorm": 1.0}, "iterations": 40,
    },
    {  # parity of bits in words, bipolar; orthogonal weights
        "id": "three-bit parity",
        "dataset": {"name": "parity", "make": "3-bit parity, inputs -1/+1"},
        "layers": [{"units": 6, "activation": "tanh", "init": "orthogonal"}, SIGMOID],
        "loss": "BCE", "optimizer": "SGD with momentum 0.9, lr 0.1", "batch": "all rows", "epochs": 60,
    },
    {  # a generator with arguments by position; sigmoid outputs for two classes one-hot; a wide batch norm
        "id": "positional",
        "dataset": {"name": "circles", "make": "sklearn.datasets.make_circles(300, noise=0.05)", "split": "70/30"},
        "layers": [
            {"units": 8, "init": "N(0, 0.1²)"},
            {"type": "BatchNormalization"},
            {"activation": "relu"},
            {"units": 2, "activation": "sigmoid"},
        ],
        "loss": "binary crossentropy", "optimizer": {"name": "nadam"}, "batch_size": 64, "epochs": 4,
    },
    {  # spirals; a hinge loss; a variance-scaling start
        "id": "spirals",
        "dataset": {"name": "two spirals", "make": "100 points each, noise = 0.05"},
        "layers": [
            {"units": 10, "activation": "elu", "init": "VarianceScaling(scale=2.0, mode='fan_in')"},
            {"units": 1, "activation": None},
        ],
        "loss": "hinge loss", "optimizer": {"name": "Adagrad", "lr": 0.05}, "epochs": 10,
    },
    {  # a logical gate; a network with nothing between; labels as text
        "id": "and gate",
        "dataset": {"name": "AND gate"},
        "layers": [{"units": 1, "activation": "logistic", "init": "all zeros"}],
        "loss": "log loss", "optimizer": "gradient descent", "epochs": 30, "label": "healthy",
    },
    {  # numbers against one output, which broadcasts
        "id": "four targets, one output",
        "dataset": {"name": "random regression", "make": "150 rows, 5 features, 4 targets", "task": "regression"},
        "layers": [{"units": 6, "activation": "softplus"}, {"units": 1}],
        "loss": "MSELoss", "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.01}, "epochs": 5,
    },
]  # fmt: skip
