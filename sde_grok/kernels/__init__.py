"""Compiled kernels: fast and dull. They import nothing from the layers above."""
