"""The files of the web page: its scripts and styles in one file each, addresses with content hashes, compression."""
