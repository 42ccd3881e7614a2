"""From files to meaning: the reader, the dialects, and who can reach what. Pure but for reading files."""
