"""Commands for developers of this project; they are not part of the installed package."""
