"""The simulated rungs of the ladder, one module each: drift and diffusion as the formulas."""
