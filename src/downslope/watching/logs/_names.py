"""The meaning of a column's name: which rows it is about, what it measures, and of which part.

Every framework and every person names columns differently: `val_loss`, `ValLoss`, `eval_g0_loss`, `val/box_loss`,
`validation loss`, `test_loss`. A name is split into words, and each word says one thing.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

_TRAINING = frozenset({"train", "training", "trn", "tr", "learn"})
_VALIDATION = frozenset({"val", "valid", "validation", "dev", "eval", "evaluation", "heldout", "holdout", "vld", "va"})
_TEST = frozenset({"test", "testing", "predict"})
# Words of how a number was averaged or written down, which say nothing of what it is.
_SILENT = frozenset(
    (
        *("epoch", "step", "batch", "iter", "iteration", "avg", "average", "mean", "history", "running", "total"),
        *("overall", "value", "log", "metrics", "metric", "the", "of", "on", "in", "per", "scalar", "scalars", "each"),
        "model",
    )
)
# What is no course of a loss though its name has the word: the best so far, weights and scales of losses.
_NO_COURSE = frozenset(
    (
        *("best", "min", "max", "lowest", "highest", "std", "var", "variance", "gap", "at", "initial", "scale"),
        *("scaler", "weight", "weights", "coef", "coefficient", "alpha", "lambda", "factor", "time", "count", "ratio"),
        *("delta", "diff", "improvement", "patience", "threshold", "target"),
    )
)
_LOSSES = frozenset(
    (
        *("loss", "losses", "cost", "objective", "nll", "xent", "crossentropy", "cross", "ce", "bce", "criterion"),
        *("logloss", "mlogloss"),
    )
)
_PLAIN = frozenset({"loss", "losses", "cost", "objective", "criterion", "ema"})  # of `nll_loss`, nll is the part
_ERRORS = ("mse", "rmse", "mae", "bpb", "bpc", "bpd", "error", "err", "wer", "cer", "perplexity", "ppl")
_ACCURACIES = frozenset({"acc", "accuracy", "accuracies", "top1", "mean_token_accuracy"})
_R2 = frozenset({"r2", "rsquared", "r2_score"})
_RATES = frozenset({"lr", "lrs", "learningrate"})
_STEPS = (
    *("step", "global_step", "globalstep", "steps", "trainer/global_step", "train/global_step", "_step", "iteration"),
    *("iterations", "iter", "it", "num_updates", "update", "updates", "batches", "n_iter", "num_steps", "total_steps"),
)
_EPOCHS = ("epoch", "epochs", "ep", "round", "train/epoch", "epoch_num", "current_epoch")
# Scores of which more is better; of those above, less is.
_HIGHER = frozenset(
    (
        *("acc", "accuracy", "f1", "auc", "auroc", "roc", "precision", "recall", "map", "iou", "miou", "dice", "bleu"),
        *("rouge", "r2", "psnr", "ssim", "mcc", "kappa", "ap", "top1", "top5", "reward", "score", "exact", "match"),
        *("em", "pearson", "spearman", "hit", "ndcg"),
    )
)


class ColumnName(NamedTuple):
    """What a name says.

    Args:
        rows: "training", "validation", "test", or "" where it does not say.
        quantity: "loss", "accuracy", "r2", "learning_rate", "gradient_norm", "error", "score" or "".
        word: which loss, error or score it is.
        part: what else the name says: a part of the loss, a set of rows; "" for nothing.
        per: "epoch" for a mean over an epoch, "step" for one of a step, "" where it does not say.
    """

    rows: str
    quantity: str
    word: str
    part: str
    per: str


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case.

    >>> words_of("ValLoss"), words_of("eval_g0_loss"), words_of("metrics/mAP50-95(B)")
    (['val', 'loss'], ['eval', 'g0', 'loss'], ['metrics', 'map50', '95', 'b'])
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    words = [word for word in re.split(r"[^A-Za-z0-9]+", apart.lower()) if word]
    return [piece for word in words for piece in _split_run(word)]


def _split_run(word: str) -> list[str]:
    """Return `trainloss` as two words."""
    for before in ("training", "train", "validation", "valid", "val", "test", "eval"):
        after = word.removeprefix(before)
        if after != word and (after in _LOSSES or after in _ACCURACIES or after in _ERRORS):
            return [before, after]
    return [word]


@functools.lru_cache(maxsize=4096)
def parse(name: str) -> ColumnName:
    """Return what the name of a column says.

    >>> parse("eval_g0_loss")
    ColumnName(rows='validation', quantity='loss', word='loss', part='g0', per='')
    >>> parse("train_loss_epoch").per, parse("lr-Adam").quantity, parse("train/grad_norm").quantity
    ('epoch', 'learning_rate', 'gradient_norm')
    """
    words = words_of(name)
    rows = next((kind for kind, known in _ROWS for word in words if word in known), "")
    per = next((word for word in ("epoch", "step") if word in words), "")
    rest = [word for word in words if word not in _SILENT and not any(word in known for _, known in _ROWS)]
    quantity, word = _quantity(rest)
    parts = [other for other in rest if other != word and not (quantity == "learning_rate" and other in _RATE_WORDS)]
    if quantity == "loss":
        parts = [other for other in parts if other not in _PLAIN]
    return ColumnName(rows, quantity, word, "_".join(parts), per)


_ROWS = (("validation", _VALIDATION), ("test", _TEST), ("training", _TRAINING))
_RATE_WORDS = frozenset({"learning", "rate"})


def _quantity(words: list[str]) -> tuple[str, str]:
    """Return what the words measure, and which of them says so."""
    known = set(words)
    if known & {"grad", "gradient", "gradients", "gnorm", "gradnorm"} and known & {"norm", "gnorm", "gradnorm", "l2"}:
        return "gradient_norm", "norm"
    if known & _RATES or known >= _RATE_WORDS:
        return ("", "") if known & {"initial", "schedule", "scheduler", "min", "max"} else ("learning_rate", "lr")
    if known & _NO_COURSE:
        return "", ""
    for quantity, names in (("loss", _LOSSES), ("accuracy", _ACCURACIES), ("r2", _R2)):
        # Of `nll_loss`, it is the loss, and nll is the part.
        word = next((word for word in sorted(words, key=lambda word: word not in _PLAIN) if word in names), None)
        if word is not None:
            return quantity, word
    word = next((word for word in words if word in _ERRORS), None)
    if word is not None:
        return "error", word
    word = next((word for word in words if word.rstrip("0123456789@") in _HIGHER), None)
    return ("score", word) if word is not None else ("", "")


def error_rank(word: str) -> int:
    """Return how well an error stands in for a loss that is not in the log: the lower the better."""
    return _ERRORS.index(word) if word in _ERRORS else len(_ERRORS)


def is_step(name: str) -> bool:
    """Tell whether a column counts steps."""
    return name.strip().lower() in _STEPS


def is_epoch(name: str) -> bool:
    """Tell whether a column counts epochs."""
    return name.strip().lower() in _EPOCHS


def step_rank(name: str) -> int:
    """Return how surely a column counts the steps of a run: the lower the surer."""
    return _STEPS.index(name.strip().lower())
