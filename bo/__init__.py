"""Latent codes, surrogates, the Bayesian optimisation loop, extrapolation and discrete search."""
