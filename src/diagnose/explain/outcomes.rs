//! Kinds of loops, and the statuses an attempt ends in.

use super::{ANY, ASTERISK, Cause, Explanation, KAMAILIO, Topic, when};

const fn repeating(
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    causes: &'static [Cause],
    look_at: &'static [(&'static str, &'static str)],
) -> Explanation {
    Explanation { name, topic: Topic::Loop, title, meaning, causes, look_at }
}

const fn status(
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    causes: &'static [Cause],
    look_at: &'static [(&'static str, &'static str)],
) -> Explanation {
    Explanation { name, topic: Topic::Status, title, meaning, causes, look_at }
}

/// An agent loops from its third attempt in a row with the same refusal at the same place on.
pub(super) const LOOPS: &[Explanation] = &[
    repeating(
        "403-unchallenged",
        "403 again and again, never asked for credentials",
        "The agent is refused before any challenge, three times or more in a row. Credentials play no part in it.",
        &[
            when("all agents of one source address", "The source is not on the allow-list, or is banned."),
            when("all agents of a trunk", "The trunk, its domain or its tenant is not in service for registrations."),
            when("some agents", "These accounts are locked, or a limit on registrations is reached."),
        ],
        &[
            (
                ANY,
                "See the finding loop.403.unchallenged; compare the allow-list with the source address as the server sees it.",
            ),
            (ASTERISK, "A client with forbidden_retry_interval > 0 makes the loop; the default 0 gives up."),
        ],
    ),
    repeating(
        "403-after-auth",
        "403 again and again, after credentials",
        "The agent answers the challenge and is refused each time, three times or more in a row.",
        &[
            when(
                "all agents of a trunk",
                "The realm or the algorithm of the hash differs, or the trunk's limit is reached.",
            ),
            when("some agents", "Wrong password, disabled account, or no right to this trunk."),
        ],
        &[(
            ANY,
            "See the finding loop.403.after-auth; `regstorm preflight` shows realm, algorithm and account of one agent.",
        )],
    ),
    repeating(
        "401",
        "401 again and again, after credentials",
        "The server answers every set of credentials with a new challenge. No count of ineffective registrations shows this, \
         because RFC 6076 leaves 401 out.",
        &[
            when("all agents of a trunk", "The realm is not the one the passwords or HA1 were made for."),
            when("some agents", "Wrong password or authentication name."),
            when(
                "behind a load balancer",
                "The nodes do not share nonces, and each answers with a challenge of its own.",
            ),
        ],
        &[
            (ANY, "See the finding loop.401; compare the realm of the challenge with that of the account."),
            (KAMAILIO, "The usual script challenges again on any failure of auth_check(); its return code says why."),
        ],
    ),
    repeating(
        "stale",
        "Every nonce is stale",
        "The server says stale=true to a nonce it gave a moment before: it accepts the password but never the nonce.",
        &[
            when("behind a load balancer", "Each request reaches another node, and nonces are not shared."),
            when("on one server", "The nonce lifetime is shorter than the round trip, or its clock jumps."),
        ],
        &[
            (ANY, "See the finding loop.stale-nonce; send one agent to a single node and see whether it ends."),
            (KAMAILIO, "nonce_expire, and `secret` of the auth module, which must be the same on all nodes."),
        ],
    ),
    repeating(
        "423",
        "423 again and again",
        "The agent asks with the Min-Expires it was given and is told again that this is too brief.",
        &[when(
            "on every attempt",
            "Two servers with different minimums share the traffic, or one names a wrong Min-Expires.",
        )],
        &[(ANY, "See the finding loop.423; set expires of the trunk well above every Min-Expires seen.")],
    ),
    repeating(
        "4xx",
        "Another 4xx again and again",
        "The same client error at the same place three times or more in a row; its code is beside it.",
        &[when("on every attempt", "The request or the account has a lasting fault; repeating it cannot help.")],
        &[(ANY, "Ask `regstorm explain` for the code.")],
    ),
    repeating(
        "5xx",
        "A server error again and again",
        "The server has failed three attempts or more of this agent in a row.",
        &[
            when("all agents", "The server or what stands behind it is down or overloaded."),
            when("some agents", "Their node or their records are broken."),
        ],
        &[(ANY, "See the finding server-error and ask `regstorm explain` for the code.")],
    ),
    repeating(
        "timeout",
        "No answer again and again",
        "Three attempts or more of the agent in a row got no final response in time.",
        &[
            when("all agents of one source address", "That address is dropped silently, by a firewall or a ban."),
            when("all agents", "The server is down or unreachable."),
            when("some agents", "Their messages are dropped: too large, or caught by a filter on their names."),
        ],
        &[(ANY, "See the findings no-response and ban.")],
    ),
    repeating(
        "3xx",
        "Redirected again and again",
        "The server sends the agent elsewhere each time. regstorm does not follow redirections.",
        &[when("on every attempt", "The accounts live on another server.")],
        &[(ANY, "Point the trunk at the address in Contact of the answer.")],
    ),
    repeating(
        "6xx",
        "A global refusal again and again",
        "The whole system refuses the agent; no other server would take it.",
        &[when("on every attempt", "A policy of the operator bars the account or the source.")],
        &[(ANY, "Ask the operator for the rule.")],
    ),
    repeating(
        "transport",
        "No way to the server again and again",
        "The network refused three attempts or more of the agent in a row: unreachable, reset, or no local socket.",
        &[
            when("all agents", "Nothing listens at the address, or a router says that it is unreachable."),
            when("some agents", "This machine ran out of ports or descriptors."),
        ],
        &[(ANY, "Check address and port; a port nobody listens on is answered by ICMP port unreachable.")],
    ),
];

