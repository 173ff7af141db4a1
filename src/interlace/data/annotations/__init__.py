"""Annotation files of the field, read into one form."""

from interlace.data.annotations.class_names import read_class_names
from interlace.data.annotations.detect import detect_format
from interlace.data.annotations.read import FORMATS, read_annotations
from interlace.data.annotations.sample import AnnotationError, Annotations, ClipStore, Sample

__all__ = [
    "FORMATS",
    "AnnotationError",
    "Annotations",
    "ClipStore",
    "Sample",
    "detect_format",
    "read_annotations",
    "read_class_names",
]
