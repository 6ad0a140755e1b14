//! A capture that `tshark` takes of a run.
