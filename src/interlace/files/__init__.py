"""Files and folders that appear whole or not at all, and locks that end with their process."""

from interlace.files.locks import locked
from interlace.files.parts import part_of
from interlace.files.whole import to_disk, whole_file, whole_folder

__all__ = ["locked", "part_of", "to_disk", "whole_file", "whole_folder"]
