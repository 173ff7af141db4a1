"""From files to clips: decoding, annotations, sampling, transforms, data sets."""
