"""Training: how a causal student is made from a bidirectional teacher."""
