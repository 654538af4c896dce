//! The database: statements, migrations, the one writer.
