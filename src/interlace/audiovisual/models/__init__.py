"""Dual attention matching, both its tasks, and what it is compared with."""
