"""The seams: one Protocol each, and the registry that finds what fills them. A third party lives behind one."""
