"""The smallest whole story, in three seconds."""
