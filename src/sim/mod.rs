//! Agents ↔ link ↔ registrar under virtual time.
