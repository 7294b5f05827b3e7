"""Loops of PyTorch with one fault each that only the loop can have, beside the same loop without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frameworks.torch_steps import take_step
from needing import needs

import downslope as ds

torch = needs("torch")
nn, functional = torch.nn, torch.nn.functional

pytestmark = pytest.mark.usefixtures("one_thread")


def rows(spread: float, *, labels: bool = True) -> tuple[Any, Any]:
    """Return 800 rows around four centres with their classes, or with random ones."""
    random = np.random.default_rng(1)
    classes = random.integers(4, size=800)
    inputs = random.normal(size=(4, 12))[classes] + spread * random.normal(size=(800, 12))
    wanted = classes if labels else random.permutation(classes)
    return torch.tensor(inputs, dtype=torch.float32), torch.tensor(wanted)


def modes(after: bool, before: bool, *, dropout: float = 0.5) -> ds.Trace:
    """Train with evaluations: whether the model is put into evaluation mode before, and into training mode after."""
    torch.manual_seed(6)
    inputs, targets = rows(1.3)
    model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Dropout(dropout), nn.Linear(48, 4))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    watch = ds.watch(model, optimizer)
    for step in range(160):
        chosen = torch.arange(32) + 32 * (step % 20)
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen]))
        if step % 40 == 39:
            if before:
                model.eval()
            with torch.no_grad():
                right = model(inputs[640:]).argmax(1) == targets[640:]
            watch.evaluation(validation_accuracy=float(right.float().mean()))
            if after:
                model.train()
    return watch.close()


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ({"before": False, "after": True}, "in training mode when it was evaluated"),
        ({"before": True, "after": False}, "The last steps were taken in evaluation mode"),
        ({"before": True, "after": True}, ""),
        ({"before": False, "after": True, "dropout": 0.0}, ""),  # both modes compute the same
    ],
)
def test_the_mode_of_evaluations_and_steps_is_noticed(loop: dict[str, Any], words: str) -> None:
    found = {finding.symptom: finding.sentence for finding in ds.diagnose(modes(**loop))}
    assert words in found.get("evaluation_mismatch", "")
    assert bool(words) == ("evaluation_mismatch" in found)


def in_order(sort: bool) -> ds.Trace:
    """Train on a stream of rows, sorted by class or not."""
    torch.manual_seed(7)
    inputs, targets = rows(1.0)
    order = torch.argsort(targets) if sort else torch.randperm(len(targets))
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = ds.watch(model, optimizer)
    for step in range(400):
        chosen = order[(torch.arange(32) + 32 * step) % len(order)]
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen]))
    return watch.close()


def test_a_stream_in_the_order_of_its_classes_is_noticed() -> None:
    assert ds.diagnose(in_order(sort=True))[0].symptom == "data_order"
    shuffled = in_order(sort=False)
    # Of random batches of 32 rows about one part in 32 of the variance lies between them.
    assert shuffled.facts["data"]["between_batches"] < 0.1
    assert "data_order" not in ds.diagnose(shuffled).symptoms


def test_what_reproduces_its_inputs_is_not_held_against_a_copy_of_them() -> None:
    torch.manual_seed(8)
    inputs, _ = rows(1.0)
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 12))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    watch = ds.watch(model, optimizer)
    for step in range(600):
        chosen = torch.randint(640, (32,), generator=torch.Generator().manual_seed(step))
        take_step(watch, optimizer, functional.mse_loss(model(inputs[chosen]), inputs[chosen]))
        if step % 100 == 99:
            with torch.no_grad():
                share = (model(inputs[640:]) - inputs[640:]).square().mean() / inputs[640:].var()
            watch.evaluation(validation_r2=1 - float(share))
    assert not [finding for finding in ds.diagnose(watch.close()) if finding.severity is ds.Severity.PROBLEM]


def test_letters_that_are_never_the_likeliest_are_no_ignored_classes() -> None:
    torch.manual_seed(9)
    random = np.random.default_rng(0)
    likely, text = random.dirichlet(np.full(8, 0.3), 8), [0]
    for _ in range(6000):
        text.append(int(random.choice(8, p=likely[text[-1]])))
    letters = torch.tensor(text)
    model = nn.Sequential(nn.Embedding(8, 16), nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    watch = ds.watch(model, optimizer)
    for _ in range(300):
        chosen = letters[torch.randint(5900, (16, 1)) + torch.arange(17)]
        take_step(
            watch, optimizer, functional.cross_entropy(model(chosen[:, :-1]).reshape(-1, 8), chosen[:, 1:].reshape(-1))
        )
    trace = watch.close()
    assert "imbalanced_classes" not in ds.diagnose(trace).symptoms
    assert "data_order" not in ds.diagnose(trace).symptoms


class Attention(nn.Module):
    """A small vision transformer: patches, two encoder layers, a mean over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.inward, self.places = nn.Linear(16, 32), nn.Parameter(torch.randn(1, 16, 32) * 0.02)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, batch_first=True, norm_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 4)

    def forward(self, images: Any) -> Any:
        patches = functional.unfold(images, 4, stride=4).transpose(1, 2)
        return self.head(self.encoder(self.inward(patches) + self.places[:, : patches.shape[1]]).mean(1))


