"""What `benchmarks/fuzz.py` is made of: seeds, mutations, targets, and the forked children that run them."""
