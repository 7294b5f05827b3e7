"""downslope."""
