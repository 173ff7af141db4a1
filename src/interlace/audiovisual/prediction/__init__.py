"""From a video file and a checkpoint to a timeline that people read."""
