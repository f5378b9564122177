"""The audit of the served release: what a person who looks after exemplars should look at first."""
