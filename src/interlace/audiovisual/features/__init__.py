"""From a video file to one row of sound and one of picture a second."""
