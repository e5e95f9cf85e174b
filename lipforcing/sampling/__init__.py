"""Flow-matching conversions, schedules and samplers."""
