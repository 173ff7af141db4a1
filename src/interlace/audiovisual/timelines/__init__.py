"""Timelines: what they are, and where they come from: AVE, lists of events, files, composition."""
