"""The names that editors complete are those of the tables behind them."""

from __future__ import annotations

from typing import get_args

import pytest

import downslope as ds
from downslope.networks._losses import _EACH, _OTHER_NAMES, LossName, loss
from downslope.networks.data._samples import _SOURCES, PLANAR, SampleName
from downslope.networks.layers import _activations, _convolution, _initialisations, _units


def test_every_activation_is_named() -> None:
    assert get_args(_activations.ActivationName) == tuple(_activations._table()) == ds.activation_names()


def test_every_loss_is_named() -> None:
    assert get_args(LossName) == (*_EACH, *_OTHER_NAMES)
    assert ds.loss_names() == tuple(_EACH)
    assert {loss(name).name for name in get_args(LossName)} == set(_EACH)


def test_every_sample_is_named() -> None:
    assert get_args(SampleName) == tuple(sorted([*_SOURCES, *PLANAR])) == ds.sample_names()


def test_every_initialisation_is_named() -> None:
    names = set(get_args(_initialisations.InitialisationName))
    assert names == {"auto", *_initialisations._NAMES, *_initialisations._PLAIN}
    assert set(_initialisations._SUITED.values()) <= names
    assert set(_initialisations._SUITED) <= set(ds.activation_names())


@pytest.mark.parametrize("name", _units.NORMALISATIONS)
def test_every_normalisation_makes_a_layer(name: _units.NormalisationName) -> None:
    assert (ds.network(2, [ds.Dense(3, normalisation=name)]).layers[0].scale is None) == (name == "none")


@pytest.mark.parametrize("padding", get_args(_convolution.Padding))
def test_every_padding_makes_a_layer(padding: _convolution.Padding) -> None:
    side = {"valid": 4, "same": 6}[padding]
    assert ds.network((6, 6), [ds.Convolution(2, padding=padding)]).outputs == (side, side, 2)


@pytest.mark.parametrize(
    "slip", [{"activation": "rleu"}, {"initialisation": "hee"}, {"normalisation": "bach"}, {"convolutions": 4}], ids=str
)
def test_a_slip_in_a_choice_names_no_layer_that_nobody_wrote(slip: dict) -> None:
    with pytest.raises(ds.SettingError) as caught:
        ds.Setup.of(data="iris", **slip).plan()
    assert "layer 1" not in str(caught.value)