@pytest.mark.parametrize("rate", [1e-5, 1e-4])
def test_a_transformer_at_a_low_rate_has_no_plateau_and_all_its_steps(rate: float) -> None:
    torch.manual_seed(10)
    random = np.random.default_rng(3)
    classes = random.integers(4, size=600)
    images = torch.tensor(0.7 * random.normal(size=(4, 1, 8, 8))[classes] + random.normal(size=(600, 1, 8, 8))).float()
    targets, model = torch.tensor(classes), Attention()
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    watch = ds.watch(model, optimizer)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        chosen = torch.randint(600, (32,), generator=generator)
        take_step(watch, optimizer, functional.cross_entropy(model(images[chosen]), targets[chosen]))
    trace = watch.close()
    found = ds.diagnose(trace)
    assert trace.steps_taken == 120
    assert "119" not in str(found)
    assert not {"plateau", "vanishing_gradients", "poor_initialisation"} & set(found.symptoms)


class FunctionalDropout(nn.Module):
    """Units are dropped by a function, of which no module says anything."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.first, self.last, self.share = nn.Linear(12, 48), nn.Linear(48, 4), share

    def forward(self, x: Any) -> Any:
        return self.last(functional.dropout(functional.relu(self.first(x)), self.share, self.training))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_dropout_that_is_written_as_a_function_is_noticed(share: float) -> None:
    torch.manual_seed(6)
    inputs, targets = rows(1.3)
    model = FunctionalDropout(share)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    watch = ds.watch(model, optimizer)
    for step in range(120):
        chosen = torch.randint(640, (32,))
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen]))
        if step % 40 == 39:
            with torch.no_grad():
                right = model(inputs[640:]).argmax(1) == targets[640:]
            watch.evaluation(validation_accuracy=float(right.float().mean()))
    trace = watch.close()
    assert trace.facts["network"]["dropout"] == pytest.approx([share] * (share > 0))
    assert ("evaluation_mismatch" in ds.diagnose(trace)) == (share > 0)


@pytest.mark.parametrize("clear", ["never", "after the step", "before the backward pass", "to zeros", "elsewhere"])
@pytest.mark.parametrize("batches", [1, 2])
def test_gradients_that_are_never_cleared_are_noticed(clear: str, batches: int) -> None:
    torch.manual_seed(2)
    inputs, targets = rows(1.3)
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watch = ds.watch(model, optimizer)
    for _ in range(100):
        for part in range(batches):
            chosen = torch.randint(640, (32,))
            loss = functional.cross_entropy(model(inputs[chosen]), targets[chosen])
            watch.loss(loss)
            if clear == "before the backward pass" and part == 0:
                optimizer.zero_grad()
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        if clear == "elsewhere":
            torch.optim.SGD(nn.Linear(3, 3).parameters(), 0.1).zero_grad()
        elif clear in ("after the step", "to zeros"):
            optimizer.zero_grad(set_to_none=clear == "after the step")
    with torch.no_grad():
        watch.evaluation(validation_accuracy=(model(inputs[640:]).argmax(1) == targets[640:]).float().mean())
    trace = watch.close()
    is_kept = clear in ("never", "elsewhere")
    assert trace.facts["network"]["gradients_kept"] is is_kept
    finding = next((each for each in ds.diagnose(trace) if each.symptom == "uncleared_gradients"), None)
    assert (finding is not None) == is_kept


def opponents(shared: bool) -> ds.Trace:
    """Train a generator against a critic, or both by one loss."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(4)
    maker = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    first, second = (torch.optim.Adam(net.parameters(), 2e-3) for net in (maker, critic))
    watch = ds.watch(nn.ModuleDict({"maker": maker, "critic": critic}), [second, first])
    entropy, yes, no = functional.binary_cross_entropy_with_logits, torch.ones(64, 1), torch.zeros(64, 1)
    for _ in range(200):
        real, made = 0.3 * torch.randn(64, 2, generator=random) + 2, maker(torch.randn(64, 4, generator=random))
        first.zero_grad()
        second.zero_grad()
        if shared:
            loss = entropy(critic(made), yes) + made.square().mean()
            watch.loss(loss)
            loss.backward()
            second.step()
            first.step()
            continue
        loss = entropy(critic(real), yes) + entropy(critic(made.detach()), no)
        watch.loss(loss)
        loss.backward()
        second.step()
        loss = entropy(critic(made), yes)
        watch.loss(loss)
        first.zero_grad()
        loss.backward()
        first.step()
    return watch.close()


