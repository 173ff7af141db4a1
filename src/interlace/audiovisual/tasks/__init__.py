"""Fit, score and keep networks of audio-visual events."""
