"""Tables that tests of examples share."""

from __future__ import annotations

import numpy as np

CARS = """mpg,cylinders,horsepower,origin,name
18,8,130,usa,chevrolet chevelle
15,8,165,usa,buick skylark
24.5,4,?,japan,toyota corona
22,6,95,usa,plymouth duster
27,4,88,japan,datsun pl510
26,4,46,europe,volkswagen sedan
25,4,NA,europe,peugeot 504
24,4,90,europe,audi 100 ls
,4,95,europe,saab 99e
26,4,113,europe,bmw 2002
21,6,90,usa,amc gremlin
10,8,215,usa,ford f250
"""


def fruit(rows: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    colour = np.array(["green", "red", "yellow"])[random.integers(0, 3, rows)]
    weight = random.normal(150, 20, rows)
    return {
        "weight": weight,
        "colour": colour,
        "ripe": random.integers(0, 2, rows).astype(bool),
        "price": weight / 100,
        "kind": np.where(weight > 150, "apple", "pear"),
    }
