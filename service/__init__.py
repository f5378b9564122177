"""Online: the HTTP service, its database and its command line. Begin with `app.py`, then `engine.py`."""
