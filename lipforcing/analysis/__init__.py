"""What guidance does along the teacher's trajectory: where it buys sync, and what it costs (docs/training.md)."""
