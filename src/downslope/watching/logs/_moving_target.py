"""Whether the loss of a log need not fall: an opponent moves it, or a policy that collects its own data."""

from __future__ import annotations

from collections.abc import Iterable

from downslope.watching.logs._names import parse, words_of

_GENERATORS = frozenset({"g", "gen", "generator", "netg"})
_CRITICS = frozenset({"d", "dis", "disc", "discriminator", "critic", "netd"})
_ADVERSARIAL = frozenset({"adv", "adversarial", "gan", "wgan"})
_REWARDS = frozenset({"reward", "rewards", "rew", "advantage", "advantages"})
# A return is also what an investment earns, and learning from few examples counts episodes.
_RETURNS = frozenset({"return", "returns", "ret"})
_EPISODES = frozenset({"episode", "episodes", "episodic", "ep", "discounted", "rollout"})
_ACTORS = frozenset({"policy", "actor", "pg"})
_VALUES = frozenset({"value", "critic", "qf", "qf1", "q", "q1", "vf"})
# Preferences are learnt from rows that stay as they are, though what they are called is rewards.
_PREFERENCES = frozenset({"chosen", "rejected", "margins"})


def moving_target(columns: Iterable[str]) -> str | None:
    """Return the kind of training whose loss need not fall, by the names of its columns; None for any other.

    >>> moving_target(["step", "g_loss", "d_loss"]), moving_target(["train/value_loss", "rollout/ep_rew_mean"])
    ('adversarial training', 'reinforcement learning')
    >>> moving_target(["loss", "rewards/chosen", "rewards/margins"]), moving_target(["loss_cls", "loss_bbox"])
    (None, None)
    """
    words = {column: frozenset(words_of(column)) for column in columns}
    every = frozenset().union(*words.values())
    losses = frozenset().union(*(said for column, said in words.items() if parse(column).quantity == "loss"))
    returned = any(said & _RETURNS and said & _EPISODES for said in words.values())
    rewarded = (returned or every & _REWARDS) and not every & _PREFERENCES
    if rewarded or (losses & _ACTORS and losses & _VALUES):
        return "reinforcement learning"
    if losses & _ADVERSARIAL or (losses & _GENERATORS and losses & _CRITICS):
        return "adversarial training"
    return None
