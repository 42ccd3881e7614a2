"""What a finished run looks like: events in, files and text out. Pure but for writing the files."""
