"""Predictions and features of more videos than one process takes: cut into parts, each written whole, once."""
