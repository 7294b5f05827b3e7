"""What two things must be to be the same, to the last bit or within a rounding."""

import numpy as np


def same(ours, theirs, within: float = 0.0) -> None:
    """Hold that two things are equal to the last bit, types and shapes included.

    Args:
        ours: one thing.
        theirs: the other.
        within: by how much numbers of arrays may differ, absolutely and relatively.
    """
    assert type(ours) is type(theirs), (ours, theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours:
            same(ours[name], theirs[name], within)
    elif isinstance(ours, tuple | list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other, within)
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if within and ours.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, rtol=within, atol=within)
        else:
            assert ours.tobytes() == theirs.tobytes()
    elif hasattr(ours, "__dataclass_fields__"):
        for name in ours.__dataclass_fields__:
            same(getattr(ours, name), getattr(theirs, name), within)
    else:
        assert ours == theirs or (ours != ours and theirs != theirs)
