//! Registrations out of a platform's event log.
