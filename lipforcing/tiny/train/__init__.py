"""Recipes that train the tiny family from scratch: ``python -m lipforcing.tiny.train PART``."""
