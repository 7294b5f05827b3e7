"""The web server of the lab: its address, its guard, its pages and its routes."""
