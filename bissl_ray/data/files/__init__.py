"""File formats that readers share: lists, folders, raw bytes, split files, image files."""
