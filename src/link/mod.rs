//! A lossy link: packets in with time, packets out with time.