pub(super) const STATUSES: &[Explanation] = &[
    status(
        "registered",
        "The agent was registered",
        "A 2xx answered the attempt. The agent is reachable until the granted lifetime ends.",
        &[when("always", "Path, account and credentials are in order.")],
        &[(ANY, "latency.csv for how long it took, availability.csv for how long it held.")],
    ),
    status(
        "authentication_failed",
        "Refused although credentials were sent",
        "The final answer to credentials is 401, 407 or 403. The path is fine, and the server has looked at the credentials \
         or at what they stand for.",
        &[
            when("final 401 or 407", "Password, authentication name or realm is wrong."),
            when(
                "final 403",
                "The account is refused: disabled, over a limit, or the server hides a wrong password so.",
            ),
        ],
        &[(
            ANY,
            "responses.csv for code and reason, loops.csv for who, `regstorm preflight` for realm and algorithms.",
        )],
    ),
    status(
        "registration_rejected",
        "Refused for another reason than the credentials",
        "403 to a request without credentials, 404, or any other final 3xx, 4xx or 6xx except 408.",
        &[
            when("403 before any challenge", "Source address, ban or trunk state; credentials were never asked for."),
            when("404", "The user or the domain is not known."),
            when("any other", "Ask for the code."),
        ],
        &[(ANY, "responses.csv for code and reason, then `regstorm explain` for the code.")],
    ),
    status(
        "service_unavailable",
        "The server failed",
        "A 5xx. What the retry policy sends later is a new attempt.",
        &[
            when("at a rate", "Overload or a rate limit."),
            when("on every attempt", "The server or what stands behind it is down."),
        ],
        &[(ANY, "intervals.csv: does it follow the rate, the number of registrations, or the time of day?")],
    ),
    status(
        "request_timeout",
        "No final answer in time",
        "No final response within Timer F (32 s), or a 408 of a server that waited for another one.",
        &[
            when("no response at all", "Lost, dropped by a filter or a ban, or the server is down or too slow."),
            when("408", "The server answers, but one behind it does not."),
        ],
        &[(ANY, "responses.csv: a row with code 408, or none; then see the finding no-response.")],
    ),
    status(
        "transport_error",
        "The server could not be reached",
        "Unreachable, reset, TLS failure, or a local socket error.",
        &[
            when("at once", "Nothing listens at the port, or a router refuses."),
            when("under load", "This machine ran out of ports, buffers or descriptors."),
        ],
        &[(
            ANY,
            "The address and port of the trunk; send_errors and the generator's verdict for faults of this machine.",
        )],
    ),
    status(
        "protocol_error",
        "The answer could not be used",
        "A challenge without an accepted algorithm or realm, or a malformed or mismatched response.",
        &[
            when("a challenge came", "No algorithm is accepted by both, or the realm is not the required one."),
            when("any other", "A middlebox or the server breaks messages."),
        ],
        &[(ANY, "`regstorm preflight` lists what the challenge offers; see realm.mismatch and algorithm.unsupported.")],
    ),
    status(
        "shed",
        "Not sent: a limit of the test was reached",
        "arrivals.max_in_flight was reached, or safety.max_message_rate refused the first request. The registrar never saw it.",
        &[
            when("the server is slow", "Open attempts pile up until max_in_flight."),
            when(
                "the profile is too tight",
                "The ceiling is below the planned load, retries and retransmissions included.",
            ),
        ],
        &[(ANY, "Raise the limit in the profile only if the registrar is meant to bear it.")],
    ),
    status(
        "abandoned",
        "Still open when the test ended",
        "The run ended or was interrupted before a final answer came.",
        &[
            when("at the end of a run", "The drain was shorter than Timer F, or the run was interrupted."),
            when("in a killed run", "Attempts open in the last whole block of the record count here."),
        ],
        &[(ANY, "run.drain of the profile; 35s lets every attempt end.")],
    ),
];
