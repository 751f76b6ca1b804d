"""The only modules that name concrete classes: each joins the parts of one program."""
