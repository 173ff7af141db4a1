"""What `benchmarks/soak.py` is made of: clips, broken files, and a watch over processes."""
