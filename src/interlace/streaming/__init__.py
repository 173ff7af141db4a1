"""What happens now: the frames of a camera, a file or an address, one after another, to predictions and events."""
