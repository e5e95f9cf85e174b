"""Audio in: resampling, encoders that condition the video model, SyncNet's cepstra."""
