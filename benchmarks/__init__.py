"""Measurements behind the figures in the documentation; each module is a program: ``python -m benchmarks.NAME -h``."""
