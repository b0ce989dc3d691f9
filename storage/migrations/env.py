"""What alembic runs to migrate: on the connection it is given, in the transaction that is open on it."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
context.run_migrations()
