"""Experiments on consistency and faults, each beside a control that must fail. `python -m proof` runs them."""
