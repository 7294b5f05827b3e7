"""Slips that a type checker finds, one a line; `# wrong` marks the lines on which it is to say so."""

from __future__ import annotations

import downslope as ds


def slips() -> None:
    print(ds.nosuch)  # wrong
    ds.draw.nosuch("x²")  # wrong
    ds.draw.curve("x²", bonds=(0, 1))  # wrong
    ds.Dense("8")  # wrong
    ds.descend("x²", {"x": 1}, learning_rat=0.1)  # wrong
    ds.descend("x²", {"x": 1}, stepz=4)  # wrong
    ds.descend("x²", {"x": 1}, steps="many")  # wrong
    ds.descend("x²", {"x": 1}, method="adm")  # wrong
    ds.descend("x²", {"x": 1}, schedule="cosin")  # wrong
    ds.descend(3, {"x": 1})  # wrong
    ds.plan("x²", {"x": 1}).changed(learning_rat=0.2)  # wrong
    ds.sweep("x²", {"x": 1}, [0.1], learning_rate=0.1)  # wrong
    ds.compare("x²", {"x": 1}, steps=None)  # wrong
    ds.multistart("x²", {"x": (-1, 1)}, within=3)  # wrong
    ds.search("x²", {"x": (-1, 1)}, found=3)  # wrong
    ds.fit("y = a×x", "table.csv", loss="hubber")  # wrong
    ds.train("iris", activation="rleu")  # wrong
    ds.train("iris", hidden="16")  # wrong
    ds.train("iris", normalisation="bach")  # wrong
    ds.train("iris", missing="maen")  # wrong
    ds.prescribe(3)  # wrong
    ds.find_learning_rate("x²", {"x": 1}, budgt=3)  # wrong
    ds.watch(folder="runs/one", evry=20)  # wrong
    ds.watch().row(loss=1.0)  # wrong
    ds.read_log(3)  # wrong
    ds.send(3, "tensorboard:logs")  # wrong
    ds.recorded(every=10)  # wrong
