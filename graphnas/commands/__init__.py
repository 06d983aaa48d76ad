"""The commands of `graphnas`: plain functions, and the *_cli files that parse their arguments."""
