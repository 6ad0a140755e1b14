//! Bytes, addresses and kernel timestamps. The only room with `unsafe`; it knows no SIP.
//!
//! `udp` is a batched socket (sendmmsg/recvmmsg with receive timestamps and drop counts, a plain fallback behind the
//! same functions), `poll` waits for sockets and a deadline with nanosecond precision, `clock` reads the kernel's
//! clocks, `resolve` turns names into addresses, `usage` reads what the process consumed.
