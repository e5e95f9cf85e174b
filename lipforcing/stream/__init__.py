"""How chunks travel through the stages, and what is measured on the way."""
