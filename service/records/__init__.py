"""The database: tables, answers, images and the log of edits."""