def test_of_opponents_no_loss_has_to_fall() -> None:
    trace, together = opponents(shared=False), opponents(shared=True)
    assert "need not fall" in ds.diagnose(trace)[0].sentence
    assert {each.symptom for each in ds.diagnose(trace).not_run} >= {"diverged", "plateau"} or ds.diagnose(trace).ok
    assert "moving_target" not in together.facts["network"]
    assert trace.facts["network"]["gradients_kept"] is False


def test_layers_that_begin_to_learn_later_stand_before_those_behind_them() -> None:
    torch.manual_seed(0)
    inputs, targets = rows(1.3)
    model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4))
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    watch = ds.watch(model, optimizer)
    for step in range(80):
        if step == 40:
            model[0].requires_grad_(True)
        chosen = torch.randint(640, (32,))
        take_step(watch, optimizer, functional.cross_entropy(model(inputs[chosen]), targets[chosen]))
    network = watch.close().facts["network"]
    assert network["layers"] == ["0", "2"]
    assert network["activations"] == ["relu", "linear"]
    assert [kernel["depth"] for kernel in network["kernels"]] == [0, 1]


def test_states_that_nothing_reads_are_no_growth_of_the_gradient() -> None:
    """The first state is the output: the gradient by all later ones is 0, and grows by no factor."""
    torch.manual_seed(0)
    cell, last = nn.GRUCell(3, 8), nn.Linear(8, 4)
    model = nn.ModuleDict({"cell": cell, "last": last})
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    watch = ds.watch(model, optimizer)
    inputs, targets = rows(1.3)
    for _ in range(40):
        chosen = torch.randint(640, (32,))
        state, states = torch.zeros(32, 8), []
        for part in inputs[chosen].reshape(32, 4, 3).unbind(1):
            state = cell(part, state)
            states.append(state)
        take_step(watch, optimizer, functional.cross_entropy(last(torch.stack(states, 1)[:, 0]), targets[chosen]))
    trace = watch.close()
    assert all("per_step" not in entry for entry in trace.facts["network"]["nested"])
    assert "exploding_gradients" not in ds.diagnose(trace)
