//! regstorm: a SIP registration load and soak tester. Agents, not calls.
//!
//! This page is the map. The README says how to use the program; this says how it is built.
//!
//! # The way of the data
//!
//! ```text
//! TOML ─ profile ─ plan ─┬─ load ──┐                             ┌─ diagnose ─┐
//!                        ├─ agent ─┤─ fleet ─ measure ─ record ──┤            ├─ report ─ files
//!                        └─ net ───┴─ engine       └─ live       └────────────┘
//! ProfileFile → Profile → Plan → Event → Interval → Results → Judgement → bytes     (each made in one room, then only read)
//! ```
//!
//! [`record`] is the narrow waist. What is left of it makes a run happen; what is right of it only
//! reads what a run wrote. So a killed run is as readable as a finished one, and `regstorm report`
//! needs no engine.
//!
//! # The rooms
//!
//! | room | job | what one cannot see in its code |
//! |---|---|---|
//! | [`vocab`], [`seed`] | shared words; named random streams | a purpose never changes its number, so recorded runs stay repeatable |
//! | [`sip`] | bytes to meaning and back | digests run over bytes exactly as received and as sent |
//! | [`agent`] | one phone's life as a state machine | an attempt that starts ends exactly once |
//! | [`load`] | when agents arrive; the ceiling; the search for limits | the ceiling refuses and counts, it never shapes the schedule |
//! | [`fleet`] | a worker's agents, without I/O | a real run and a simulated one drive the same fleet |
//! | [`registrar`], [`link`] | the mirror image, and a lossy path | digests are verified for real |
//! | [`sim`] | fleets, link and registrar under virtual time | no clock, no socket: hours in seconds |
//! | [`net`] | sockets, epoll, clocks of the kernel | the only room with `unsafe`; it knows no SIP |
//! | [`engine`] | threads, stages, signals | sender threads share nothing on the hot path; each command names the time at which it takes effect |
//! | [`measure`] | events to numbers, and the evidence that findings quote | books balance at each interval: started = ended + open |
//! | [`record`] | the raw record and packets of failures, appended and flushed | a torn last block is ignored, nothing is rounded |
//! | [`truth`] | a registrar's own count, asked for beside ours | what cannot be learnt is unknown, never zero |
//! | [`observe`] | captures and logs of others, as results | the source's gaps are said, never filled |
//! | [`learn`] | a profile and a replay out of what was observed | the replay stays true where a habit does not |
//! | [`platform`] | what a contact-centre cloud says of trunks, asked over HTTP | an empty list is unknown, never zero; tokens and secrets are in nothing it writes |
//! | [`diagnose`] | judgement as pure functions | the generator is judged before the server |
//! | [`report`] | results to bytes | renders, touches no disk |
//! | [`live`] | what is shown and published meanwhile | reads snapshots and finished intervals only |
//! | [`profile`], [`plan`] | a profile as written (`file`) and as meant (`meant`); one config for each room | errors name file, line, column, key and remedy |
//! | [`convoy`] | several machines under one command | members leave notes on a board and ask for what is new; nothing is delivered, so nothing is missed |
//! | [`cli`], [`command`] | what can be typed; the wiring | `command` is the only room that may use every other |
//!
//! `tests/tidy/rules.rs` holds the rules of this table and `tests/tidy.rs` keeps them: which room
//! may use which, where clocks, sockets, `unsafe` and each dependency may live.
//!
//! # Words
//!
//! | word | means |
//! |---|---|
//! | room | a top-level module of this crate, with one job |
//! | agent | one simulated phone ([`agent::Agent`]). In a run each has a user of its own or shares one with others of its list |
//! | attempt | one whole registration as an agent lives it, from its first REGISTER to the final outcome; the challenge and its answer are part of it, a refresh or a retry is an attempt of its own |
//! | trunk | a registrar target with its agents, their credentials and their policy: one `[[trunk]]` of the profile |
//! | stripe | the share of the agents, or of a number, that one worker has ([`load::Stripe`]) |
//! | local | an agent's position within its worker; its `AgentId` is its number in the run |
//! | serial | the number of an agent's current transaction, carried in the branch |
//! | kind | what made an agent send a REGISTER: initial, refresh, retry or unregister; an un-REGISTER removes the binding and is no attempt ([`vocab::Kind`]) |
//! | phase | a latency that is measured, with its start and its end ([`vocab::Phase`]) |
//! | books | a worker's counters ([`measure::Tally`]) |
//! | ceiling | our own limit on what is sent ([`load::Ceiling`]) |
//! | shed | not sent at all, because of the ceiling or of too many open attempts |
//! | evidence | counted rows that a finding quotes (`measure/evidence.rs`) |
//! | pulse | counts per tick of a tenth of a second or more, part of the evidence ([`measure::Beat`]) |
//! | group | refusals of one trunk with the same class, code, phrase and place (`diagnose/findings/view.rs`) |
//! | detector | a function that makes findings of evidence (`diagnose/findings`) |
//! | rival | another cause that would look like a finding (`explain/findings.toml`) |
//! | flow | one way out of a worker, a local socket and the target it speaks to ([`vocab::FlowId`]) |
//! | seat | one phone of a search for limits: a user with one contact, so that several may share a user ([`load::search::Seat`]) |
//! | crew | the seats of a search as they do what they are told: register at this rate, un-REGISTER, go on refreshing ([`fleet::crew::Crew`]) |
//! | field | where a search works: something that sends registrations at a pace and tells their fate, a real registrar or a simulated one ([`load::search::SearchField`]) |
//! | convoy | the workers of one run on many machines, and their coordinator |
//! | board | where they leave notes for each other: a NATS server ([`convoy::Board`]) |
//! | road | what lies between simulated agents and a registrar, which stands at its end: a link each way; a toll may count what passes (`sim/road.rs`) |
//!
//! # What a new kind of transport touches
//!
//! Its name is known (`vocab::Transport`), URIs ask for it (`sip::uri`), requests say it in Via and
//! Contact (`sip::emit`) and messages are cut off a stream (`sip::framing`) whatever carries them.
//! Datagrams and streams are the two sorts there are. A datagram flow is always open; a stream has
//! a life (`fleet/stream.rs`), agents that wait for it (`fleet/driver/streams.rs`) and a
//! transaction that sends nothing twice (`Transaction::sent_reliably`). Another kind of stream
//! adds:
//!
//! | file | what is added |
//! |---|---|
//! | `vocab/flow.rs` | its name, and how many round trips opening it takes; why it may end (`FlowLoss`) |
//! | `sip/uri.rs`, `profile/listen.rs` | that a trunk, and the registrar, may ask for it |
//! | `net/`, a file of its own | bytes over it: a layer over those of TCP, as `tls` and `ws` are |
//! | `engine/channels.rs` | how it is opened and how bytes become messages: for a worker (`sockets.rs`), the registrar (`serve/callers.rs`) and a probe (`probe/line.rs`) alike |
//! | `record/pcapng.rs` | how a failed attempt's messages look as packets |
//!
//! Schedules, findings and reports do not know what carries a message; books count what became of
//! connections ([`measure::FlowCounts`]).
//!
//! # Where to start reading
//!
//! 1. [`agent::Agent`]: the state machine at the centre, with `registration_tests.rs` as its
//!    script.
//! 2. [`fleet::Fleet`]: the arrivals of one worker; `fleet/driver.rs`: how its agents are moved and
//!    answers find them.
//! 3. `engine/worker.rs`: one turn of a sender thread.
//! 4. [`measure::Tally`] and [`record::Results`]: what is counted, and what is known afterwards.
//! 5. `command/run.rs`: a run from profile to files.
//! 6. `measure/evidence.rs`: what is kept for the findings; `diagnose/findings/mod.rs`: how they
//!    are made of it.
//!
//! # One answer, from the socket to a row of latency.csv
//!
//! `engine/worker.rs` asks `engine/sockets.rs` to read: `net/udp/mod.rs` makes the call,
//! `net/udp/control.rs` finds the kernel's timestamp, `net/clock.rs` maps it to our clock.
//! `Driver::receive` (`fleet/driver.rs`) finds the agent by the branch of the topmost Via.
//! `Agent::handle` (`agent/registration.rs`; for a 2xx, `registration/granted.rs`) reports an
//! `Event::Ended`. `FleetWitness` (at the end of `fleet/mod.rs`) passes it to `Tally::event`
//! (`measure/tally.rs`), whose `attempt_latencies` picks the phases; `measure/latency.rs` records
//! the value. A latency ends with the kernel's time of receipt, not with the time of our reading.
//!
//! `Tally::cut` ends the interval; `engine/control.rs` merges those of all workers;
//! `engine/audience.rs` carries them to the observer, which appends them with `record/writer.rs`.
//! `command/report.rs` reads the record back, `record/assembly.rs` makes each histogram a
//! `LatencyRow`, and `report/csv.rs` writes the row.
//!
//! # One connection that TLS refuses, to run.json
//!
//! `Driver::drive` finds the stream closed; `fleet/driver/streams.rs` asks `fleet/stream.rs`, which
//! opens it; `engine/channels.rs` connects (`net/tcp.rs`) and secures it (`net/tls.rs`, whose
//! `failure` picks the `FlowLoss`). `Driver::lost` counts it (`Tally::flow_changed`) and ends the
//! attempts that waited (`agent/registration/connection.rs`). Record and assembly are as above;
//! `report/connections.rs` writes `trunks[].connections`.
//!
//! # One key, from the profile to a cell
//!
//! `expires` of a trunk is declared in `profile/file.rs`, checked in `profile/resolve/trunk.rs`,
//! and becomes `TrunkPolicy::expires_s` (`agent/policy.rs`) in `plan.rs`. `Agent::asks`
//! (`agent/registration.rs`) puts it into the REGISTER. `Agent::succeed`
//! (`agent/registration/granted.rs`) reports what the 2xx grants as `Event::Granted` and
//! `Event::Registered`. `measure/evidence.rs` keeps the former as a `GrantRow`; from it
//! `diagnose/findings/binding.rs` makes `expires.shortened`, a line of `findings.csv`. `Tally`
//! (`measure/tally.rs`) turns the latter into `agents_registered` and the agent-minutes of
//! `availability.csv` (`report/csv.rs`, columns in `report/dictionary.rs`).
//!
//! # One finding, from the record to the screen
//!
//! `limit.concurrent`: `record/assembly.rs` merges the evidence of all intervals into
//! `Results::evidence`. `findings/view.rs` arranges it by trunk, tick and group of refusals,
//! `findings/pattern/level.rs` counts what speaks for and against a limit on bindings,
//! `findings/refusal/limits.rs` decides and makes a `Draft`. `Draft::finish` (`findings/draft.rs`)
//! weighs its rivals, adds the advice of `explain/findings.toml` and makes the `Finding`.
//! `report/csv.rs` writes it as a line of `findings.csv`, `report/summary.rs` as a line of the
//! summary; `live/screen/panels.rs` shows it while the run goes on.

// The library is the program's own: besides `main.rs` only tests and benches use it, and it
// promises nobody else anything.
#![warn(unreachable_pub)]
// A cast that may lose something is a function of `vocab`, a checked conversion, or says why it
// may.
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss))]

pub mod agent;
pub mod cli;
pub mod command;
pub mod convoy;
pub mod diagnose;
pub mod engine;
pub mod fleet;
pub mod learn;
pub mod link;
pub mod live;
pub mod load;
pub mod measure;
pub mod net;
pub mod observe;
pub mod plan;
pub mod platform;
pub mod profile;
pub mod record;
pub mod registrar;
pub mod report;
pub mod seed;
pub mod sim;
pub mod sip;
pub mod truth;
pub mod vocab;
