"""A data set as a few large files: WebDataset shards, in a folder or an object store, and an index of them."""
