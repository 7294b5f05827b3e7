"""The web server of the lab: who may ask, and what is sent."""
