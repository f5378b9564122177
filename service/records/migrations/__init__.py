"""Migrations of the database's schema, run by Alembic.

To add one: change `service.records.tables`, then

    alembic -x url=sqlite:////tmp/dev.sqlite upgrade head
    alembic -x url=sqlite:////tmp/dev.sqlite revision --autogenerate --rev-id 0004 -m "what changes"

review the new file in `versions`, and set `service.records.schema_version.CURRENT` to its revision. A migration is
never changed after a release. It does not import `service.records.tables`, which describe only the newest schema.
"""
