"""Jobs: the file a person writes, and the private part of it that travels sealed with the code."""
